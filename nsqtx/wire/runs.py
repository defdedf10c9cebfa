"""Runs: many pieces of the same length, one after the other, cut at the speed of C.

Producers tend to send messages of one size, and a read full of them is a table with equal rows.
Whether it really is one, a few strided slices tell; the rows then come out of one call. Measured
in units of a plain Python call, a message of a PUB or MPUB costs the parser 1.3 to 2.3 so, against
8 to 9 in a loop; finding that the rows are not equal costs 0.2.
"""

from __future__ import annotations

from struct import iter_unpack, unpack_from

__all__ = ["WORTHWHILE", "alike", "cut"]

#: From how many rows on it pays to look for a run.
WORTHWHILE = 4
# `struct` remembers a hundred formats; one of this many rows takes some 20 kB there.
_MAX_REMEMBERED = 512


def alike(data: bytes, at: int, stride: int, count: int, head: bytes) -> bool:
    """Whether ``count`` rows of ``stride`` bytes at ``at`` all begin with ``head``."""
    stop = at + stride * count
    # Backwards: a head ends in a size, and its last byte is what differs between two sizes.
    for offset in range(len(head) - 1, -1, -1):
        if data[at + offset : stop : stride] != head[offset : offset + 1] * count:
            return False
    return True


def cut(data: bytes, at: int, stride: int, count: int, row: str) -> list[bytes]:
    """One piece of each row; ``row`` is the `struct` format of ``stride`` bytes with one ``s``."""
    if count <= _MAX_REMEMBERED:
        return list(unpack_from(row * count, data, at))
    with memoryview(data) as view, view[at : at + stride * count] as rows:
        return [piece for (piece,) in iter_unpack(row, rows)]
