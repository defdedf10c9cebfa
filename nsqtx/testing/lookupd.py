"""A fake nsqlookupd, which says over HTTP what a test tells it to."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from nsqtx.testing.reactor import MemoryReactor
from nsqtx.testing.transport import MemoryTransport

__all__ = ["FakeLookupd"]


class FakeLookupd(Factory):
    """An nsqlookupd at an address of a `MemoryReactor`, which it answers ``/lookup`` at.

    :param address: ``host:port``.
    :param waits: whether a lookup can wait for news, as with ours, or is answered at once, as by
        the original.
    """

    noisy = False

    def __init__(
        self, reactor: MemoryReactor, address: str = "127.0.0.1:4161", waits: bool = False
    ) -> None:
        self.reactor = reactor
        self.address = address
        self.waits = waits
        #: The paths, with queries, that were asked for.
        self.asked: list[str] = []
        #: All of each request.
        self.heads: list[bytes] = []
        #: Answered in place of what it knows: a status and a body; or ``silent``: nothing is.
        self.answer: tuple[int, bytes] | None = None
        self.silent = False
        #: Whether it answers as those before 1.0, and how it says that there are no producers.
        self.old = False
        self.no_producers: list[Any] | None = []
        self._topics: dict[str, list[str]] = {}
        self._index = 1
        self._waiting: list[_Request] = []
        self.start()

    # -- for tests -----------------------------------------------------------------------------

    def start(self) -> None:
        """Take connections."""
        host, _, port = self.address.rpartition(":")
        self._port = self.reactor.listenTCP(int(port), self, interface=host.strip("[]"))

    def stop(self) -> None:
        """Refuse connections, and drop those that wait."""
        self._port.stopListening()
        for request in list(self._waiting):
            request.transport.abortConnection()

    def set(self, topic: str, *nsqd_tcp_addresses: str) -> None:
        """Say from now on that these nsqd have the topic; who waits for that is told."""
        self._topics[topic] = list(nsqd_tcp_addresses)
        self._news()

    def forget(self, topic: str) -> None:
        """Say that the topic is unknown, as it is in the beginning."""
        self._topics.pop(topic, None)
        self._news()

    @property
    def waiting(self) -> int:
        """How many lookups wait for news."""
        return len(self._waiting)

    # -- answers -------------------------------------------------------------------------------

    def _news(self) -> None:
        self._index += 1
        for request in list(self._waiting):
            request.answer()

    def buildProtocol(self, addr: Any) -> _Request:
        return _Request(self)

    def status_and_body(self, topic: str) -> tuple[int, bytes]:
        """What is said of a topic."""
        if self.answer is not None:
            return self.answer
        if topic not in self._topics:
            return 404, b'{"message":"TOPIC_NOT_FOUND"}'
        producers = [_producer(address) for address in self._topics[topic]] or self.no_producers
        found: dict[str, Any] = {"channels": [], "producers": producers}
        if self.old:
            found = {"status_code": 200, "status_txt": "OK", "data": found}
        return 200, json.dumps(found).encode()

    def response(self, topic: str) -> bytes:
        """All of a response."""
        status, body = self.status_and_body(topic)
        lines = [f"HTTP/1.1 {status} -", f"Content-Length: {len(body)}", "Connection: close"]
        if not self.old:
            lines.append("X-NSQ-Content-Type: nsq; version=1.0")
        if self.waits:
            lines.append(f"X-Nsqtx-Index: {self._index}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def wait(self, request: _Request) -> None:
        self._waiting.append(request)

    def waits_no_more(self, request: _Request) -> None:
        if request in self._waiting:
            self._waiting.remove(request)

    def is_news(self, index: str) -> bool:
        """Whether whoever has seen ``index`` has not seen all."""
        return index != str(self._index)


def _producer(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {
        "remote_address": "127.0.0.1:50000",
        "hostname": host.strip("[]"),
        "broadcast_address": host.strip("[]"),
        "tcp_port": int(port),
        "http_port": int(port) + 1,
        "version": "1.3.0",
    }


@attrs.define(eq=False)
class _Request(Protocol):
    """One connection with one request."""

    _lookupd: FakeLookupd
    transport: MemoryTransport = attrs.field(init=False)
    _data: bytes = b""
    _topic: str = ""
    _timer: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if b"\r\n\r\n" not in self._data:
            return
        path = self._data.split(b" ")[1].decode()
        self._lookupd.asked.append(path)
        self._lookupd.heads.append(self._data)
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        self._topic = query.get("topic", "")
        wait = float(query.get("wait", "0"))
        if self._lookupd.silent:
            return
        if self._lookupd.waits and wait and not self._lookupd.is_news(query.get("index", "")):
            self._timer = self._lookupd.reactor.callLater(wait, self._waited)
            self._lookupd.wait(self)
        else:
            self.answer()

    def _waited(self) -> None:
        self._timer = None
        self.answer()

    def answer(self) -> None:
        """Say what there is, and close."""
        self._end()
        self.transport.write(self._lookupd.response(self._topic))
        self.transport.loseConnection()

    def _end(self) -> None:
        self._lookupd.waits_no_more(self)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end()
