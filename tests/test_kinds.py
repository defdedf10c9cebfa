"""Kinds of option values: read from flags and files, shown under /config."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from nsqtx.durations import MILLISECOND, MINUTE, SECOND
from nsqtx.kinds import (
    BOOL,
    DURATION,
    FLOATS,
    INT,
    LEVELS,
    LOG_LEVEL,
    STRING,
    STRINGS,
    TLS_REQUIRED,
    TLS_VERSION,
    Kind,
    Unparsable,
    choice,
)

COLOUR = choice("red", "green", "blue")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (INT, "0", 0),
        (INT, "-1", -1),
        (INT, "+5", 5),
        (INT, "007", 7),
        (INT, "0755", 0o755),
        (INT, "0o17", 15),
        (INT, "0O17", 15),
        (INT, "0x1F", 31),
        (INT, "-0X1f", -31),
        (INT, "0b101", 5),
        (INT, "1_000_000", 1_000_000),
        (INT, "0x_ff", 255),
        (INT, "0_7", 7),
        (INT, "9223372036854775807", 2**63 - 1),
        (INT, "-9223372036854775808", -(2**63)),
        (BOOL, "1", True),
        (BOOL, "t", True),
        (BOOL, "T", True),
        (BOOL, "true", True),
        (BOOL, "TRUE", True),
        (BOOL, "True", True),
        (BOOL, "0", False),
        (BOOL, "f", False),
        (BOOL, "F", False),
        (BOOL, "false", False),
        (BOOL, "FALSE", False),
        (BOOL, "False", False),
        (DURATION, "1m30s", 90 * SECOND),
        (DURATION, "0", 0),
        (STRING, "", ""),
        (STRING, " x=y ", " x=y "),
        (STRINGS, "a:1", ["a:1"]),
        (STRINGS, "a,b", ["a,b"]),
        (FLOATS, "0.5", [0.5]),
        (FLOATS, "0.5, 1,.99", [0.5, 1.0, 0.99]),
        (LOG_LEVEL, "debug", "debug"),
        (LOG_LEVEL, "WARN", "warn"),
        (TLS_REQUIRED, "true", "true"),
        (TLS_REQUIRED, "1", "true"),
        (TLS_REQUIRED, "F", "false"),
        (TLS_REQUIRED, "TCP-https", "tcp-https"),
        (TLS_VERSION, "tls1.3", "tls1.3"),
        (TLS_VERSION, "TLS1.2", "tls1.2"),
        (TLS_VERSION, "", "tls1.0"),
        (COLOUR, "green", "green"),
    ],
)
def test_a_flag_is_read(kind: Kind, text: str, value: Any) -> None:
    """Every spelling that the original takes is taken (nsqd-engine section 14)."""
    found = kind.parse(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        *[
            (INT, text, "parse error")
            for text in (
                *("", "x", "1.5", " 1", "1 ", "1\n", "--1", "+-1", "08", "0x", "0b2", "0o8"),
                *("1__0", "_1", "1_", "0_8", "0x__1", "1e3", "\u0661"),
            )
        ],
        (INT, "9223372036854775808", "value out of range"),
        (INT, "-9223372036854775809", "value out of range"),
        (INT, "99999999999999999999", "value out of range"),
        (INT, "0xffffffffffffffff", "value out of range"),
        (INT, "9" * 5000, "value out of range"),
        *[(BOOL, text, "parse error") for text in ("", "maybe", "yes", "tRUE", "2", " true")],
        *[(DURATION, text, "parse error") for text in ("", "60", "abc", "1d")],
        (
            LOG_LEVEL,
            "warning",
            "invalid log level 'warning' (debug, info, warn, error, fatal)",
        ),
        (LOG_LEVEL, "", "invalid log level '' (debug, info, warn, error, fatal)"),
        (TLS_REQUIRED, "maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        (TLS_REQUIRED, "TRUe", 'strconv.ParseBool: parsing "TRUe": invalid syntax'),
        (TLS_VERSION, "ssl3.0", 'unknown tlsVersionOption "ssl3.0"'),
        (COLOUR, "yellow", "must be red, green or blue"),
        (COLOUR, "RED", "must be red, green or blue"),
    ],
)
def test_a_wrong_flag_is_refused_as_the_original_does(kind: Kind, text: str, reason: str) -> None:
    """The reasons are Go's, since scripts may look at them."""
    with pytest.raises(ValueError) as caught:
        kind.parse(text)
    assert str(caught.value) == reason


