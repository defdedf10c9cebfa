"""Open files of segments."""

from __future__ import annotations

from nsqtx.storage.handles import Handles
from nsqtx.storage.segment import Segment
from tests.support.disk import SimulatedDisk


def _segments(disk: SimulatedDisk, count: int) -> list[Segment]:
    segments = []
    for number in range(count):
        disk.write(f"s{number}", b"")
        segments.append(Segment(f"s{number}", number, b"mark", print))
    return segments


def test_the_one_not_used_is_closed() -> None:
    """When too many are open, one that nobody used since the hand came by is closed."""
    disk = SimulatedDisk()
    handles = Handles(disk, limit=3)
    one, two, three, four, five = _segments(disk, 5)
    for segment in (one, two, three, four):
        handles.get(segment)
    assert (one.file, disk.open_files) == (None, 3)
    handles.get(three)
    handles.get(five)
    assert (two.file, disk.open_files) == (None, 3)
    assert three.file is not None


def test_pinned_files_stay_open() -> None:
    """A file that a thread works on is never closed, not even when its segment is dropped."""
    disk = SimulatedDisk()
    handles = Handles(disk, limit=1)
    one, two = _segments(disk, 2)
    handles.pin(one)
    handles.get(two)
    handles.sweep(100.0)
    handles.sweep(200.0)
    assert disk.open_files == 1
    handles.drop(one)
    assert disk.open_files == 1
    handles.unpin(one)
    assert disk.open_files == 0


def test_idle_files_are_closed() -> None:
    """A file is closed when a whole interval has passed without a use."""
    disk = SimulatedDisk()
    handles = Handles(disk, limit=10)
    one, two = _segments(disk, 2)
    handles.get(one)
    handles.get(two)
    handles.sweep(100.0)
    handles.get(two)
    handles.sweep(110.0)
    assert len(handles) == 2
    handles.sweep(131.0)
    assert (one.file, len(handles)) == (None, 1)


def test_all_pinned() -> None:
    """When every file is needed the limit gives way."""
    disk = SimulatedDisk()
    handles = Handles(disk, limit=2)
    for segment in _segments(disk, 4):
        handles.pin(segment)
    assert len(handles) == 4
