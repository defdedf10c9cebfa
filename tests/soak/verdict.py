"""Whether what was recorded once a second stayed as flat as it should.

Memory is the hard one, since resident memory is never quite flat. Garbage waits for its
collection, once a minute; caches fill; most of what was needed at once is never given back. So only
the least of each two minutes counts, and of these floors the median of the slopes between any two
(Theil and Sen), so that a bad minute changes little. That is done for both halves of the time after
the warm-up, and the lesser slope counts: a step, or what fills up, is in one of them, but a leak
goes on and on. On a free machine an nsqd has some 140 connections by TCP a minute, about 100 by
HTTP, and 15,000 messages: 1 KiB that is kept for a connection is 140 KiB a minute, and 100 bytes
for a message more than 1 MiB. Smaller leaks of objects, and those on a machine that has less time
for it, are found by counting what is left after a collection.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import combinations
from statistics import median, median_high

import attrs

from tests.soak.vitals import Vitals

__all__ = ["MIB", "MORE_OBJECTS", "Record", "faults_of", "figures_of", "growth_of"]

KIB = 1024
MIB = 1024 * 1024
#: Seconds of which the least memory counts: two collections of young garbage, see `nsqtx.heap`.
WINDOW = 120.0
#: So many floors a half must have before its slope says anything. A shorter run is held to `LEAP`.
FEWEST_FLOORS = 4
#: How much the floor may rise, in bytes per minute.
GROWTH = 64 * KIB
#: How much memory may grow after the warm-up in a short run, in bytes.
LEAP = 16 * MIB
#: How many more objects a daemon may have at the end than after the warm-up, as in caches.
MORE_OBJECTS = 1000
#: Descriptors that may be open beyond what was once needed in the first half, for connections that
#: happen to be made at the same moment.
MORE_FDS = 10


@attrs.define
class Columns:
    """What one process used; see `tests.soak.vitals.Vitals`."""

    rss: array[int] = attrs.Factory(lambda: array("q"))
    fds: array[int] = attrs.Factory(lambda: array("q"))
    cpu: array[float] = attrs.Factory(lambda: array("d"))


class Record:
    """All that was seen, in arrays: it is part of the memory that is looked at.

    Times are in seconds since the start, stops left out; disk is in bytes.
    """

    def __init__(self, processes: Iterable[str], disks: Iterable[str]) -> None:
        self.times: array[float] = array("d")
        self.processes = {name: Columns() for name in processes}
        self.disks: dict[str, array[int]] = {name: array("q") for name in disks}
        self.waiting: array[int] = array("q")

    def add(
        self, time: float, processes: dict[str, Vitals], disks: dict[str, int], waiting: int
    ) -> None:
        """One second."""
        self.times.append(time)
        for name, vitals in processes.items():
            columns = self.processes[name]
            columns.rss.append(vitals.rss)
            columns.fds.append(vitals.fds)
            columns.cpu.append(vitals.cpu)
        for name, disk in disks.items():
            self.disks[name].append(disk)
        self.waiting.append(waiting)

    @property
    def warm(self) -> slice:
        """The seconds after the first third."""
        third = self.times[-1] / 3
        return slice(next(at for at, time in enumerate(self.times) if time >= third), None)


def floors(times: Sequence[float], values: Sequence[int]) -> list[tuple[float, int]]:
    """The least value of each window, with the time it was seen. The last window is whole."""
    found: dict[int, tuple[float, int]] = {}
    for time, value in zip(times, values, strict=True):
        window = int((times[-1] - time) / WINDOW)
        if window not in found or value < found[window][1]:
            found[window] = (time, value)
    if (times[-1] - times[0]) % WINDOW < WINDOW / 2:
        del found[max(found)]
    return sorted(found.values())


def growth_of(times: Sequence[float], values: Sequence[int]) -> float | None:
    """How fast memory grows, in bytes per minute; None: the time is too short to say."""
    points = floors(times, values)
    half = len(points) // 2
    if half < FEWEST_FLOORS:
        return None
    return min(slope_of(points[:half]), slope_of(points[half:]))


def slope_of(points: Sequence[tuple[float, int]]) -> float:
    """The median of the slopes between any two, per minute."""
    return median(
        (later - earlier) / (end - begin) * 60
        for (begin, earlier), (end, later) in combinations(points, 2)
    )


def faults_of(record: Record) -> list[str]:
    """What grew."""
    faults = []
    warm = record.warm
    times = record.times[warm]
    half = len(times) // 2
    for name, columns in record.processes.items():
        rss, fds = columns.rss[warm], columns.fds[warm]
        growth = growth_of(times, rss)
        if growth is None:
            if rss[-1] - rss[0] > LEAP:
                faults.append(f"{name}: its memory grew from {rss[0]} to {rss[-1]} bytes")
        elif growth > GROWTH:
            faults.append(f"{name}: its memory grows by {growth / KIB:.0f} KiB a minute")
        before, after = max(fds[:half]), max(fds[half:])
        if after > before + MORE_FDS:
            faults.append(f"{name}: {before} descriptors were open, then {after}")
    for name, column in record.disks.items():
        disk = column[warm]
        before, after = max(disk[:half]), max(disk[half:])
        # Segments go as a whole.
        if after > 1.25 * before + 4 * MIB:
            faults.append(f"{name}: {before} bytes of disk were used, then {after}")
    return faults


def figures_of(record: Record) -> list[tuple[str, str]]:
    """Name and value."""
    warm = record.warm
    times = record.times[warm]
    rows = []
    for name, columns in record.processes.items():
        rss, fds = columns.rss[warm], columns.fds[warm]
        growth = growth_of(times, rss)
        grows = "" if growth is None else f", {growth / KIB:+.1f} KiB a minute"
        share = (columns.cpu[-1] - columns.cpu[0]) / (record.times[-1] - record.times[0])
        rows.append(
            (
                name,
                f"RSS {rss[0] / MIB:.1f} to {rss[-1] / MIB:.1f} MiB (median "
                f"{median_high(rss) / MIB:.1f}, largest {max(rss) / MIB:.1f}){grows}; "
                f"{min(fds)} to {max(fds)} descriptors; {share:.1%} of a core",
            )
        )
    for name, column in record.disks.items():
        disk = column[warm]
        rows.append((f"disk of {name}", f"{min(disk) / MIB:.1f} to {max(disk) / MIB:.1f} MiB"))
    rows.append(("deliveries waiting", f"up to {max(record.waiting[warm]):,}"))
    return rows
