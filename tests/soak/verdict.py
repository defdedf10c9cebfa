"""Whether what was recorded once a second stayed as flat as it should."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression, median_high

import attrs

from tests.soak.vitals import Vitals

__all__ = ["Sample", "faults_of", "figures_of"]

MIB = 1024 * 1024
#: How much the memory of a process may grow after the warm-up, in bytes. What only Python's garbage
#: collector can free (closed connections, HTTP requests, deleted topics) waits for it, and it is
#: run seldom. Whether anything else stays is told by the number of objects after a collection.
GROWTH = 16 * MIB
#: Descriptors that may be open beyond what was once needed in the first half, for connections that
#: happen to be made at the same moment.
MORE_FDS = 10


@attrs.frozen
class Sample:
    """One second: its time since the start, stops left out, all processes by name, bytes of disk
    by nsqd.
    """

    time: float
    processes: dict[str, Vitals]
    disk: dict[str, int]
    waiting: int


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """Those after the first third."""
    return [sample for sample in samples if sample.time >= samples[-1].time / 3]


def memory_slope(samples: Sequence[Sample], name: str) -> float:
    """Bytes per minute, after the warm-up."""
    later = warm(samples)
    minutes = [sample.time / 60 for sample in later]
    return linear_regression(minutes, [sample.processes[name].rss for sample in later]).slope


def faults_of(samples: Sequence[Sample]) -> list[str]:
    """What grew."""
    faults = []
    later = warm(samples)
    minutes = (later[-1].time - later[0].time) / 60
    half = len(later) // 2
    for name in later[0].processes:
        growth = memory_slope(samples, name)
        if growth * max(minutes, 0.1) > GROWTH:
            faults.append(f"{name}: its memory grows by {growth / 1024:.0f} KiB a minute")
        before, after = (
            max(sample.processes[name].fds for sample in part)
            for part in (later[:half], later[half:])
        )
        if after > before + MORE_FDS:
            faults.append(f"{name}: {before} descriptors were open, then {after}")
    for name in later[0].disk:
        before, after = (
            max(sample.disk[name] for sample in part) for part in (later[:half], later[half:])
        )
        # Segments go as a whole.
        if after > 1.25 * before + 4 * MIB:
            faults.append(f"{name}: {before} bytes of disk were used, then {after}")
    return faults


def figures_of(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Name and value."""
    later = warm(samples)
    rows = []
    for name, last in samples[-1].processes.items():
        rss = [sample.processes[name].rss / MIB for sample in later]
        fds = [sample.processes[name].fds for sample in later]
        grows = memory_slope(samples, name) / 1024
        share = (last.cpu - samples[0].processes[name].cpu) / (samples[-1].time - samples[0].time)
        rows.append(
            (
                name,
                f"RSS {rss[0]:.1f} to {rss[-1]:.1f} MiB (median {median_high(rss):.1f}, "
                f"largest {max(rss):.1f}), {grows:+.1f} KiB a minute; "
                f"{min(fds)} to {max(fds)} descriptors; {share:.1%} of a core",
            )
        )
    for name in later[0].disk:
        disk = [sample.disk[name] / MIB for sample in later]
        rows.append((f"disk of {name}", f"{min(disk):.1f} to {max(disk):.1f} MiB"))
    rows.append(("deliveries waiting", f"up to {max(sample.waiting for sample in later):,}"))
    return rows
