"""Log lines as NSQ's operators and scripts know them (nsqd-engine section 15).

``<prefix>YYYY/MM/DD HH:MM:SS.uuuuuu LEVEL: text``, in local time. What libraries say of themselves
at info (ports that open, factories that start) is debug here. What a failure says is an error,
with its traceback on the lines that follow; those begin with a tab, so that no text in it can pass
for a line of its own. The other form, one JSON object a line, is in `nsqtx.jsonlog`.
"""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime
from typing import Protocol

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
from zope.interface import implementer

from nsqtx.jsonlog import json_line
from nsqtx.kinds import LEVELS

__all__ = ["FORMS", "LogStream", "NsqLogObserver", "fatal", "install", "stamp"]

#: What ``--log-format`` may be.
FORMS = ("text", "json")

_NAMES = {1: "DEBUG", 2: "INFO", 3: "WARNING", 4: "ERROR", 5: "FATAL"}
_RANKS = {
    LogLevel.debug: 1,
    LogLevel.info: 2,
    LogLevel.warn: 3,
    LogLevel.error: 4,
    LogLevel.critical: 5,
}
#: What Twisted logs in the name of our own factories.
_NOISE = frozenset(["Starting factory {factory!r}", "Stopping factory {factory!r}"])
# A client must not be able to write lines of its own, nor to move an operator's cursor.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class LogStream(Protocol):
    """What lines are written to: standard error, or a log file of Twisted's."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> object:
        """See to it that what was written can be read."""


def stamp(seconds: float) -> str:
    """A time as log lines have it."""
    return datetime.fromtimestamp(seconds).strftime("%Y/%m/%d %H:%M:%S.%f")


@implementer(ILogObserver)
class NsqLogObserver:
    """Writes NSQ's lines to a stream. ``level`` is one of `nsqtx.kinds.LEVELS` and may change.

    ``form`` is one of `FORMS`; a prefix is only in text.
    ``stream`` None, which is what Python has for a standard error that was closed: to nowhere.
    """

    def __init__(
        self, stream: LogStream | None, prefix: str, level: str = "info", form: str = "text"
    ) -> None:
        self._stream = stream
        self.prefix = prefix
        self.level = level
        self.form = form

    def __call__(self, event: LogEvent) -> None:
        rank = _rank(event)
        if rank < LEVELS[self.level]:
            return
        if self.form == "json":
            namespace = str(event.get("log_namespace", ""))
            line = json_line(_NAMES[rank].lower(), namespace, formatEvent(event), event)
            _write(self._stream, line)
            return
        text = _on_one_line(formatEvent(event))
        failure = event.get("log_failure")
        if failure is not None:
            lines = failure.getTraceback().rstrip().splitlines()
            text = "\n\t".join([text, *map(_on_one_line, lines)])
        _write(self._stream, f"{self.head(event, rank)}{text}\n")

    def head(self, event: LogEvent, rank: int) -> str:
        """What stands before the text; ``rank`` is as in `nsqtx.kinds.LEVELS`."""
        return f"{self.prefix}{stamp(event.get('log_time', 0.0))} {_NAMES[rank]}: "


def _rank(event: LogEvent) -> int:
    rank = _RANKS[event.get("log_level") or LogLevel.info]
    if event.get("log_failure") is not None:
        # Twisted calls each of them critical; fatal is for what ends the daemon.
        return min(rank, 4)
    if rank == 2 and (
        not str(event.get("log_namespace", "")).startswith("nsq")
        or event.get("log_format") in _NOISE
    ):
        return 1
    return rank


def _on_one_line(text: str) -> str:
    """The text without anything that a stream cannot encode or a terminal would act on."""
    if not text.isascii():
        # Names of files and what came from a client need not be UTF-8.
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _write(stream: LogStream | None, line: str) -> None:
    """Write a line, or not: when nobody listens any more, or the disk is full, nsqd goes on."""
    if stream is None:
        return
    try:
        stream.write(line)
        stream.flush()
    except (OSError, ValueError):
        pass


def install(
    prefix: str, level: str, stream: LogStream | None = None, form: str = "text"
) -> NsqLogObserver:
    """Send everything that is logged in this process to standard error, as the only observer."""
    observer = NsqLogObserver(sys.stderr if stream is None else stream, prefix, level, form)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    return observer


def fatal(program: str, text: str, stream: LogStream | None = None, form: str = "text") -> None:
    """Write the line that says why a program does not start, whatever the log level.

    Its prefix is always the program's own.
    """
    stream = sys.stderr if stream is None else stream
    if form == "json":
        _write(stream, json_line("fatal", program, text, {"log_time": time.time()}))
    else:
        _write(stream, f"[{program}] {stamp(time.time())} FATAL: {_on_one_line(text)}\n")
