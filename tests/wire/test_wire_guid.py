"""Message ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.wire.guid import (
    MAX_POSITION,
    NODE_IDS,
    default_node_id,
    make_ids,
    position_of,
    positions_of,
)


@pytest.mark.parametrize("count", [0, 1, 2, 200, 1000])
def test_ids(count: int) -> None:
    """An id is the hex of position and node, and leads back to the position."""
    first = 123_456_789_012
    ids = make_ids(first, count, 1023)
    assert ids == [b"%016x" % ((first + index) << 10 | 1023) for index in range(count)]
    assert [position_of(id) for id in ids] == list(range(first, first + count))


def test_last_position() -> None:
    """The very last position still has an id of 16 digits."""
    assert make_ids(MAX_POSITION - 2, 2, 1023) == [b"fffffffffffffbff", b"f" * 16]
    assert make_ids(MAX_POSITION - 1, 1, 1023) == [b"f" * 16]


@pytest.mark.parametrize(("hostname", "node_id"), [("localhost", 16), ("nsqd-1", 958)])
def test_node_id(hostname: str, node_id: int) -> None:
    """A host has the node id that the original gives it."""
    assert default_node_id(hostname) == node_id


@given(st.lists(st.integers(0, MAX_POSITION - 1)), st.integers(0, NODE_IDS - 1))
def test_positions_of_many(positions: list[int], node_id: int) -> None:
    """As of each."""
    ids = [make_ids(position, 1, node_id)[0] for position in positions]
    assert positions_of(ids) == [position_of(id) for id in ids] == positions
