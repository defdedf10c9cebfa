"""What a process uses, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

import attrs

__all__ = ["Vitals", "disk_use", "vitals"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


@attrs.frozen
class Vitals:
    """A process at one moment."""

    rss: int
    fds: int
    #: Seconds of processor time since its start.
    cpu: float


def vitals(pid: int | str) -> Vitals:
    """Of a process that runs and is ours. OSError passes through."""
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text().split()[1])
    ticks = sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return Vitals(pages * _PAGE, len(os.listdir(process / "fd")), ticks / _TICK)


def disk_use(path: Path) -> int:
    """Bytes of disk that a directory takes; files may go while they are counted."""
    total = 0
    pending = [path]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except FileNotFoundError:
            pass
    return total
