"""One TCP connection of nsqd to a nsqlookupd: protocol V1 from the client's side.

Facts: nsqd-engine section 10, nsqlookupd section 3. A command is a line, IDENTIFY has a body; each
is answered by a size and that many bytes, in the order of the commands. What is answered to
REGISTER, UNREGISTER and PING does not matter, that something is does.
"""

from __future__ import annotations

import struct
from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

__all__ = ["ANSWER_TIMEOUT", "LookupConnection", "LookupdError"]

#: How long a nsqlookupd may take for its next answer (seconds). The original allows 1 s, in which
#: one that learns all topics of a restarted cluster at once may not get round to everybody.
ANSWER_TIMEOUT = 5.0

MAGIC = b"  V1"


class LookupdError(Exception):
    """What a nsqlookupd answered is not V1, or it did not answer in time."""


class LookupConnection(Protocol):
    """Sends commands and matches the answers to them.

    ``max_answer`` is the largest answer, in bytes (``--max-body-size``).
    """

    transport: ITCPTransport

    def __init__(self, clock: IReactorTime, max_answer: int) -> None:
        self._clock = clock
        self._max_answer = max_answer
        self._buffer = b""
        #: Who waits for the answers under way, oldest first; None: nobody, it only counts.
        self._waiting: deque[Deferred[bytes] | None] = deque()
        self._timeout: IDelayedCall | None = None
        self._lost: Failure | None = None
        self._closed = False
        self._watching: list[Deferred[str]] = []

    def connectionMade(self) -> None:
        self.transport.write(MAGIC)

    @property
    def busy(self) -> bool:
        """Whether answers are still to come."""
        return bool(self._waiting)

    def send(self, data: bytes) -> None:
        """Send a command whose answer does not matter."""
        self._send(data, None)

    def ask(self, data: bytes) -> Deferred[bytes]:
        """Send a command; its answer. Fails with the reason when the connection is lost."""
        answer: Deferred[bytes] = Deferred()
        self._send(data, answer)
        return answer

    def _send(self, data: bytes, answer: Deferred[bytes] | None) -> None:
        if self._lost is not None:
            if answer is not None:
                answer.errback(self._lost)
            return
        self._waiting.append(answer)
        if self._timeout is None:
            self._timeout = self._clock.callLater(ANSWER_TIMEOUT, self._too_late)
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        data = self._buffer + data
        at = 0
        while len(data) - at >= 4:
            (size,) = struct.unpack_from(">i", data, at)
            if not 0 <= size <= self._max_answer:
                self._fail(LookupdError(f"answer of {size} bytes"))
                return
            if len(data) - at < 4 + size:
                break
            if not self._waiting:
                self._fail(LookupdError("an answer to nothing"))
                return
            answer = data[at + 4 : at + 4 + size]
            at += 4 + size
            self._answered(self._waiting.popleft(), answer)
        self._buffer = data[at:]

    def _answered(self, waiting: Deferred[bytes] | None, answer: bytes) -> None:
        assert self._timeout is not None
        if self._waiting:
            self._timeout.reset(ANSWER_TIMEOUT)
        else:
            self._timeout.cancel()
            self._timeout = None
        if waiting is not None:
            waiting.callback(answer)

    def _too_late(self) -> None:
        self._timeout = None
        self._fail(LookupdError(f"no answer within {ANSWER_TIMEOUT:g} s"))

    def _fail(self, error: Exception) -> None:
        """Give the connection up."""
        self._buffer = b""
        self._let_go(Failure(error))
        self.transport.abortConnection()

    def _let_go(self, reason: Failure) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        waiting, self._waiting = self._waiting, deque()
        for answer in waiting:
            if answer is not None:
                answer.errback(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._let_go(reason)
        self._closed = True
        watching, self._watching = self._watching, []
        for each in watching:
            each.callback(self._reason())

    def when_closed(self) -> Deferred[str]:
        """Fires when the connection is closed, with the reason, for people."""
        watching: Deferred[str] = Deferred()
        if self._closed:
            watching.callback(self._reason())
        else:
            self._watching.append(watching)
        return watching

    def _reason(self) -> str:
        assert self._lost is not None
        return self._lost.getErrorMessage()
