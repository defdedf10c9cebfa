"""A consumer's connection to one nsqd: messages in, FIN, REQ and TOUCH out (client 5, 6.3, 8.3).

What an answer changes is written in an order that matters: first the RDY that backoff asks for, so
that nsqd pushes nothing between the two; then the answer; then what RDY the room it made allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nsqtx.client.backoff import Backoff
from nsqtx.client.config import ReaderConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.client.errors import BadFrame, ServerError
from nsqtx.client.events import AnswerLost, HandlerFailed, OnEvent
from nsqtx.client.message import Message
from nsqtx.client.ready import Ready, Share

__all__ = ["Counts", "ReaderParts", "Source"]

log = Logger(namespace="nsqtx.client")

#: An nsqd may have pushed a message again that we still work on, so more than RDY can be in
#: flight; this many times as much cannot.
_ABSURD = 10
#: TOUCH is sent when this part of msg_timeout is over.
_TOUCH_AT = 0.7
#: nsqd's ``--max-req-timeout`` by default: an older one takes more for an error (client 15.1).
_MAX_REQUEUE_DELAY = 3600.0


@attrs.define
class Counts:
    """What happened so far."""

    received: int = 0
    finished: int = 0
    requeued: int = 0
    touched: int = 0
    #: Handlers that raised.
    failed: int = 0
    #: Messages with too many attempts; they are finished as well, unless a hook does otherwise.
    gave_up: int = 0
    #: Answers that came too late, or whose connection was gone.
    lost: int = 0

    def add(self, other: Counts) -> None:
        """Take over what another counted."""
        for name in attrs.fields_dict(Counts):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class ReaderParts(Protocol):
    """What a source needs of its Reader."""

    config: ReaderConfig
    ready: Ready
    backoff: Backoff
    tell: OnEvent


class Source:
    """``take`` gets the messages of each read; ``release`` those that were held, once answered."""

    def __init__(
        self,
        reader: ReaderParts,
        connection: NsqdConnection,
        take: Callable[[list[Message]], None],
        release: Callable[[Message], None],
    ) -> None:
        negotiated = connection.negotiated
        self.address = connection.address
        self.connection = connection
        #: Seconds, as nsqd answered to IDENTIFY.
        self.msg_timeout = negotiated.msg_timeout / 1000
        self.max_msg_timeout = negotiated.max_msg_timeout / 1000
        #: Its own; those of all that is gone, once it is gone.
        self.counts = Counts()
        self.share: Share
        #: Set when CLS was sent: it closes with its last answer.
        self.draining = False
        self._reader = reader
        self._take = take
        self._release = release
        self._closing_confirmed = False
        connection.on_messages = self._received
        connection.on_harmless_error = self._refused

    def join(self) -> None:
        """Ask for messages."""
        self.share = self._reader.ready.join(
            self.connection.negotiated.max_rdy_count, self.connection
        )

    # -- messages ------------------------------------------------------------------------------

    def _received(self, frames: list[bytes]) -> None:
        share = self.share
        now = share.last_message = self.connection.heard
        count = len(frames)
        share.in_flight += count
        self.counts.received += count
        if share.in_flight > _ABSURD * (share.max_rdy + 100):
            self.connection.fail(BadFrame(f"{share.in_flight} messages, far beyond RDY"))
            return
        if share.lent:
            self._reader.ready.active(share)
        messages = [Message(data, self, now) for data in frames]
        if self.draining:
            # They were on their way.
            for message in messages:
                self.return_unhandled(message)
        else:
            self._take(messages)

    def finish(self, message: Message) -> None:
        """Send FIN; called by the message, once."""
        backoff = self._reader.backoff
        if backoff.level:
            backoff.succeeded()
        if self._answer(message, b"FIN %b\n" % message.id):
            self.counts.finished += 1

    def give_up(self, message: Message) -> None:
        """Send FIN, which is no success."""
        message.answered = True
        self._reader.backoff.neutral()
        if self._answer(message, b"FIN %b\n" % message.id):
            self.counts.finished += 1

    def requeue(self, message: Message, delay: float | None, backoff: bool | None) -> None:
        """Send REQ; called by the message, once."""
        config = self._reader.config
        failed = config.backoff_on_requeue if backoff is None else backoff
        if failed:
            self._reader.backoff.failed()
        else:
            self._reader.backoff.neutral()
        self._requeue(message, self._delay(message) if delay is None else delay)

    def failed(self, message: Message, error: Exception) -> None:
        """Note that its handler has raised."""
        self.counts.failed += 1
        self._reader.tell(HandlerFailed(self.address, message.id, message.attempts, error))

    def return_unhandled(self, message: Message) -> None:
        """Requeue at once what no handler has had; that says nothing of how we fare."""
        message.answered = True
        self._requeue(message, 0.0)

    def _requeue(self, message: Message, delay: float) -> None:
        milliseconds = round(min(max(delay, 0.0), _MAX_REQUEUE_DELAY) * 1000)
        if self._answer(message, b"REQ %b %d\n" % (message.id, milliseconds)):
            self.counts.requeued += 1

    def _delay(self, message: Message) -> float:
        """Attempts times the configured delay, with a cap (client 5.5)."""
        config = self._reader.config
        # 16 bits: 0 is what follows 65535.
        attempts = message.attempts or 65536
        return min(config.default_requeue_delay * attempts, config.max_requeue_delay)

    def touch(self, message: Message) -> None:
        """Send TOUCH."""
        self.counts.touched += 1
        message.touched = self._now()
        if not self.connection.closed:
            self.connection.send(b"TOUCH %b\n" % message.id)

    def touch_due(self, message: Message) -> float:
        """In how many seconds it should be touched, if it is to be kept."""
        return message.touched + self.msg_timeout * _TOUCH_AT - self._now()

    def touchable(self, message: Message) -> bool:
        """Whether nsqd would still give it more time."""
        return self._now() - message.received < self.max_msg_timeout

    def time_left(self, message: Message) -> float:
        """Seconds until nsqd delivers it again."""
        due = min(message.touched + self.msg_timeout, message.received + self.max_msg_timeout)
        return due - self._now()

    def _now(self) -> float:
        return self.connection.clock.seconds()

    def _answer(self, message: Message, line: bytes) -> bool:
        """Send it; False: there is no longer anybody to send it to."""
        if message.held:
            self._release(message)
        connection = self.connection
        if connection.closed:
            self.counts.lost += 1
            self._reader.tell(AnswerLost(self.address, "its connection is gone"))
            return False
        self.share.in_flight -= 1
        connection.send(line)
        ready = self._reader.ready
        if ready.waiting:
            ready.answered()
        if self.draining:
            self._close_if_done()
        return True

    def _refused(self, error: ServerError) -> None:
        log.warn("nsqd {address}: {error}", address=self.address, error=error.text)
        if error.code != "E_TOUCH_FAILED":
            self.counts.lost += 1
            if self._reader.config.backoff_on_timeout:
                self._reader.backoff.failed()
        self._reader.tell(AnswerLost(self.address, error.text))

    # -- the end -------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take no more messages, and close when all are answered."""
        if self.draining or self.connection.closed:
            return
        self.draining = True
        self._reader.ready.close(self.share)
        closing: Deferred[bytes] = self.connection.request(b"CLS\n")
        closing.addCallbacks(self._confirmed, self._not_confirmed)

    def _confirmed(self, answer: bytes) -> None:
        self._closing_confirmed = True
        self._close_if_done()

    def _not_confirmed(self, failure: object) -> None:
        """The connection is gone, which is what was to come."""

    def _close_if_done(self) -> None:
        if self._closing_confirmed and self.share.in_flight <= 0:
            self.connection.close()
