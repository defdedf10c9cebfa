"""Runs of equal rows."""

from __future__ import annotations

import pytest

from nsqtx.wire.runs import alike, cut


@pytest.mark.parametrize("count", [0, 1, 3, 512, 513, 2000])
def test_cut(count: int) -> None:
    """Each row gives its piece, in order, few rows and many alike."""
    rows = [b"%04d" % number for number in range(count)]
    data = b"??" + b"".join(b"hh" + row + b"t" for row in rows) + b"rest"
    assert cut(data, 2, 7, count, "2x4sx") == rows
    assert alike(data, 2, 7, count, b"hh")


@pytest.mark.parametrize("row", [0, 1, 4])
@pytest.mark.parametrize("column", [0, 1])
def test_one_is_different(row: int, column: int) -> None:
    """One other byte in one head, and the rows are not alike."""
    data = bytearray(b"hhx" * 5)
    data[3 * row + column] ^= 1
    assert not alike(bytes(data), 0, 3, 5, b"hh")


def test_bodies_do_not_matter() -> None:
    """Only the heads have to be equal, and only those of the rows asked for."""
    assert alike(b"haHbhchdXe", 4, 2, 2, b"h")
    assert not alike(b"haHbhchdXe", 4, 2, 3, b"h")
