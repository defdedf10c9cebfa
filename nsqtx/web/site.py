"""A site of NSQ's: Twisted's, with limited bodies, its own answers to errors and its request log.

The log has one line a request, at info: ``<status> <METHOD> <request URI> (<remote>) <elapsed>``
(nsqd-engine section 15). An endpoint that is asked too often for that sets ``request.logged`` to
false, as do redirects and OPTIONS.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Protocol
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from nsqtx.durations import format_duration
from nsqtx.listen import remote_address
from nsqtx.web.channel import ApiChannel
from nsqtx.web.lane import Lane
from nsqtx.web.lanechannel import LaneChannel

__all__ = ["ApiRequest", "ApiSite", "BodyLimit", "ResponseEncoder"]

#: Given method and path, how many bytes of body may be read; None: the body is not looked at.
BodyLimit = Callable[[str, str], "int | None"]

_log = Logger()


def no_bodies(method: str, path: str) -> int | None:
    """The limit of a site none of whose endpoints reads a body."""
    return None


class ResponseEncoder(Protocol):
    """Makes other bytes of the body of an answer."""

    def encode(self, data: bytes) -> bytes:
        """A part of the body; before the first, headers may still be set."""

    def finish(self) -> bytes:
        """What is left."""


class ApiRequest(Request):
    """One request. What endpoints look at: ``method``, ``path_text``, ``query``, ``body``."""

    #: No Content-Type unless an answer sets one.
    defaultContentType = None
    site: ApiSite
    channel: ApiChannel
    content: BytesIO

    #: The decoded path; what is no UTF-8 in it has become U+FFFD.
    path_text = ""
    query = b""
    #: How many bytes of the body are kept, None if it is not looked at.
    body_limit: int | None = None
    #: How many bytes of the body have come, kept or not.
    body_size = 0
    #: Content-Length says that the body is over the limit; it was not read.
    length_refused = False
    #: The body could not be read to its end.
    body_broken = False
    #: As of a `nsqtx.web.lane.LaneRequest`: here an answer is never put off.
    later: Callable[[bytes], None] | None = None
    #: Whether the request log gets a line.
    logged = True
    began = 0.0
    #: Makes other bytes of the body of the answer (`nsqtx.web.compression`).
    encoder: ResponseEncoder | None = None

    def set_header(self, name: bytes, value: bytes) -> None:
        """Set a header of the response."""
        self.responseHeaders.setRawHeaders(name, [value])

    def headers_received(self, method: bytes, uri: bytes) -> None:
        """All but the body is here; the channel asks what to do with that."""
        if uri[:7].lower() == b"http://" or uri[:8].lower() == b"https://":
            # The absolute form, which proxies use.
            uri = b"/" + uri.split(b"://", 1)[1].partition(b"/")[2]
        path, _, self.query = uri.partition(b"?")
        self.path = path
        self.path_text = unquote_to_bytes(path).decode("utf-8", "replace")
        self.body_limit = self.channel.site.body_limit(method.decode("ascii"), self.path_text)
        self.began = self.channel.site.reactor.seconds()

    def gotLength(self, length: int | None) -> None:
        """Bodies are kept in memory: they have a limit."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of the body, or drop it all once it is over the limit."""
        self.body_size += len(data)
        if self.body_limit is not None and self.body_size <= self.body_limit:
            self.content.write(data)
        elif self.content.tell():
            self.content = BytesIO()

    @property
    def body_too_big(self) -> bool:
        """Whether the body is over its limit, by Content-Length or as it came."""
        limit = self.body_limit
        return limit is not None and (self.length_refused or self.body_size > limit)

    @property
    def body(self) -> bytes:
        """The body; empty when it was not read, or dropped."""
        return self.content.getvalue()

    @property
    def request_line(self) -> str:
        """Method and URI, for the log."""
        return f"{self.method.decode('latin-1')} {self.uri.decode('latin-1')}"

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The request is complete. Its body is not parsed: NSQ has no forms."""
        self.method, self.uri, self.clientproto = command, path, version
        self.args = {}
        self.process()

    def write(self, data: bytes) -> None:
        """Send a part of the body."""
        if self.encoder is not None:
            data = self.encoder.encode(data)
        super().write(data)

    def finish(self) -> None:
        """There is no more to the answer."""
        encoder, self.encoder = self.encoder, None
        rest = encoder.finish() if encoder is not None else b""
        if rest:
            super().write(rest)
        super().finish()

    def process(self) -> None:
        """Let the site's resource answer."""
        self.site = self.channel.site
        self.set_header(b"Date", http.datetimeToString(self.site.reactor.seconds()))
        if self.path == b"*" and self.method == b"OPTIONS":
            self.logged = False
            self.set_header(b"Content-Length", b"0")
            self.finish()
            return
        maybeDeferred(self.render, self.site.resource).addErrback(self.processingFailed)

    def processingFailed(self, reason: Failure) -> None:
        """Log a bug and answer as V1 does; Twisted would send a page."""
        _log.failure("{line} failed", reason, line=self.request_line)
        if not self.startedWriting:
            body = b'{"message":"INTERNAL_ERROR"}'
            self.setResponseCode(500)
            self.set_header(b"Content-Type", b"application/json; charset=utf-8")
            self.set_header(b"X-Nsq-Content-Type", b"nsq; version=1.0")
            self.set_header(b"Content-Length", b"%d" % len(body))
            self.write(body)
        if not self.finished and not self._disconnected:
            self.finish()


class ApiSite(Site):
    """Serves one resource on any number of connections.

    ``body_limit`` is asked for every request, before its body is read. ``lane`` has endpoints that
    the resource has too, for requests that are worth it. There is no idle timeout: the original has
    none, and its clients keep connections in pools.
    """

    protocol = ApiChannel  # type: ignore[assignment]  # Twisted's has HTTP/2 beside it
    requestFactory = ApiRequest
    noisy = False

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        body_limit: BodyLimit = no_bodies,
        lane: Lane | None = None,
    ) -> None:
        super().__init__(resource, reactor=clock, timeout=None, parsePOSTFormSubmission=False)
        self.body_limit = body_limit
        self.lane = lane
        if lane is not None:
            self.protocol = LaneChannel

    def startFactory(self) -> None:
        """Twisted's log file, and the timer that keeps the date for it, are not used."""

    def stopFactory(self) -> None:
        """See `startFactory`."""

    def acceptableProtocols(self) -> list[bytes]:
        """None: HTTP/1.1 needs no negotiation, and there is no other."""
        return []

    def log(self, request: http.Request) -> None:
        """Write the line of a request that was answered."""
        assert isinstance(request, ApiRequest)
        if not request.logged:
            return
        elapsed = max(0, round((self.reactor.seconds() - request.began) * 1e9))
        _log.info(
            "{status} {line} ({remote}) {elapsed}",
            status=request.code,
            line=request.request_line,
            remote=remote_address(request.client)[1],
            elapsed=format_duration(elapsed),
        )
