"""What tests of the client have in common: nothing may fail unseen."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from tests.support.logged import Logged

__all__ = ["Failures"]


@implementer(ILogObserver)
class Failures:
    """The exceptions that were logged and not yet looked at."""

    def __init__(self) -> None:
        self.logged: list[BaseException] = []
        #: Of all, as text.
        self.tracebacks: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None and not Logged.active:
            self.logged.append(failure.value)
            self.tracebacks.append(failure.getTraceback())

    def take(self) -> list[str]:
        """Those so far, as text: the test has expected them."""
        gc.collect()
        logged, self.logged = self.logged, []
        return [str(each) or type(each).__name__ for each in logged]


@pytest.fixture(scope="session", autouse=True)
def frozen() -> None:
    """Collecting garbage looks at what tests make, and not at all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def failures() -> Iterator[Failures]:
    """A test fails if an exception was logged, by us or by Twisted, that it did not take.

    What is logged while it has a `Logged` is its own business.
    """
    failures = Failures()
    globalLogPublisher.addObserver(failures)
    yield failures
    gc.collect()
    globalLogPublisher.removeObserver(failures)
    if failures.logged:
        raise AssertionError("logged and not expected") from failures.logged[0]
