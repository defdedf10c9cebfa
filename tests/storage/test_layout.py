"""Names on disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.storage.layout import (
    decode_topic,
    encode_topic,
    index_path,
    parse_segment_name,
    segment_name,
)

_NAMES = st.text("abcXYZ019._-", min_size=1, max_size=64)


@pytest.mark.parametrize(
    ("topic", "directory"),
    [
        ("orders", "orders"),
        ("Orders", "%4frders"),
        (".", "%2e"),
        ("..", "%2e%2e"),
        ("a_b-0", "a_b-0"),
        ("t#ephemeral", "t%23ephemeral"),
    ],
)
def test_encoding(topic: str, directory: str) -> None:
    """A topic's directory is its name with everything but a-z, digits, _ and - escaped."""
    assert encode_topic(topic) == directory
    assert decode_topic(directory) == topic


@given(_NAMES, _NAMES)
def test_names_stay_apart_where_case_does_not_count(one: str, other: str) -> None:
    """Two topics never share a directory, not even where the file system ignores case."""
    assert (encode_topic(one).lower() == encode_topic(other).lower()) == (one == other)
    assert decode_topic(encode_topic(one)) == one


@pytest.mark.parametrize(
    "directory", ["", ".", "..", "A", "a.b", "%", "%2", "%2E", "%61", "stopped.mark", "a.deleted.1"]
)
def test_what_is_no_topic(directory: str) -> None:
    """What the encoding cannot have made is not taken for a topic."""
    assert decode_topic(directory) is None


def test_undecodable_bytes_are_no_topic() -> None:
    """Escaped bytes that are not UTF-8 are not a topic."""
    assert decode_topic("%ff") is None


def test_segment_names() -> None:
    """A segment's name gives its first position and its mark; its index stands beside it."""
    name = segment_name(1700000000000000, b"\x00\x01\xab\xff")
    assert name == "00060a24181e4000.0001abff.log"
    assert parse_segment_name(name) == (1700000000000000, b"\x00\x01\xab\xff")
    assert index_path(f"x/{name}") == "x/00060a24181e4000.0001abff.idx"


@pytest.mark.parametrize("name", ["x.log", "00060a24181e4000.0001abff.idx", "checkpoint.a"])
def test_what_is_no_segment(name: str) -> None:
    """Other files are not taken for segments."""
    assert parse_segment_name(name) is None
