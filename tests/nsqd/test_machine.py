"""What nsqd takes from the machine (`nsqtx.nsqd.machine`)."""

from __future__ import annotations

import pytest

from nsqtx.nsqd.machine import Machine


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(256, 128), (1024, 512), (4096, 1024), (65_536, 16_384), (1 << 20, 16_384), (-1, 16_384)],
)
def test_open_segments(limit: int, expected: int) -> None:
    """Segments leave room for connections, and there are not more than make sense."""
    assert Machine(descriptors=lambda: limit).open_segments() == expected
