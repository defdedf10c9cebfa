"""Measuring a server process from outside: its CPU time, its memory, and jobs run against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import timeit
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from bench.jobs import Job, encode

__all__ = [
    "REFERENCE_CALL_NS",
    "ROOT",
    "Result",
    "call_nanoseconds",
    "cpu_seconds",
    "peak_bytes",
    "resident_bytes",
    "run_jobs",
]

#: What a Python call costs where the design was measured.
REFERENCE_CALL_NS = 32.0
ROOT = Path(__file__).resolve().parent.parent
JOB_SECONDS = 300
_NONE: Mapping[str, float] = MappingProxyType({})


class Result(NamedTuple):
    """What one workload cost."""

    messages: int
    seconds: float
    cpu_seconds: float
    #: Percentiles of single commands, in microseconds; empty if none were measured.
    latency: Mapping[str, float] = _NONE
    #: What else there is to say, by name and unit.
    notes: Mapping[str, float] = _NONE

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds

    @property
    def microseconds(self) -> float:
        """Microseconds of the server's CPU per message."""
        return self.cpu_seconds / self.messages * 1e6


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, all its threads; in nanoseconds' resolution if Linux has it."""
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    except FileNotFoundError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total / 1e9


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid: int) -> int:
    """The most memory that a process had so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def run_jobs(pid: int | Sequence[int], jobs: Sequence[Job], messages: int) -> Result:
    """Run load processes at once against a server, or several, and wait for all of them."""
    pids = [pid] if isinstance(pid, int) else pid
    before = sum(map(cpu_seconds, pids))
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.load", encode(job)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for job in jobs
    ]
    seconds = 0.0
    latency: dict[str, float] = {}
    try:
        for process in running:
            output, _ = process.communicate(timeout=JOB_SECONDS)
            if process.returncode:
                raise SystemExit(f"a load process failed with {process.returncode}")
            taken = json.loads(output)
            seconds = max(seconds, taken["seconds"])
            latency = taken["latency"] or latency
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
            process.wait()
    # What the server still does about the last command belongs to it.
    time.sleep(0.05)
    return Result(messages, seconds, sum(map(cpu_seconds, pids)) - before, latency)


def call_nanoseconds() -> float:
    """What a call of an empty Python function costs on this machine."""
    number = 2_000_000
    best = min(timeit.repeat("f()", "def f(): pass", number=number, repeat=3))
    return best / number * 1e9
