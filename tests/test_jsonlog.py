"""Log lines as JSON: one object a line, whatever is logged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from nsqtx.logs import NsqLogObserver, fatal


class Lines:
    """A stream that keeps lines, and a logger that writes JSON to it."""

    def __init__(self, level: str = "info") -> None:
        self.text = ""
        self.observer = NsqLogObserver(self, "[nsqd] ", level, "json")
        self.logger = Logger(namespace="nsqd.tcp", observer=LogPublisher(self.observer))

    def write(self, text: str, /) -> None:
        """Keep a text."""
        assert text.isascii()
        self.text += text

    def flush(self) -> None:
        """There is nothing to flush."""

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What the lines say; every one is an object."""
        assert self.text.endswith("\n")
        return [json.loads(line) for line in self.text.splitlines()]


class Unprintable:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError


def test_an_event_is_an_object() -> None:
    """Time in UTC, level, namespace and text, then the fields of the event, in that order."""
    lines = Lines()
    lines.observer(
        {
            "log_time": 1_700_000_000.000001,
            "log_level": LogLevel.warn,
            "log_namespace": "nsqd.tcp",
            "log_format": "{a} and {b}",
            "a": 1,
            "b": "two",
        }
    )
    assert lines.text == (
        '{"ts":"2023-11-14T22:13:20.000001Z","level":"warning","namespace":"nsqd.tcp",'
        '"message":"1 and two","a":1,"b":"two"}\n'
    )


def test_levels_are_those_of_text() -> None:
    """What is below the level is not written."""
    lines = Lines("warn")
    for name in ("debug", "info", "warn", "error", "critical"):
        getattr(lines.logger, name)("x")
    assert [each["level"] for each in lines.objects] == ["warning", "error", "fatal"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (2**64, str(2**64)),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"a\xff\n", "a\\xff\n"),
        ("a\nb\x00\x7f\u2028", "a\nb\x00\x7f\u2028"),
        ("\udcff", "\\udcff"),
        ([1, "x"], "[1, 'x']"),
        (Unprintable(), "<unprintable Unprintable>"),
    ],
)
def test_any_value_is_a_field(value: object, shown: object) -> None:
    """What JSON has no form for is its text; a line is always one line."""
    lines = Lines()
    lines.logger.info("said", value=value)
    (line,) = lines.objects
    assert (line["message"], line["value"]) == ("said", shown)
    assert lines.text.count("\n") == 1
    assert "\x7f" not in lines.text


def test_a_field_does_not_hide_what_every_line_has() -> None:
    """It gets an underscore; Twisted's own keys are no fields."""
    lines = Lines()
    event = {"log_namespace": "nsqd", "log_format": "said", "log_x": 1, "time": 1.0}
    lines.observer({**event, "level": "mine", "ts": 1, "namespace": "n"})
    (line,) = lines.objects
    assert (line["level"], line["level_"], line["ts_"], line["namespace_"]) == (
        "info",
        "mine",
        1,
        "n",
    )
    assert set(line) == {"ts", "level", "namespace", "message", "ts_", "level_", "namespace_"}


def test_a_failure_has_its_traceback_in_a_field() -> None:
    """All of it, in the one line of the event."""
    lines = Lines()
    try:
        raise RuntimeError("broken\x1b\n{")
    except RuntimeError:
        lines.logger.failure("tick {n}", Failure(), n=3)
    (line,) = lines.objects
    assert (line["level"], line["message"], line["n"]) == ("error", "tick 3", 3)
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert "broken\x1b\n{" in line["traceback"]


def test_a_format_that_does_not_fit_is_a_line() -> None:
    """Twisted says what was wrong with it."""
    lines = Lines()
    lines.logger.info("{missing.field} {", other=1)
    (line,) = lines.objects
    assert line["other"] == 1


def test_why_a_program_does_not_start() -> None:
    """The same form, with the program for a namespace."""
    lines = Lines()
    fatal("nsqd", "no\nway", lines, "json")
    (line,) = lines.objects
    assert (line["level"], line["namespace"], line["message"]) == ("fatal", "nsqd", "no\nway")
