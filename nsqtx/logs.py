"""Log lines as NSQ's operators and scripts know them (nsqd-engine section 15).

``<prefix>YYYY/MM/DD HH:MM:SS.uuuuuu LEVEL: text`` on standard error, local time. What libraries
say of themselves at info level (factories that start, and the like) counts as debug.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, TextIO

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    PredicateResult,
    formatEvent,
    globalLogBeginner,
    globalLogPublisher,
)
from zope.interface import implementer

from nsqtx.kinds import LEVELS

__all__ = ["NsqLogObserver", "fatal", "install"]

_NAMES = {
    LogLevel.debug: "DEBUG",
    LogLevel.info: "INFO",
    LogLevel.warn: "WARNING",
    LogLevel.error: "ERROR",
    LogLevel.critical: "FATAL",
}
_RANKS = {
    LogLevel.debug: 1,
    LogLevel.info: 2,
    LogLevel.warn: 3,
    LogLevel.error: 4,
    LogLevel.critical: 5,
}
_NAMED = {name: level for level, name in _NAMES.items()}


def stamp(seconds: float) -> str:
    """A time as log lines have it."""
    return datetime.fromtimestamp(seconds).strftime("%Y/%m/%d %H:%M:%S.%f")


@implementer(ILogObserver)
class NsqLogObserver:
    """Writes NSQ's lines to a stream. ``level`` is one of `nsqtx.kinds.LEVELS` and may change."""

    def __init__(self, stream: TextIO, prefix: str, level: str = "info") -> None:
        self._stream = stream
        self.prefix = prefix
        self.level = level

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level") or LogLevel.info
        namespace = str(event.get("log_namespace", ""))
        if level is LogLevel.info and not namespace.startswith("nsq"):
            level = LogLevel.debug
        if _RANKS[level] < LEVELS[self.level]:
            return
        text = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}\n{failure.getTraceback().rstrip()}"
        line = f"{self.prefix}{stamp(event['log_time'])} {_NAMES[level]}: {text}\n"
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # there is nobody to tell that nobody listens


def install(prefix: str, level: str, stream: TextIO | None = None) -> NsqLogObserver:
    """Send everything that is logged in this process to standard error, as the only observer."""
    observer = NsqLogObserver(sys.stderr if stream is None else stream, prefix, level)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    return observer


def install_beside_twistd(prefix: str, level: str) -> NsqLogObserver:
    """Under ``twistd`` logging has begun when a service is made: add our lines to it.

    They go to standard error. Twistd's own log (standard output with ``-n``, or its file) is left
    as the user of twistd asked for it, without our lines of less than ``level``.
    """
    observer = NsqLogObserver(sys.stderr, prefix, level)
    globalLogPublisher.addObserver(
        FilteringLogObserver(observer, [_ours_only])  # type: ignore[arg-type]
    )
    return observer


def _ours_only(event: Any) -> Any:
    ours = str(event.get("log_namespace", "")).startswith("nsq") or "log_failure" in event
    return PredicateResult.maybe if ours else PredicateResult.no


def fatal(prefix: str, text: str, stream: TextIO | None = None) -> None:
    """The one line that says why a program does not start."""
    now = datetime.now().timestamp()
    print(f"{prefix}{stamp(now)} FATAL: {text}", file=sys.stderr if stream is None else stream)
