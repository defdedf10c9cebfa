"""What tools write to standard error (apps section 1.3).

A tool's own lines are ``YYYY/MM/DD HH:MM:SS text``; those of the client library have a level
behind the time, as the original's have: ``INF``, ``WRN`` or ``ERR``.
"""

from __future__ import annotations

import sys
import time

from twisted.logger import LogEvent, globalLogBeginner

from nsqtx.logs import LogStream, NsqLogObserver

__all__ = ["OWN", "ToolLines", "install_lines", "stamped"]

#: Namespaces of what tools say themselves begin so.
OWN = "nsqtx.tools."

_LEVELS = {1: "DBG", 2: "INF", 3: "WRN", 4: "ERR", 5: "ERR"}


def stamped(text: str, seconds: float | None = None) -> str:
    """A text with the time before it."""
    return time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(seconds)) + f" {text}"


class ToolLines(NsqLogObserver):
    """Writes what is logged at info and above."""

    def __init__(self, stream: LogStream | None) -> None:
        super().__init__(stream, "")

    def head(self, event: LogEvent, rank: int) -> str:
        own = str(event.get("log_namespace", "")).startswith(OWN)
        return stamped("" if own else f"{_LEVELS[rank]} ", event.get("log_time", 0.0))


def install_lines() -> None:
    """Send everything that is logged in this process to standard error."""
    observer = ToolLines(sys.stderr)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
