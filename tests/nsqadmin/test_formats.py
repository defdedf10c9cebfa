"""Figures, bodies and tables as people read them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsqtx.nsqadmin import formats
from nsqtx.nsqadmin.jsontext import hex_dump, pretty_json


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0ns"),
        (999, "999ns"),
        (1500, "1.5µs"),
        (2_000_000, "2ms"),
        (1_234_567_890, "1.23s"),
        (61e9, "1m 1s"),
        (3600e9, "1h 0m 0s"),
        (-5, "0ns"),
    ],
)
def test_durations(nanoseconds: float, text: str) -> None:
    """As the original's pages have them."""
    assert formats.span(nanoseconds) == text


def test_numbers() -> None:
    """Thousands have commas, large ones letters."""
    assert formats.count(1234567) == "1,234,567"
    assert [formats.short(each) for each in (0, 7, 1234, 5.5e6, 2e9, 3e12)] == [
        "0", "7", "1.23k", "5.5M", "2G", "3T",
    ]  # fmt: skip
    assert [formats.rate(each) for each in (None, 0.0, 0.25, 12.6, 12345.0)] == [
        "–", "0", "0.25", "13", "12,345",
    ]  # fmt: skip
    assert [formats.size(each) for each in (12, 2048, 3 * 2**20, 2**31)] == [
        "12 B", "2.0 KiB", "3.0 MiB", "2.0 GiB",
    ]  # fmt: skip
    assert [formats.ago(each) for each in (0, 59, 61, 3700, 100_000, -4)] == [
        "0s", "59s", "1m 1s", "1h 1m", "1d 3h", "0s",
    ]  # fmt: skip
    assert [formats.ordinal(each) for each in (0.99, 0.999, 0.91, 0.5, 0.92, 1)] == [
        "99th", "99th", "91st", "50th", "92nd", "100th",
    ]  # fmt: skip
    assert formats.stamp(1e30) == "–"


def test_json_is_shown_as_it_was_written() -> None:
    """Numbers, escapes and repeated keys are not changed."""
    text = '{"a":1.0e5,"a":[],"b":[1,{"c":"\\u00e4,{"}],"big":12345678901234567890123,"e":{}}'
    assert pretty_json(text) == (
        "{\n"
        '  "a": 1.0e5,\n'
        '  "a": [],\n'
        '  "b": [\n'
        "    1,\n"
        "    {\n"
        '      "c": "\\u00e4,{"\n'
        "    }\n"
        "  ],\n"
        '  "big": 12345678901234567890123,\n'
        '  "e": {}\n'
        "}"
    )


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=10,
)


@settings(max_examples=15, deadline=None)
@given(st.lists(VALUES) | st.dictionaries(st.text(), VALUES), st.booleans())
def test_pretty_json_is_the_same_json(value: Any, ascii: bool) -> None:
    """Only the white space differs."""
    pretty = pretty_json(json.dumps(value, ensure_ascii=ascii))
    assert pretty is not None
    assert json.loads(pretty) == value


@pytest.mark.parametrize(
    "text",
    ["", "text", "12", '"text"', "{", "[1,]", "{'a': 1}", "[" * 5000, "[" * 200 + "]" * 200],
)
def test_what_is_no_json_stays_text(text: str) -> None:
    """Also what is nested too deeply to be read."""
    assert pretty_json(text) is None


def test_bytes_are_dumped() -> None:
    """Offsets, digits, letters; not more than half a KiB."""
    text = hex_dump(b64encode(b"\x00\x01<b>" + b"x" * 2000).decode())
    assert text.splitlines()[0] == (
        "0000  00 01 3c 62 3e 78 78 78 78 78 78 78 78 78 78 78  ..<b>xxxxxxxxxxx"
    )
    assert len(text.splitlines()) == 32
    assert hex_dump("no base64") == "no base64"
