"""What is logged while a test runs."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

__all__ = ["Logged"]

_MARKS = {LogLevel.warn: "W ", LogLevel.error: "E ", LogLevel.critical: "F "}


@implementer(ILogObserver)
class Logged:
    """A context manager: our own ``lines``, with a mark in front of warnings and worse; and the

    types of the exceptions that were logged, ``failures``.
    """

    #: How many are in use: whoever looks at the log expects what is in it.
    active = 0

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failures: list[type[BaseException]] = []

    def __call__(self, event: LogEvent) -> None:
        if event["log_namespace"].startswith("nsq"):
            self.lines.append(_MARKS.get(event["log_level"], "") + formatEvent(event))
        failure = event.get("log_failure")
        if failure is not None:
            self.failures.append(failure.type)

    def __enter__(self) -> Self:
        globalLogPublisher.addObserver(self)
        Logged.active += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        globalLogPublisher.removeObserver(self)
        Logged.active -= 1
