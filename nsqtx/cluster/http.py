"""HTTP requests from one of NSQ's programs to another, or to an auth server.

What the original's programs have in common (nsqd-http section 12, nsqd-engine 10.4, nsqd-tcp 8.2):
they ask for version 1.0 of the API, take 200 for success and everything else for an error, and
when plain HTTP is answered 403 with an ``https_port``, ask again there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from nsqtx.wire import gojson

__all__ = [
    "ACCEPT",
    "ApiClient",
    "BodyBytes",
    "RequestFailed",
    "at_https",
    "https_port",
    "read_body",
]

ACCEPT = "application/vnd.nsq; version=1.0"


class RequestFailed(Exception):
    """A request did not bring what was asked for; the text says why, for people."""


class _Body(Protocol):
    """Gathers a response, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[bytes] = Deferred(self._cancel)
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._pieces.clear()
            self._finish(RequestFailed(f"the answer is larger than {self._limit} bytes"))
        elif not self.done.called:
            self._pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(reason)

    def _finish(self, error: Exception) -> None:
        if not self.done.called:
            self.done.errback(error)
            self._cut()

    def _cancel(self, _: Deferred[bytes]) -> None:
        self._cut()

    def _cut(self) -> None:
        """Let go of the connection, on which more would come."""
        if self.transport is not None:
            self.transport.loseConnection()


def read_body(response: Any, limit: int) -> Deferred[bytes]:
    """The body of a response (treq's or Twisted's).

    Fails with `RequestFailed` when it is larger than ``limit`` bytes.
    """
    body = _Body(limit)
    response.deliverBody(body)
    return body.done


@implementer(IBodyProducer)
@attrs.frozen
class BodyBytes:
    """The body of a request, written at once: it is small, and needs no reactor to be fed by."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is written."""

    def resumeProducing(self) -> None:
        """All is written."""

    def stopProducing(self) -> None:
        """All is written."""


class ApiClient:
    """Asks for JSON.

    ``timeout`` is in seconds and for all of a request, redirects and the body included, as
    ``--http-client-request-timeout`` is; ``max_size`` is the largest answer in bytes.
    """

    def __init__(
        self, agent: IAgent, clock: IReactorTime, timeout: float, max_size: int = 16 * 1024 * 1024
    ) -> None:
        self._http = HTTPClient(agent)
        self._clock = clock
        self._timeout = timeout
        self._max_size = max_size

    def get_json(self, url: str) -> Deferred[Any]:
        """GET; the value of the JSON that 200 came with.

        Fails with `RequestFailed`, or with what Twisted says of the connection.
        """
        return self.request_json("GET", url)

    def request_json(
        self,
        method: str,
        url: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Deferred[Any]:
        """As `get_json`, with any method and body."""
        asking = Deferred.fromCoroutine(self._ask(method, url, data, {**(headers or {})}))

        def too_late(result: Any, _: float) -> Any:
            raise RequestFailed(f"{method} {_shown(url)}: no answer within {self._timeout:g} s")

        return asking.addTimeout(self._timeout, self._clock, onTimeoutCancel=too_late)

    async def _ask(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> Any:
        status, body = await self._exchange(method, url, data, headers)
        if status == 403 and not url.startswith("https:"):
            port = https_port(body)
            if port:
                url = at_https(url, port)
                status, body = await self._exchange(method, url, data, headers)
        if status != 200:
            raise RequestFailed(f"{method} {_shown(url)}: answered {status} {body[:200]!r}")
        try:
            return gojson.decode(body)
        except ValueError as error:
            raise RequestFailed(f"{method} {_shown(url)}: {error}") from error

    async def _exchange(
        self, method: str, url: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        every = Headers({"Accept": [ACCEPT]})
        for name, value in headers.items():
            every.setRawHeaders(name, [value])
        body = None if data is None else BodyBytes(data)
        response = await self._http.request(method, url, data=body, headers=every)
        return response.code, await read_body(response, self._max_size)


def _shown(url: str) -> str:
    """A URL for people: without its query, in which there may be secrets."""
    return url.partition("?")[0]


def https_port(body: bytes) -> int:
    """The port that an answer ``TLS_REQUIRED`` names; 0: none (nsqd-http section 1)."""
    try:
        fields = gojson.decode(body)
    except ValueError:
        return 0
    port = fields.get("https_port") if isinstance(fields, dict) else None
    return port if type(port) is int and 0 < port < 65536 else 0


def at_https(url: str, port: int) -> str:
    """The same at that port by HTTPS."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return urlunsplit(("https", f"{host}:{port}", parts.path, parts.query, ""))
