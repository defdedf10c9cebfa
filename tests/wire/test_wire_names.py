"""Names of topics and channels."""

from __future__ import annotations

import pytest

from nsqtx.wire.names import is_ephemeral, valid_name

VALID = [".", "..", "-", "_", "a", "Topic-1.x_y", "x#ephemeral", "x" * 64, "x" * 54 + "#ephemeral"]
INVALID = [
    "",
    "a:b",
    "a/b",
    "*",
    "a b",
    "a\n",
    "\na",
    "a\r",
    "a\0b",
    "é",
    "a\u0661",
    "#ephemeral",
    "t#eph",
    "t#ephemeralx",
    "t#ephemeral\n",
    "a#ephemeral#ephemeral",
    "x" * 65,
    "x" * 55 + "#ephemeral",
]


@pytest.mark.parametrize("name", VALID)
def test_valid(name: str) -> None:
    """These names are valid, as text and as bytes."""
    assert valid_name(name)
    assert valid_name(name.encode())


@pytest.mark.parametrize("name", INVALID)
def test_invalid(name: str) -> None:
    """These names are not, as text and as bytes."""
    assert not valid_name(name)
    assert not valid_name(name.encode())


def test_bytes_that_are_no_text() -> None:
    """Bytes that are not UTF-8 are no name."""
    assert not valid_name(b"\xff")


def test_ephemeral() -> None:
    """A name is ephemeral by its end."""
    assert is_ephemeral("x#ephemeral")
    assert not is_ephemeral("ephemeral")
