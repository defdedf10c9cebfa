"""Durations are read and written as Go does it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.durations import HOUR, MILLISECOND, MINUTE, SECOND, format_duration, parse_duration

LIMIT = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("60s", MINUTE),
        ("1m30s", 90 * SECOND),
        ("1.5h", 90 * MINUTE),
        (".5s", SECOND // 2),
        ("1.s", SECOND),
        ("250ms", 250 * MILLISECOND),
        ("837.100353ms", 837100353),
        ("7us", 7000),
        ("7\u00b5s", 7000),
        ("7\u03bcs", 7000),
        ("1ns", 1),
        ("0.9ns", 0),
        ("1h1m1s1ms1us1ns", HOUR + MINUTE + SECOND + MILLISECOND + 1001),
        ("1s1s", 2 * SECOND),
        ("-1.5m", -90 * SECOND),
        ("+2s", 2 * SECOND),
        ("9223372036854775807ns", LIMIT),
    ],
)
def test_what_a_duration_means(text: str, ns: int) -> None:
    """Decimal numbers with units add up to nanoseconds."""
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", "-", "s", ".s", "1", "60", "1.5", "1d", "1 s", " 1s", "1s ", "1e3s", "1m-1s", "--1s",
     "1_000s", "\u0661s", "9223372036854775808ns", "2562048h", "1S"],
)  # fmt: skip
def test_what_is_no_duration(text: str) -> None:
    """A number without unit, an unknown unit, a space, and what exceeds 64 bits are refused."""
    with pytest.raises(ValueError, match=r"^time: "):
        parse_duration(text)


def test_a_missing_unit_is_named() -> None:
    """The most common mistake, a bare number, has a text of its own."""
    with pytest.raises(ValueError, match=r'^time: missing unit in duration "60"$'):
        parse_duration("60")


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1100, "1.1\u00b5s"),
        (2200000, "2.2ms"),
        (837100353, "837.100353ms"),
        (SECOND, "1s"),
        (3300000000, "3.3s"),
        (MINUTE, "1m0s"),
        (10 * MINUTE, "10m0s"),
        (245 * SECOND, "4m5s"),
        (245001 * MILLISECOND, "4m5.001s"),
        (HOUR, "1h0m0s"),
        (LIMIT, "2562047h47m16.854775807s"),
        (-90 * SECOND, "-1m30s"),
    ],
)
def test_how_a_duration_is_written(ns: int, text: str) -> None:
    """The largest fitting unit below a second, hours, minutes and seconds above."""
    assert format_duration(ns) == text


@given(st.integers(-LIMIT, LIMIT))
def test_what_is_written_is_read_as_the_same(ns: int) -> None:
    """Nothing is lost in the text."""
    assert parse_duration(format_duration(ns)) == ns
