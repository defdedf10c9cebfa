"""A connection with a fast lane (`nsqtx.web.lane`). What is not for the lane, `ApiChannel` gets.

Whenever no request is under way, the next one is looked at. If the lane takes it, it is answered
here, with all that follow in the same read; else Twisted gets all bytes from its first on, and
the lane is asked again when Twisted has answered what it was given.

A request that waits for the disk is, to Twisted's code, one that is being handled: what comes
meanwhile is kept there, within its limits, and reading is paused and resumed as always.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from nsqtx.link import BUFFER_SIZE, send_now, sends_now
from nsqtx.web.channel import ApiChannel
from nsqtx.web.lane import PUT_OFF, Chunks, Head, Lane, LaneRequest, Piece

__all__ = ["LaneChannel"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
END = b"\r\n\r\n"


class LaneChannel(ApiChannel):
    """Answers what is for the lane, and lets Twisted do the rest."""

    #: The beginning of a head that may be for the lane.
    _begun = b""
    #: A request of the lane whose body is still coming.
    _coming: Piece | Chunks | None = None
    #: An answer of the lane that is still to come.
    _waiting: Deferred[bytes] | None = None
    #: An answer that comes when the turn of the reactor ends.
    _put_off = False
    _lane: Lane
    _sends_now = False
    # Twisted's, which has no annotations.
    paused: bool
    _buffer: bytes
    _dataBuffer: list[bytes]
    _waitingForTransport: bool

    def connectionMade(self) -> None:
        """A client is there."""
        lane = self.site.lane
        assert lane is not None
        self._lane = lane
        self._sends_now = sends_now(self.transport)
        if self._sends_now:
            self.transport.bufferSize = BUFFER_SIZE
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        if self._put_off:
            self._end_turn()
        if self._coming is not None:
            data = self._go_on(data)
        elif self._begun:
            data, self._begun = self._begun + data, b""
        if data and self._idle():
            data = self._take(data)
        if data:
            super().dataReceived(data)

    def _idle(self) -> bool:
        """Whether a request begins with the next byte, and Twisted has nothing of it."""
        first_line = self._HTTPChannel__first_line  # type: ignore[attr-defined]
        return bool(
            self.line_mode
            and not self._buffer
            and not self.requests
            and not self._skip
            and first_line == 1
            and self.persistent
            and not self.paused
            and not self.transport.disconnecting
        )

    def _take(self, data: bytes) -> bytes:
        """Answer what is for the lane; the bytes from the first request on that is not."""
        out: list[bytes] = []
        at, size = 0, len(data)
        while at < size:
            taken = self._request(data, at, out)
            if not taken:
                break
            at += taken
            if self._coming is not None or self._waiting is not None or not self.persistent:
                break
        return data[at:] if self._answered(out) else b""

    def _request(self, data: bytes, at: int, out: list[bytes]) -> int:
        """Take the request that begins there, or what there is of it; how many bytes it has.

        0: it is not for the lane.
        """
        lane = self._lane
        end = data.find(END, at) if data.startswith(lane.starts, at) else -1
        if end < 0:
            if not lane.may_begin(data[at:]):
                return 0
            self._begun = data[at:]
            return len(data) - at
        head = lane.head(data[at:end])
        limit = None if head is None else self.site.body_limit("POST", head.path)
        if head is None or limit is None or (head.length or 0) > limit:
            return 0
        end += len(END)
        if head.length is None:
            chunks = Chunks(head, data[at:end], limit)
            try:
                rest = chunks.feed(data[end:])
            except ValueError:
                return 0
            if rest is None:
                self._coming = chunks
                return len(data) - at
            out.append(self._answer(head, chunks.body))
            return len(data) - at - len(rest)
        if head.expects:
            out.append(CONTINUE)
        begin, end = end, end + head.length
        if end > len(data):
            self._coming = Piece(head, data[begin:])
            return len(data) - at
        # What stands alone in its read has nothing that would have to wait behind it.
        alone = end == len(data) and not out
        out.append(self._answer(head, data[begin:end], alone))
        return end - at

    def _go_on(self, data: bytes) -> bytes:
        """More of a body; the bytes that are behind it."""
        coming = self._coming
        assert coming is not None
        try:
            rest = coming.feed(data)
        except ValueError:
            assert isinstance(coming, Chunks)
            rest, self._coming = coming.raw, None
            return rest
        if rest is None:
            return b""
        self._coming = None
        return rest if self._answered([self._answer(coming.head, coming.body)]) else b""

    def _answer(self, head: Head, body: bytes, may_wait: bool = False) -> bytes:
        """The answer to a request; nothing if it is still to come."""
        request = LaneRequest(head.path, head.query, body)
        if may_wait and self._lane.end_turn is not None:
            request.later = partial(self._put_off_answer, head, request)
            # Before the endpoint is called, since that may end the turn.
            self._put_off = True
        answer = self._lane.endpoints[head.path](request)
        if answer is PUT_OFF:
            return b""
        self._put_off = False
        request.later = None  # a cycle, else
        if isinstance(answer, Deferred):
            now = getattr(answer, "result", None)
            if not isinstance(now, bytes):
                self._handlingRequest = True
                self.setRawMode()
                self._waiting = answer
                answer.addCallback(self._waited, head, request)
                return b""
            answer = now
        self.persistent = not head.closes
        return self._lane.response(request, answer, head.closes)

    def _answered(self, out: list[bytes]) -> bool:
        """Send answers; whether the connection goes on."""
        data = out[0] if len(out) == 1 else b"".join(out)
        if data and self._sends_now:
            data = send_now(self.transport, data)
        if data:
            self.transport.write(data)
        if not self.persistent:
            self.loseConnection()
        return bool(self.persistent)

    def _put_off_answer(self, head: Head, request: LaneRequest, body: bytes) -> None:
        """The turn ends."""
        if self._put_off:
            self._put_off = False
            self.persistent = not head.closes
            self._answered([self._lane.response(request, body, head.closes)])

    def _end_turn(self) -> None:
        """Answer what was put off: something comes that must not overtake it."""
        assert self._lane.end_turn is not None
        self._lane.end_turn()

    def _waited(self, body: bytes, head: Head, request: LaneRequest) -> None:
        """The answer is here; go on with what has come meanwhile."""
        if self._waiting is None:
            return  # the client has left
        self._waiting = None
        self._handlingRequest = False
        self.persistent = not head.closes
        if not self._answered([self._lane.response(request, body, head.closes)]):
            return
        if not self._waitingForTransport:
            self._networkProducer.resumeProducing()
        data, self._dataBuffer = b"".join(self._dataBuffer), []
        self.setLineMode(data)
        if self._input_ended and not self._handlingRequest:
            self.loseConnection()

    def readConnectionLost(self) -> None:
        """The client sends no more."""
        if self._put_off:
            self._end_turn()
        super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone. Who waits for an answer waits no more."""
        self._put_off = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
        super().connectionLost(reason)