@pytest.mark.parametrize("text", ["x", "0.5,", "", "0.5,x", "0,5x"])
def test_a_percentile_that_is_no_number_is_an_error_of_its_own(text: str) -> None:
    """It names the first part that is no number."""
    with pytest.raises(Unparsable) as caught:
        FLOATS.parse(text)
    assert str(caught.value) == text.rpartition(",")[2]


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (INT, 5, 5),
        (INT, "5", 5),
        (INT, "-5", -5),
        (INT, "010", 10),
        (BOOL, True, True),
        (BOOL, False, False),
        (BOOL, "T", True),
        (BOOL, "0", False),
        (BOOL, 1, True),
        (BOOL, 0, False),
        (DURATION, "60s", MINUTE),
        (DURATION, 250, 250 * MILLISECOND),
        (DURATION, 0, 0),
        (STRING, "x", "x"),
        (STRINGS, ["a", "b"], ["a", "b"]),
        (STRINGS, "a,b", ["a", "b"]),
        (STRINGS, "", []),
        (STRINGS, [], []),
        (FLOATS, [0.5, 0.99], [0.5, 0.99]),
        (FLOATS, [0.5, 1], [0.5, 1.0]),
        (FLOATS, "0.5,0.9", [0.5, 0.9]),
        (FLOATS, "", []),
        (LOG_LEVEL, "Debug", "debug"),
        (TLS_REQUIRED, True, "true"),
        (TLS_REQUIRED, False, "false"),
        (TLS_REQUIRED, "tcp-https", "tcp-https"),
        (TLS_REQUIRED, "1", "true"),
        (TLS_VERSION, "tls1.1", "tls1.1"),
        (TLS_VERSION, "", "tls1.0"),
        (COLOUR, "red", "red"),
    ],
)
def test_a_value_of_a_file_is_read(kind: Kind, value: Any, found: Any) -> None:
    """TOML values become what the flag would give (nsqd-engine section 14.1)."""
    result = kind.coerce(value)
    assert (result, type(result)) == (found, type(found))


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (INT, "x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (INT, "1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
        (INT, 1.5, "invalid int64 value type float64"),
        (INT, True, "invalid int64 value type bool"),
        (INT, [1], "invalid int64 value type []interface {}"),
        (INT, 2**63, "value out of range"),
        (INT, "9" * 5000, "value out of range"),
        (BOOL, "maybe", 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        (BOOL, 2, "invalid bool value type int64"),
        (BOOL, 1.0, "invalid bool value type float64"),
        (DURATION, "60", 'time: missing unit in duration "60"'),
        (DURATION, 1.5, "invalid time.Duration value type float64"),
        (DURATION, True, "invalid time.Duration value type bool"),
        (DURATION, 2**62, "value out of range"),
        (STRING, 5, "invalid string value type int64"),
        (STRING, {"a": 1}, "invalid string value type map[string]interface {}"),
        (STRINGS, [1], "invalid []string value type []interface {}"),
        (STRINGS, 1, "invalid []string value type int64"),
        (FLOATS, [True], "invalid []float64 value type []interface {}"),
        (FLOATS, 0.5, "invalid []float64 value type float64"),
        (FLOATS, "x", "could not convert string to float: 'x'"),
        (LOG_LEVEL, 1, "invalid string value type int64"),
        (TLS_REQUIRED, 1, "invalid string value type int64"),
        (TLS_VERSION, "ssl3.0", 'unknown tlsVersionOption "ssl3.0"'),
        (COLOUR, "yellow", "must be red, green or blue"),
        (COLOUR, datetime.date(2024, 1, 2), "invalid string value type map[string]interface {}"),
    ],
)
def test_a_wrong_value_of_a_file_is_refused(kind: Kind, value: Any, reason: str) -> None:
    """A value of the wrong type, or that means nothing, raises ValueError with the reason."""
    with pytest.raises(ValueError) as caught:
        kind.coerce(value)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (STRING, "x", "x"),
        (INT, 5, 5),
        (BOOL, True, True),
        (DURATION, MINUTE, 60_000_000_000),
        (STRINGS, ["a"], ["a"]),
        (FLOATS, [0.5], [0.5]),
        *[(LOG_LEVEL, name, number) for name, number in LEVELS.items()],
        (TLS_REQUIRED, "false", 0),
        (TLS_REQUIRED, "tcp-https", 1),
        (TLS_REQUIRED, "true", 2),
        (TLS_VERSION, "tls1.0", 769),
        (TLS_VERSION, "tls1.3", 772),
        (COLOUR, "red", "red"),
    ],
)
def test_a_value_is_shown(kind: Kind, value: Any, shown: Any) -> None:
    """/config shows names as the original's numbers, durations in ns (nsqd-http section 10)."""
    assert kind.show(value) == shown


def test_log_levels_are_numbered_from_one_to_five() -> None:
    """Debug is 1 and fatal 5, which /config shows and log observers compare."""
    assert LEVELS == {"debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}


def test_only_switches_go_without_a_value() -> None:
    """Booleans and tls-required, which may be one, stand for true by themselves."""
    kinds = (STRING, INT, BOOL, DURATION, STRINGS, FLOATS, LOG_LEVEL, TLS_REQUIRED, TLS_VERSION)
    assert [kind for kind in kinds if kind.switch] == [BOOL, TLS_REQUIRED]


def test_a_shown_list_is_a_copy() -> None:
    """Nobody changes an option by changing what was shown of it."""
    value = [0.5]
    assert FLOATS.show(value) is not value


def test_whole_numbers_are_shown_without_a_fraction() -> None:
    """A percentile of 1.0 is 1 in Go's JSON."""
    assert [repr(value) for value in FLOATS.show([1.0, 0.5])] == ["1", "0.5"]


def test_nan_is_a_number_for_go() -> None:
    """It is left to the range check to refuse it."""
    (value,) = FLOATS.parse("NaN")
    assert math.isnan(value)
