"""Messages on their way to standard output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["ShownMessage", "Tail", "TopicTail", "Write"]

log = Logger(namespace="nsqtx.tools.nsq_tail")

#: Writes all of it, somewhere where it may block; fires when that is done.
Write = Callable[[bytes], Deferred[None]]


class ShownMessage(Protocol):
    """What is needed of a message of the client library."""

    body: bytes
    answered: bool

    def finish(self) -> None:
        """FIN."""

    def requeue(self, delay: float | None = None, backoff: bool | None = None) -> None:
        """REQ."""


#: Lines, and the messages that they show.
Waiting = list[tuple[bytes, ShownMessage]]


class Tail:
    """Writes messages in the order in which they came, and finishes those that were written.

    After ``limit`` of them, if it is not 0, ``done`` is called. ``failed`` is called with the
    reason when nothing more can be written. What is not shown goes back to nsqd at the stop, and
    not before, since it would come again.
    """

    def __init__(
        self,
        write: Write,
        limit: int,
        done: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._write = write
        self._left = limit or 2**62
        self._done = done
        self._failed = failed
        self._waiting: Waiting = []
        self._writing = False

    def take(self, line: bytes, message: ShownMessage) -> None:
        """A message has come, to be shown like this."""
        self._waiting.append((line, message))

    def flush(self) -> None:
        """Write what has come, unless that is being done, or enough is shown."""
        if self._writing or not self._waiting or not self._left:
            return
        shown, self._waiting = self._waiting[: self._left], self._waiting[self._left :]
        self._left -= len(shown)
        self._writing = True
        written = self._write(b"".join([line for line, _ in shown]))
        written.addCallbacks(
            lambda _: self._written(shown), lambda failure: self._broken(shown, failure)
        )
        written.addErrback(lambda failure: log.failure("a bug", failure))

    def _written(self, shown: Waiting) -> None:
        self._writing = False
        for _, message in shown:
            if not message.answered:
                message.finish()
        if not self._left:
            self._done()
        self.flush()

    def _broken(self, shown: Waiting, failure: Failure) -> None:
        self._left = 0
        self._writing = False
        self._waiting = shown + self._waiting
        self._failed(f"ERROR: failed to write to os.Stdout - {failure.getErrorMessage()}")

    def give_back(self) -> None:
        """Requeue what is not being written."""
        waiting, self._waiting = self._waiting, []
        for _, message in waiting:
            if not message.answered:
                message.requeue(0.0, False)


class TopicTail:
    """The handler of one topic, which collects (`nsqtx.client.handling.Collector`)."""

    def __init__(self, tail: Tail, prefix: bytes) -> None:
        self._tail = tail
        self._prefix = prefix

    def __call__(self, message: ShownMessage) -> None:
        """A message has come."""
        self._tail.take(b"%b%b\n" % (self._prefix, message.body), message)

    def read_done(self) -> None:
        """That was the last message of a read."""
        self._tail.flush()

    def stop(self) -> None:
        """Give back what is not being written, of all topics: they stop together."""
        self._tail.give_back()

    def abandon(self) -> None:
        """Time is up: the Reader gives back what was not written."""
