"""Calls that may block for ever, in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from threading import Event, current_thread
from typing import Any

from nsqtx.tools.blocking import BlockingThread


class Reactor:
    """Collects what is to be called in its thread."""

    def __init__(self) -> None:
        self._calls: Queue[tuple[Callable[..., None], tuple[Any, ...]]] = Queue()

    def callFromThread(self, function: Callable[..., None], *args: Any) -> None:
        """Later."""
        self._calls.put((function, args))

    def turn(self) -> None:
        """Make the next call."""
        function, args = self._calls.get(timeout=10)
        function(*args)


def test_results_and_failures_come_back() -> None:
    """One call after the other, in a thread that does not keep the process from ending."""
    reactor = Reactor()
    thread = BlockingThread(reactor)
    results: list[Any] = []
    thread.call(current_thread).addCallback(results.append)
    thread.call(lambda: 1 // 0).addErrback(results.append)
    reactor.turn()
    reactor.turn()
    assert results[0] is not current_thread()
    assert results[0].daemon
    assert results[1].check(ZeroDivisionError)


def test_a_cancelled_call_is_passed_over() -> None:
    """It cannot be interrupted; its result is of no interest."""
    reactor = Reactor()
    thread = BlockingThread(reactor)
    go = Event()
    results: list[Any] = []
    called = thread.call(lambda: go.wait(10))
    called.addBoth(results.append)
    called.cancel()
    go.set()
    reactor.turn()
    assert len(results) == 1
    thread.call(lambda: "next").addCallback(results.append)
    reactor.turn()
    assert results[1] == "next"
