"""Log lines: NSQ's form, whatever is logged and wherever it goes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from nsqtx.logs import NsqLogObserver, fatal, stamp

LINE = re.compile(r"\[nsqd\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} (\w+): (.*)\n")


class Stream:
    """Keeps what is written; ``error`` is raised in place of writing."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.text = ""
        self.flushed = ""

    def write(self, text: str, /) -> None:
        """Keep a text."""
        if self.error is not None:
            raise self.error
        text.encode("utf-8")
        self.text += text

    def flush(self) -> None:
        """Note that all so far can be read."""
        self.flushed = self.text


class Logged:
    """A logger whose lines go to a stream."""

    def __init__(self, level: str = "info", namespace: str = "nsqd") -> None:
        self.stream = Stream()
        self.observer = NsqLogObserver(self.stream, "[nsqd] ", level)
        self.logger = Logger(namespace=namespace, observer=LogPublisher(self.observer))

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Level and text of each line; every line must have NSQ's form."""
        assert self.stream.flushed == self.stream.text
        found = [LINE.fullmatch(line) for line in self.stream.text.splitlines(keepends=True)]
        return [match.groups() if match else ("", "") for match in found]  # type: ignore[misc]


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local time nine hours before UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_a_line_has_the_local_time_with_microseconds() -> None:
    """Scripts sort and cut by that form (nsqd-engine section 15)."""
    assert stamp(1_700_000_000.25) == "2023/11/15 07:13:20.250000"
    stream = Stream()
    observer = NsqLogObserver(stream, "[p] ")
    observer(
        {
            "log_time": 1_700_000_000.000001,
            "log_level": LogLevel.warn,
            "log_namespace": "nsqd",
            "log_format": "{a} and {b}",
            "a": 1,
            "b": "two",
        }
    )
    assert stream.text == "[p] 2023/11/15 07:13:20.000001 WARNING: 1 and two\n"


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR", "FATAL"]),
        ("info", ["INFO", "WARNING", "ERROR", "FATAL"]),
        ("warn", ["WARNING", "ERROR", "FATAL"]),
        ("error", ["ERROR", "FATAL"]),
        ("fatal", ["FATAL"]),
    ],
)
def test_lines_below_the_level_are_not_written(level: str, seen: list[str]) -> None:
    """Each level is itself and what is graver."""
    logged = Logged(level)
    for name in ("debug", "info", "warn", "error", "critical"):
        getattr(logged.logger, name)("x")
    assert [name for name, _ in logged.lines] == seen


def test_the_level_may_change() -> None:
    """As PUT /config/log_level has it."""
    logged = Logged("error")
    logged.logger.info("a")
    logged.observer.level = "info"
    logged.logger.info("b")
    assert logged.lines == [("INFO", "b")]


@pytest.mark.parametrize("namespace", ["twisted.internet.tcp", "", "klein._app", "log_legacy"])
def test_what_libraries_say_at_info_is_debug(namespace: str) -> None:
    """Scripts read our lines; warnings of libraries stay warnings."""
    for level, seen in (("info", ["WARNING"]), ("debug", ["DEBUG", "WARNING"])):
        logged = Logged(level, namespace)
        logged.logger.info("(TCP Port 0 Closed)")
        logged.logger.warn("x")
        assert [name for name, _ in logged.lines] == seen


@pytest.mark.parametrize("verb", ["Starting", "Stopping"])
def test_what_twisted_says_of_our_factories_is_debug(verb: str) -> None:
    """It logs it in the namespace of the factory's module."""
    logged = Logged("info", "nsqtx.nsqd.protocol.NsqdFactory")
    logged.logger.info(verb + " factory {factory!r}", factory=1)
    assert logged.lines == []


def test_an_event_without_anything_is_a_line() -> None:
    """Old code logs events that lack level, namespace and format."""
    logged = Logged("debug")
    logged.observer({})
    assert [name for name, _ in logged.lines] == ["DEBUG"]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\x00\x1b[2J", r"a\r\x00\x1b[2J"),
        ("\x7f\x85\u2028", r"\x7f\x85\u2028"),
        ("tab\tstays", "tab\tstays"),
        ("{brace} ü €", "{brace} ü €"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_comes_from_outside_cannot_break_a_line(said: str, written: str) -> None:
    """Control characters are escaped, so a client can neither forge a line nor move a cursor."""
    logged = Logged()
    logged.logger.info("{said}", said=said)
    assert logged.lines == [("INFO", written)]
    stream = Stream()
    fatal("nsqd", said, stream)
    match = LINE.fullmatch(stream.flushed)
    assert match is not None
    assert match.groups() == ("FATAL", written)


def raise_it(text: str) -> Failure:
    """A failure with that text."""
    try:
        raise RuntimeError(text)
    except RuntimeError:
        return Failure()


def test_a_failure_is_an_error_with_its_traceback_on_indented_lines() -> None:
    """It does not end the daemon, so it is not fatal; its text cannot pass for a line."""
    logged = Logged()
    forged = "[nsqd] 2024/01/01 00:00:00.000000 INFO: all is well"
    logged.logger.failure("tick {n}", raise_it(f"broken\x1b\n{forged}"), n=3)
    first, *others = logged.stream.flushed.splitlines()
    match = LINE.fullmatch(first + "\n")
    assert match is not None
    assert match.groups() == ("ERROR", "tick 3")
    assert all(line.startswith("\t") for line in others)
    assert "\tTraceback (most recent call last):" in others
    assert r"broken\x1b" in "".join(others)
    assert "\x1b" not in "".join(others)
    assert "\t" + forged in others


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "pipe"), OSError(28, "full"), ValueError("closed")]
)
def test_a_stream_that_refuses_does_no_harm(error: Exception) -> None:
    """Nobody reads standard error any more, or the disk of the log is full: nsqd goes on."""
    stream = Stream(error)
    NsqLogObserver(stream, "")({"log_format": "x", "log_namespace": "nsqd"})
    fatal("", "x", stream)
    assert stream.text == ""


def test_no_stream_does_no_harm() -> None:
    """Python has None for a standard error that was closed before the start."""
    observer = NsqLogObserver(None, "")
    observer({"log_format": "x", "log_namespace": "nsqd"})


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program that logs."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )


def test_installed_it_is_the_only_observer_and_writes_to_standard_error() -> None:
    """What was logged before is gone, what is printed is not logged."""
    code = """
from twisted.logger import Logger
from nsqtx.logs import install
log = Logger(namespace="nsqd")
log.info("before")
observer = install("[nsqd] ", "warn")
log.info("hidden")
log.warn("seen {n}", n=1)
print("printed")
"""
    done = run(code)
    assert (done.returncode, done.stdout) == (0, "printed\n")
    match = LINE.fullmatch(done.stderr)
    assert match is not None, done.stderr
    assert match.groups() == ("WARNING", "seen 1")


def test_a_closed_standard_error_does_no_harm() -> None:
    """The program goes on as if somebody read its lines."""
    code = """
import sys
sys.stderr = None
from twisted.logger import Logger
from nsqtx.logs import fatal, install
install("[nsqd] ", "info")
Logger(namespace="nsqd").info("lost")
fatal("nsqd", "lost")
print("alive")
"""
    assert run(code).stdout == "alive\n"
