"""What nsqd takes from the machine (`nsqtx.nsqd.machine`)."""

from __future__ import annotations

import pytest

from nsqtx.nsqd.machine import Machine
from tests.support.descriptors import FakeDescriptors


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(32, 16), (1024, 256), (4096, 1024), (65_536, 16_384), (1 << 20, 16_384), (-1, 16_384)],
)
def test_open_segments(limit: int, expected: int) -> None:
    """Segments leave room for connections, and there are not more than make sense."""
    assert Machine(descriptors=FakeDescriptors(limit)).open_segments() == expected
