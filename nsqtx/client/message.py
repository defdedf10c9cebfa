"""A message as a handler gets it (client section 5)."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from nsqtx.client.errors import AlreadyAnswered

if TYPE_CHECKING:
    from nsqtx.client.source import Source

__all__ = ["Message", "Requeue"]

_head = Struct(">qH16s").unpack_from
_HEAD_SIZE = 26


class Requeue(Exception):
    """For a handler to raise: deliver the message again, which is no failure to be logged.

    ``delay`` is in seconds, None: by the Reader's settings. Without ``backoff`` the Reader goes on
    at full speed; None: by the Reader's settings.
    """

    def __init__(self, delay: float | None = None, backoff: bool | None = None) -> None:
        super().__init__(delay, backoff)
        self.delay = delay
        self.backoff = backoff


class Message:
    """A message, to be answered once: finished or requeued.

    ``id`` is 16 hexadecimal digits, ``timestamp`` when it was published in nanoseconds since the
    epoch, ``attempts`` the number of this delivery, from 1 (0 when nsqd's 16 bits have wrapped).
    ``received`` is when it came, in seconds of the reactor's clock, and ``touched`` when it was
    touched last, or received.
    """

    __slots__ = (
        "answered",
        "attempts",
        "body",
        "deferred",
        "held",
        "id",
        "received",
        "source",
        "timestamp",
        "touched",
    )

    def __init__(self, data: bytes, source: Source, received: float) -> None:
        self.timestamp, self.attempts, self.id = _head(data)
        self.body = data[_HEAD_SIZE:]
        #: The connection that it came on, for its answers.
        self.source = source
        self.received = self.touched = received
        #: Whether it was finished or requeued.
        self.answered = False
        #: Whether nothing is to be answered when the handler returns.
        self.deferred = False
        #: Whether the Reader remembers that it is to be answered by hand.
        self.held = False

    def __repr__(self) -> str:
        return f"<Message {self.id.decode()} of {self.source.address}, attempt {self.attempts}>"

    @property
    def nsqd_address(self) -> str:
        """The address of the nsqd it came from."""
        return self.source.address

    def finish(self) -> None:
        """It is done: nsqd forgets it.

        :raises AlreadyAnswered: it was answered before.
        """
        self._answer()
        self.source.finish(self)

    def requeue(self, delay: float | None = None, backoff: bool | None = None) -> None:
        """Deliver it again, after ``delay`` seconds; None: attempts times the configured delay.

        ``backoff`` says whether this counts as a failure, at which the Reader slows down; None: as
        ``backoff_on_requeue`` says.

        :raises AlreadyAnswered: it was answered before.
        """
        self._answer()
        self.source.requeue(self, delay, backoff)

    def touch(self) -> None:
        """Give the handler more time: msg_timeout from now.

        :raises AlreadyAnswered: it was answered before.
        """
        if self.answered:
            raise AlreadyAnswered(f"message {self.id.decode()} is answered already")
        self.source.touch(self)

    def defer_response(self) -> None:
        """Answer by hand, later: nothing is sent when the handler returns.

        What is not answered counts against ``max_in_flight``, and comes again after msg_timeout.
        """
        self.deferred = True

    @property
    def time_left(self) -> float:
        """Seconds until nsqd delivers it again, by its ``msg_timeout``; below 0: it may have."""
        return self.source.time_left(self)

    def _answer(self) -> None:
        # Marked before anything is written, so that one answer is sent whatever happens.
        if self.answered:
            raise AlreadyAnswered(f"message {self.id.decode()} is answered already")
        self.answered = True
