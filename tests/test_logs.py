"""Log lines have NSQ's form, and nobody can write other people's lines."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from nsqtx.kinds import LEVELS
from nsqtx.logs import NsqLogObserver, fatal, stamp


def logger_to(observer: NsqLogObserver, namespace: str = "nsqd") -> Logger:
    """A logger that writes through the observer alone."""
    return Logger(namespace=namespace, observer=observer)


def written(level: str = "info", prefix: str = "[nsqd] ") -> tuple[io.StringIO, NsqLogObserver]:
    """A stream, and an observer that writes to it."""
    stream = io.StringIO()
    return stream, NsqLogObserver(stream, prefix, level)


def without_date(stream: io.StringIO) -> list[str]:
    """The lines, with their dates checked and taken out."""
    date = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} ")
    lines = stream.getvalue().splitlines()
    assert all(len(date.findall(line)) == 1 for line in lines), lines
    return [date.sub("", line) for line in lines]


def test_the_form_of_a_line() -> None:
    """Prefix, local time to the microsecond, level, text."""
    stream, observer = written()
    log = logger_to(observer)
    log.info("TCP: listening on {address}", address="127.0.0.1:4150")
    log.warn("w")
    log.error("e")
    log.critical("f")
    assert without_date(stream) == [
        "[nsqd] INFO: TCP: listening on 127.0.0.1:4150",
        "[nsqd] WARNING: w",
        "[nsqd] ERROR: e",
        "[nsqd] FATAL: f",
    ]


def test_the_time_of_a_line() -> None:
    """It is the event's, in local time."""
    assert re.fullmatch(r"20\d\d/11/1[45] \d\d:\d\d:20\.250000", stamp(1_700_000_000.25))


@pytest.mark.parametrize("level", LEVELS)
def test_levels(level: str) -> None:
    """A line is written if its level is at least the one asked for."""
    stream, observer = written(level)
    log = logger_to(observer)
    for each in (log.debug, log.info, log.warn, log.error, log.critical):
        each("x")
    names = ["DEBUG", "INFO", "WARNING", "ERROR", "FATAL"]
    assert without_date(stream) == [f"[nsqd] {name}: x" for name in names[LEVELS[level] - 1 :]]


def test_the_level_can_change() -> None:
    """What ``/config/log_level`` sets holds for the next line."""
    stream, observer = written("error")
    log = logger_to(observer)
    log.info("before")
    observer.level = "info"
    log.info("after")
    assert without_date(stream) == ["[nsqd] INFO: after"]


def test_a_failure_is_an_error_with_its_traceback() -> None:
    """Twisted calls it critical, but nsqd goes on."""
    stream, observer = written("error")
    try:
        raise LookupError("the reason")
    except LookupError:
        logger_to(observer).failure("periodic work")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith(" ERROR: periodic work")
    assert rest[0].startswith("Traceback")
    assert rest[-1] == "builtins.LookupError: the reason"


def test_an_unhandled_error_in_a_deferred_is_an_error() -> None:
    """Whatever the namespace."""
    stream, observer = written("error")
    failure = Failure(LookupError("lost"))
    logger_to(observer, "twisted.internet.defer").failure("Unhandled error", failure)
    assert " ERROR: Unhandled error\n" in stream.getvalue()


def test_what_libraries_say_of_themselves_is_debug() -> None:
    """Neither Twisted's loggers nor its factories are heard at info; their warnings are."""
    stream, observer = written()
    logger_to(observer, "twisted.web.server").info("Site starting on 4151")
    logger_to(observer, "log_legacy").info("(TCP Port 4150 Closed)")
    logger_to(observer, "nsqtx.web.site.ApiSite").info("Starting factory {factory!r}", factory=1)
    logger_to(observer, "twisted.web.server").warn("odd")
    assert without_date(stream) == ["[nsqd] WARNING: odd"]
    observer.level = "debug"
    logger_to(observer, "log_legacy").info("closed")
    assert without_date(stream)[1:] == ["[nsqd] DEBUG: closed"]


def test_a_factory_of_twisted_is_quiet() -> None:
    """The texts by which such lines are known are those of this Twisted."""
    stream, observer = written()
    for text in ("Starting", "Stopping"):
        assert f"{text} factory {{factory!r}}" in _strings(Factory)
        observer(
            {
                "log_level": LogLevel.info,
                "log_namespace": "nsqtx.x",
                "log_format": f"{text} factory {{factory!r}}",
                "factory": 1,
                "log_time": 0.0,
            }
        )
    assert stream.getvalue() == ""


def _strings(cls: type[Any]) -> set[object]:
    return {
        constant
        for name in ("doStart", "doStop")
        for constant in getattr(cls, name).__code__.co_consts
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb", r"a\nb"), ("a\r\x1b[2Jb", r"a\r\x1b[2Jb"), ("\u2028", r"\u2028"), ("a\tb", "a\tb"),
     ("\u00e4", "\u00e4"), ("\udcff", r"\udcff")],
)  # fmt: skip
def test_nobody_can_forge_a_line(text: str, shown: str) -> None:
    """Control characters in what a client said are escaped, also what no stream could encode."""
    stream, observer = written()
    logger_to(observer).info("client said {text}", text=text)
    assert without_date(stream) == [f"[nsqd] INFO: client said {shown}"]
    stream.getvalue().encode("utf-8")


class FullDisk(io.StringIO):
    """A stream that takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("close", [True, False])
def test_a_log_that_cannot_be_written_costs_nothing_else(close: bool) -> None:
    """A full disk or a closed stream does not reach the code that logs."""
    stream = FullDisk()
    if close:
        stream.close()
    NsqLogObserver(stream, "")(
        {"log_level": LogLevel.error, "log_format": "x", "log_time": 0.0, "log_namespace": "nsqd"}
    )


def test_fatal() -> None:
    """The line for a start that failed does not depend on a level, and is one line."""
    stream = io.StringIO()
    fatal("[nsqd] ", "failed to instantiate nsqd - a\nb", stream)
    assert without_date(stream) == [r"[nsqd] FATAL: failed to instantiate nsqd - a\nb"]
