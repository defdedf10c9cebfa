"""The query rules (nsqd-http section 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.web.args import MalformedQuery, is_true, parse_query


@pytest.mark.parametrize(
    ("query", "args"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"topic=t", {"topic": "t"}),
        (b"topic", {"topic": ""}),
        (b"topic=", {"topic": ""}),
        (b"topic=t&topic=u", {"topic": "t"}),
        (b"Topic=t", {"Topic": "t"}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=b+c%2Bd", {"a": "b c+d"}),
        (b"t%6fpic=e%23ephemeral", {"topic": "e#ephemeral"}),
        (b"a=%C3%A4", {"a": "ä"}),
        (b"=x", {"": "x"}),
    ],
)
def test_query(query: bytes, args: dict[str, str]) -> None:
    """A well-formed query gives its parameters, the first value of each."""
    assert parse_query(query) == args


@pytest.mark.parametrize("query", [b"a=%zz", b"a=%", b"a=%4", b"x=1&y=%g0", b"a=b;c=d", b";"])
def test_malformed_query(query: bytes) -> None:
    """A bad escape or a semicolon anywhere makes the whole query malformed."""
    with pytest.raises(MalformedQuery):
        parse_query(query)


@given(st.binary(max_size=60))
def test_any_bytes(query: bytes) -> None:
    """Whatever a client sends is parameters or malformed, never another error."""
    try:
        args = parse_query(query)
    except MalformedQuery:
        return
    assert all(isinstance(value, str) for value in args.values())


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ({}, True),
        ({"f": "false"}, False),
        ({"f": "0"}, False),
        ({"f": "False"}, True),
        ({"f": ""}, True),
        ({"f": "no"}, True),
    ],
)
def test_flag(args: dict[str, str], value: bool) -> None:
    """A flag is off only at exactly false and 0."""
    assert is_true(args, "f") is value
