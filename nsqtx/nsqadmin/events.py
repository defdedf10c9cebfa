"""``/events``: tells open pages that there is something new to see, as server-sent events.

An event says nothing but its number: a page then asks for itself again, with the rights that it
has at that moment. Events come from the poller, so they cost the nodes nothing.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from nsqtx.nsqadmin.poller import Poller
from nsqtx.web.api import ApiError
from nsqtx.web.site import ApiRequest

__all__ = ["EventStreams"]

#: A comment is sent so often, so that proxies do not take the connection for dead (seconds).
KEEP_ALIVE = 15.0
#: A browser that reads nothing for so long is let go (seconds).
PATIENCE = 60.0
#: When a browser asks again after the connection was lost (ms).
RETRY = 5000


@implementer(IPushProducer)
class _Stream:
    """One open page."""

    def __init__(self, request: ApiRequest) -> None:
        self.request = request
        #: Fires when nothing more is to be said; cancelled when the browser has left.
        self.over: Deferred[bytes] = Deferred()
        #: Since when nothing can be written to it; None: it can.
        self.stuck: float | None = None
        self.paused = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused, self.stuck = False, None

    def stopProducing(self) -> None:
        """The connection is gone; the answer is cancelled as well."""


class EventStreams:
    """All open pages.

    :param limit: how many there may be.
    """

    def __init__(self, poller: Poller, clock: IReactorTime, limit: int) -> None:
        self._poller = poller
        self._clock = clock
        self._limit = limit
        self._streams: set[_Stream] = set()
        self._keep_alive = LoopingCall(self._write, b":\n\n")
        self._keep_alive.clock = clock
        poller.listen(self._tell)

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, request: ApiRequest) -> Deferred[bytes]:
        """Answer a request with events, until the browser leaves or all are let go.

        :raises ApiError: 503, there are too many.
        """
        if len(self._streams) >= self._limit:
            request.set_header(b"Retry-After", b"30")
            raise ApiError(503, "TOO_MANY_BROWSERS")
        request.logged = False
        request.set_header(b"Content-Type", b"text/event-stream; charset=utf-8")
        request.set_header(b"Cache-Control", b"no-store")
        request.set_header(b"X-Accel-Buffering", b"no")
        stream = _Stream(request)
        self._streams.add(stream)
        stream.over.addBoth(self._left, stream)
        request.registerProducer(stream, True)
        request.write(b"retry: %d\n%b" % (RETRY, self._event()))
        if not self._keep_alive.running:
            self._keep_alive.start(KEEP_ALIVE, now=False)
        return stream.over

    def stop(self) -> None:
        """Let all go."""
        for stream in list(self._streams):
            stream.request.unregisterProducer()
            stream.over.callback(b"")

    def _left(self, result: Any, stream: _Stream) -> Any:
        self._streams.discard(stream)
        if not self._streams and self._keep_alive.running:
            self._keep_alive.stop()
        return result

    def _event(self) -> bytes:
        return b"event: news\ndata: %d\n\n" % self._poller.round

    def _tell(self) -> None:
        self._write(self._event())

    def _write(self, data: bytes) -> None:
        now = self._clock.seconds()
        for stream in list(self._streams):
            if not stream.paused:
                stream.request.write(data)
            elif stream.stuck is None:
                stream.stuck = now
            elif now - stream.stuck >= PATIENCE:
                stream.request.loseConnection()
