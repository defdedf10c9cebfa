"""Our Reader and Writer beside pynsq and gnsq, on one nsqd of ours, in one run.

``python -m bench.client_bench [--scale 1.0] [--only TEXT] [--json FILE]``

Each client runs in a process of its own, on a fresh nsqd. Take the ratios: absolute figures are
those of the machine. pynsq and gnsq are in the extra ``interop``; without one its column is empty.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.case import BATCH, fill
from bench.clients import CHANNEL, CLIENTS, TOPIC, Work
from bench.measure import JOB_SECONDS, REFERENCE_CALL_NS, ROOT, call_nanoseconds
from tests.support.daemon import Daemon

MODULES = {"nsqtx": "nsqtx", "pynsq": "nsq", "gnsq": "gnsq"}


class Case(NamedTuple):
    """A line of the report. What others cannot do, or do as in another line, is left out."""

    name: str
    work: Work
    clients: tuple[str, ...] = CLIENTS

    @property
    def messages(self) -> int:
        return self.work.commands * (self.work.batch or 1)


class Figures(NamedTuple):
    """Messages per second, and the client's own CPU time per message in microseconds."""

    rate: float
    cpu_us: float


def cases(scale: float) -> Iterator[Case]:
    """All of them. ``scale`` 1 takes about a minute."""

    def count(number: int) -> int:
        return max(1, round(number * scale / 320)) * 320

    publishes, batches, reads = count(64_000), count(1280), count(640) * BATCH
    yield Case("publish, 64 outstanding", Work("", "write", 0, publishes, 0, 200, 64))
    yield Case(
        "publish, 64 coroutines", Work("", "await", 0, publishes, 0, 200, 64), clients=("nsqtx",)
    )
    yield Case("publish, 1 outstanding", Work("", "write", 0, count(9600), 0, 200, 1))
    yield Case("multi_publish of 200", Work("", "write", 0, batches, BATCH, 200, 8))
    yield Case("consume, 2500 in flight", Work("", "read", 0, reads, 0, 200, 2500))


def run(case: Case, client: str) -> Figures:
    """Let one client do it."""
    flags = ("--durability=os", "--log-level=info")
    with (
        tempfile.TemporaryDirectory(prefix="client-bench-") as path,
        Daemon(Path(path), *flags) as nsqd,
    ):
        work = case.work._replace(client=client, port=nsqd.tcp_port)
        if work.kind == "read":
            fill(nsqd, TOPIC, [CHANNEL], work.commands, work.size)
        done = subprocess.run(
            [sys.executable, "-m", "bench.clients", json.dumps(work._asdict())],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=JOB_SECONDS,
        )
    if done.returncode:
        raise SystemExit(f"{client} failed at {case.name!r}:\n{done.stderr}")
    took = json.loads(done.stdout)
    return Figures(case.messages / took["seconds"], took["cpu"] / case.messages * 1e6)


def main() -> None:
    """Measure and report."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--scale", type=float, default=1.0, help="how many messages")
    arguments.add_argument("--only", default="", help="cases with this in their name")
    arguments.add_argument("--json", default="", help="write the figures to this file too")
    options = arguments.parse_args()
    here = [name for name in CLIENTS if importlib.util.find_spec(MODULES[name])]
    call = call_nanoseconds()
    print(f"a Python call: {call:.0f} ns ({REFERENCE_CALL_NS:.0f} on the reference machine)")
    print("messages of 200 B; CPU is the client's, per message")
    heads = "".join(f"{f'{name} msg/s':>15}{'CPU us':>9}" for name in here)
    print(f"{'':26}{heads}" + "".join(f"{f'/ {name}':>9}" for name in here[1:]))
    report = {}
    for case in cases(options.scale):
        if options.only not in case.name:
            continue
        figures = {name: run(case, name) for name in here if name in case.clients}
        line = f"{case.name:26}"
        for name in here:
            each = figures.get(name)
            line += f"{each.rate:15,.0f}{each.cpu_us:9.1f}" if each else " " * 24
        for name in here[1:]:
            if name in figures:
                line += f"{figures['nsqtx'].rate / figures[name].rate:9.2f}"
        print(line, flush=True)
        report[case.name] = {name: each._asdict() for name, each in figures.items()}
    if options.json:
        text = json.dumps({"call_ns": call, "cases": report}, indent=1)
        Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
