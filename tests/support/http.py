"""An HTTP client in memory: bytes into a site's channel, answers out of it, no reactor."""

# Twisted's own doubles have no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.web.channel import ApiChannel
from nsqtx.web.site import ApiSite

__all__ = ["Connection", "Response", "TcpTransport", "fetch", "request_bytes"]


@implementer(ITCPTransport)
class TcpTransport(StringTransport):
    """A transport that can also shut down its sending side, and says so."""

    half_closed = False
    aborted = False

    def loseWriteConnection(self) -> None:
        """Note that our side was shut down."""
        self.half_closed = True

    def abortConnection(self) -> None:
        """Note that the connection was cut."""
        self.aborted = True
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to delay here."""

    def getTcpNoDelay(self) -> bool:
        """Always."""
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Nothing to keep alive here."""

    def getTcpKeepAlive(self) -> bool:
        """Never."""
        return False


@attrs.frozen
class Response:
    """One answer. Names of headers are in lower case."""

    version: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def request_bytes(
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    version: str = "HTTP/1.1",
    chunks: list[bytes] | None = None,
) -> bytes:
    """A request as it goes over the wire. With ``chunks`` the body is sent chunked."""
    lines = [f"{method} {target} {version}", "Host: nsqd"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    data = b""
    if chunks is not None:
        lines.append("Transfer-Encoding: chunked")
        data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
        data = body
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


class Connection:
    """A connection to a site."""

    def __init__(self, site: ApiSite, port: int = 5555) -> None:
        peer = IPv4Address("TCP", "127.0.0.1", port)
        self.transport = TcpTransport(peerAddress=peer)
        channel = site.buildProtocol(peer)
        assert isinstance(channel, ApiChannel)
        self.channel = channel
        self.channel.makeConnection(self.transport)
        self._method = "GET"

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self.transport.disconnecting

    def send(self, data: bytes) -> None:
        """Send bytes, in one segment."""
        if not self.closed:
            self.channel.dataReceived(data)

    def sent_by_server(self) -> bytes:
        """What has come since the last call, as it is."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def answers(self, methods: list[str] | None = None) -> list[Response]:
        """The answers that have come; ``methods`` of the requests matter where one is HEAD."""
        data = self.sent_by_server()
        found = []
        asked = iter(methods or [])
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").split("\r\n")
            version, status, _ = status_line.split(" ", 2)
            headers = {}
            for line in lines:
                name, _, value = line.partition(": ")
                assert name.lower() not in headers, f"{name} comes twice"
                headers[name.lower()] = value
            size = 0 if next(asked, "") == "HEAD" else int(headers.get("content-length", "0"))
            body, data = data[:size], data[size:]
            assert len(body) == size, "the body is shorter than its Content-Length"
            found.append(Response(version, int(status), headers, body))
        return found

    def fetch(self, method: str, target: str, body: bytes | None = None) -> Response:
        """One request and its one answer."""
        self.send(request_bytes(method, target, body))
        (answer,) = self.answers([method])
        return answer

    def lost(self) -> None:
        """The client is gone."""
        if self.transport.producer is not None:
            self.transport.unregisterProducer()  # as Twisted's transports do first
        self.channel.connectionLost(Failure(ConnectionDone()))


def fetch(site: ApiSite, method: str, target: str, body: bytes | None = None) -> Response:
    """One request on a connection of its own."""
    connection = Connection(site)
    answer = connection.fetch(method, target, body)
    connection.lost()
    return answer
