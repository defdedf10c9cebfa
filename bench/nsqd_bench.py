"""Messages per second through nsqd, and its CPU per message, beside the ceiling.

``python -m bench.nsqd_bench [--scale 1.0] [--durability os] [--only TEXT] [--json FILE]``

Take the ratios: absolute figures are those of the machine, for which the first line gives a
measure (the price of a Python call; 32 ns on the reference machine).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.ceiling import start_ceiling, stop_ceiling
from bench.load import Consume, Publish, publish_rounds
from bench.measure import Result, call_nanoseconds, run_jobs
from tests.support.daemon import Daemon

REFERENCE_CALL_NS = 32.0
BATCH = 200
READY = 2500


class Workload(NamedTuple):
    """A line of the report: how to run it on nsqd, and the same bytes on the ceiling."""

    name: str
    run: Callable[[Daemon, str], Result]
    ceiling: Callable[[], Result] | None


def create_channels(nsqd: Daemon, topic: str, channels: list[str]) -> None:
    """Make topic and channels, so that what is published waits in each of them."""
    targets = [f"/topic/create?topic={topic}"]
    targets += [f"/channel/create?topic={topic}&channel={channel}" for channel in channels]
    for target in targets:
        url = f"http://127.0.0.1:{nsqd.http_port}{target}"
        with urllib.request.urlopen(urllib.request.Request(url, b"", method="POST")):
            pass


def publishing(
    name: str, commands: int, batch: int, size: int, window: int, connections: int, channels: int
) -> Workload:
    """A workload of publishing alone."""
    messages = commands * (batch or 1)
    job = Publish(0, "t", commands, batch, size, window, connections)

    def on_nsqd(nsqd: Daemon, topic: str) -> Result:
        create_channels(nsqd, topic, [f"c{number}" for number in range(channels)])
        return run_jobs(nsqd.pid, [job._replace(port=nsqd.tcp_port, topic=topic)], messages)

    def on_ceiling() -> Result:
        lengths = [len(command) for block in publish_rounds(job) for command in block]
        process, port = start_ceiling({"lengths": lengths})
        try:
            return run_jobs(process.pid, [job._replace(port=port)], messages)
        finally:
            stop_ceiling(process)

    return Workload(name, on_nsqd, on_ceiling)


def fill(nsqd: Daemon, topic: str, channels: list[str], count: int, size: int) -> None:
    """Publish a backlog of ``count`` messages for these channels."""
    create_channels(nsqd, topic, channels)
    job = Publish(nsqd.tcp_port, topic, count // BATCH, BATCH, size, 64)
    run_jobs(nsqd.pid, [job], count)


def consuming(name: str, count: int, size: int, channels: int) -> Workload:
    """A workload of delivering a backlog and finishing it."""
    names = [f"c{number}" for number in range(channels)]

    def on_nsqd(nsqd: Daemon, topic: str) -> Result:
        fill(nsqd, topic, names, count, size)
        job = Consume(nsqd.tcp_port, topic, names, count, READY)
        return run_jobs(nsqd.pid, [job], count * channels)

    def on_ceiling() -> Result:
        process, port = start_ceiling({"size": size, "count": count})
        try:
            return run_jobs(
                process.pid, [Consume(port, "t", names, count, READY)], count * channels
            )
        finally:
            stop_ceiling(process)

    return Workload(name, on_nsqd, on_ceiling)


def both(name: str, count: int, size: int) -> Workload:
    """Publishing and consuming at once; a message counts once."""

    def on_nsqd(nsqd: Daemon, topic: str) -> Result:
        create_channels(nsqd, topic, ["c0"])
        jobs: list[Publish | Consume] = [
            Consume(nsqd.tcp_port, topic, ["c0"], count, READY),
            Publish(nsqd.tcp_port, topic, count // BATCH, BATCH, size, 64),
        ]
        return run_jobs(nsqd.pid, jobs, count)

    return Workload(name, on_nsqd, None)


def workloads(scale: float) -> Iterator[Workload]:
    """All of them. ``scale`` 1 takes about a minute."""

    def commands(number: int) -> int:
        return max(64, int(number * scale) // 64 * 64)

    batches = commands(5000)
    count = batches * BATCH
    yield publishing("MPUB 200 x 200 B", batches, BATCH, 200, 64, 1, 1)
    yield publishing("MPUB 200 x 50-350 B", batches, BATCH, 0, 64, 1, 1)
    yield publishing("MPUB 200 x 200 B, 10 channels", batches, BATCH, 200, 64, 1, 10)
    yield consuming("out of a backlog, 200 B", count, 200, 1)
    yield consuming("out of a backlog, 50-350 B", count, 0, 1)
    yield consuming("out of a backlog, 200 B, 10 channels", count // 8 // BATCH * BATCH, 200, 10)
    yield both("in and out at once, 200 B", count, 200)
    yield both("in and out at once, 50-350 B", count, 0)
    yield publishing("PUB pipelined, 200 B", commands(400_000), 0, 200, 1024, 1, 1)
    yield publishing("PUB pipelined, 50-350 B", commands(400_000), 0, 0, 1024, 1, 1)
    yield publishing("PUB awaiting OK, 1 connection", commands(20_000), 0, 200, 1, 1, 1)
    yield publishing("PUB awaiting OK, 16 connections", commands(60_000), 0, 200, 1, 16, 1)


def measure(workload: Workload, durability: str) -> tuple[Result, Result | None]:
    """Run a workload on a fresh nsqd and on the ceiling."""
    # Ports are read from log lines, so the log has to say them.
    flags = (f"--durability={durability}", "--log-level=info")
    with (
        tempfile.TemporaryDirectory(prefix="nsqd-bench-") as path,
        Daemon(Path(path), *flags) as nsqd,
    ):
        result = workload.run(nsqd, "t")
    return result, workload.ceiling() if workload.ceiling else None


def main() -> None:
    """Measure and report."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--scale", type=float, default=1.0, help="how many messages")
    arguments.add_argument("--durability", default="os")
    arguments.add_argument("--only", default="", help="workloads with this in their name")
    arguments.add_argument("--json", default="", help="write the figures to this file too")
    options = arguments.parse_args()
    call = call_nanoseconds()
    print(f"a Python call: {call:.0f} ns ({REFERENCE_CALL_NS:.0f} on the reference machine)")
    print(f"durability {options.durability}; CPU is the server's, per message")
    heads = ("nsqd msg/s", "CPU us", "ceiling msg/s", "CPU us", "rate ratio")
    print(f"{'':38}" + "".join(f"{head:>15}" for head in heads))
    figures = {}
    for workload in workloads(options.scale):
        if options.only not in workload.name:
            continue
        result, ceiling = measure(workload, options.durability)
        line = f"{workload.name:38}{result.rate:15,.0f}{result.microseconds:15.2f}"
        if ceiling is not None:
            line += f"{ceiling.rate:15,.0f}{ceiling.microseconds:15.2f}"
            line += f"{result.rate / ceiling.rate:15.2f}"
        print(line, flush=True)
        figures[workload.name] = {
            "messages": result.messages,
            "rate": result.rate,
            "cpu_us": result.microseconds,
            "ceiling_rate": ceiling.rate if ceiling else None,
            "ceiling_cpu_us": ceiling.microseconds if ceiling else None,
        }
    if options.json:
        report = {"call_ns": call, "durability": options.durability, "workloads": figures}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
