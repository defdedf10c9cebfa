"""Standard input and output: reading and writing may block for ever, and they may be closed.

A thread of the reactor's pool would keep the process from ending. This one does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

__all__ = ["BlockingThread", "is_terminal"]

T = TypeVar("T")


def is_terminal(descriptor: int) -> bool:
    """Whether somebody looks at it. A descriptor that is closed is none."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


class BlockingThread:
    """A thread that makes calls, one after the other. It ends with the process."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._calls: SimpleQueue[tuple[Callable[[], Any], Deferred[Any]]] = SimpleQueue()
        self._thread: Thread | None = None

    def call(self, function: Callable[[], T]) -> Deferred[T]:
        """What the function returns or raises, in the reactor's thread."""
        if self._thread is None:
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()
        done: Deferred[T] = Deferred()
        self._calls.put((function, done))
        return done

    def _run(self) -> None:
        while True:
            function, done = self._calls.get()
            try:
                result = function()
            except BaseException:  # noqa: BLE001  # it is the caller's
                self._reactor.callFromThread(done.errback, Failure())
            else:
                self._reactor.callFromThread(done.callback, result)
