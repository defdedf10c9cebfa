"""The forms of cases: publishing, consuming, both, HTTP, and their ceilings."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from bench.ceiling import start_ceiling, stop_ceiling
from bench.jobs import Consume, HttpPublish, Job, Publish, Steady
from bench.measure import Result, cpu_seconds, peak_bytes, resident_bytes, run_jobs
from bench.server import Server, call
from bench.traffic import http_request, publish_rounds, topic_names

__all__ = [
    "BATCH",
    "Case",
    "Place",
    "consuming",
    "create",
    "fill",
    "http",
    "idle",
    "in_and_out",
    "publishing",
    "restart",
    "several",
    "under_way",
]

BATCH = 200
READY = 2500
TOPIC = "t"
#: Time for what the last request caused (checkpoints, metadata) to be over.
SETTLE_SECONDS = 3.0


class Place(NamedTuple):
    """Where a case runs: how to start its server, and an empty directory."""

    start: Callable[[Path], AbstractContextManager[Server]]
    path: Path


class Case(NamedTuple):
    """A line of the report: how to run it on nsqd, and the same bytes on the ceiling.

    ``flags`` are for any nsqd, ``ours`` for this one, ``theirs`` for another in their place; None:
    the other has no such thing.
    """

    name: str
    run: Callable[[Place], Result]
    ceiling: Callable[[], Result] | None = None
    flags: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    theirs: tuple[str, ...] | None = ()


def channel_names(count: int) -> list[str]:
    """So many."""
    return [f"c{number}" for number in range(count)]


def create(server: Server, topics: list[str], channels: list[str]) -> None:
    """Make topics and channels, so that what is published waits in each of them."""
    call(
        server,
        [
            ("POST", target, b"")
            for topic in topics
            for target in (
                f"/topic/create?topic={topic}",
                *(f"/channel/create?topic={topic}&channel={channel}" for channel in channels),
            )
        ],
    )


def fill(server: Server, topic: str, channels: list[str], count: int, size: int) -> None:
    """Publish a backlog of ``count`` messages for these channels."""
    create(server, [topic], channels)
    batch = BATCH if size * BATCH < 1 << 20 else 0
    commands = count // (batch or 1)
    job = Publish(server.tcp_port, topic, commands, batch, size, 64 if batch else 4)
    run_jobs(server.pid, [job], count)


def measured(server: Server, jobs: list[Job], messages: int) -> Result:
    """Run jobs; the result has the server's memory and longest garbage collection, too."""
    result = run_jobs(server.pid, jobs, messages)
    notes: dict[str, float] = {"peak MB": peak_bytes(server.pid) / 1e6}
    (stats,) = call(server, [("GET", "/stats?format=json&topic=none", b"")])
    notes["gc max ms"] = stats["memory"]["gc_pause_usec_100"] / 1000
    return result._replace(notes=notes)


def on_ceiling(settings: dict[str, Any], job: Job, messages: int) -> Result:
    """The same job against a server that looks at nothing."""
    process, port = start_ceiling(settings)
    try:
        return run_jobs(process.pid, [job._replace(port=port)], messages)
    finally:
        stop_ceiling(process)


def publishing(name: str, job: Publish, channels: int = 1, **flags: Any) -> Case:
    """Publishing alone."""
    messages = job.commands * (job.batch or 1)

    def run(place: Place) -> Result:
        with place.start(place.path) as server:
            create(server, topic_names(job.topic, job.topics), channel_names(channels))
            return measured(server, [job._replace(port=server.tcp_port)], messages)

    def ceiling() -> Result:
        lengths = [len(command) for block in publish_rounds(job) for command in block]
        return on_ceiling({"lengths": lengths}, job, messages)

    return Case(name, run, None if job.layer else ceiling, **flags)


def http(name: str, job: HttpPublish) -> Case:
    """Publishing over HTTP."""
    messages = job.commands * (job.batch or 1)

    def run(place: Place) -> Result:
        with place.start(place.path) as server:
            create(server, [job.topic], channel_names(1))
            return measured(server, [job._replace(port=server.http_port)], messages)

    return Case(name, run, lambda: on_ceiling({"http": len(http_request(job))}, job, messages))


def consuming(name: str, job: Consume, size: int, **flags: Any) -> Case:
    """Delivering a backlog and finishing it."""
    messages = job.messages * len(job.channels)

    def run(place: Place) -> Result:
        with place.start(place.path) as server:
            fill(server, job.topic, job.channels, job.messages, size)
            return measured(server, [job._replace(port=server.tcp_port)], messages)

    def ceiling() -> Result:
        return on_ceiling({"size": size, "count": job.messages}, job, messages)

    return Case(name, run, None if job.layer or job.connections > 1 else ceiling, **flags)


def in_and_out(name: str, count: int, size: int, **flags: Any) -> Case:
    """Publishing and consuming at once; a message counts once."""

    def run(place: Place) -> Result:
        with place.start(place.path) as server:
            create(server, [TOPIC], ["c0"])
            port = server.tcp_port
            jobs: list[Job] = [
                Consume(port, TOPIC, ["c0"], count, READY),
                Publish(port, TOPIC, count // BATCH, BATCH, size, 64),
            ]
            return measured(server, jobs, count)

    return Case(name, run, **flags)


def under_way(name: str, rate: int, count: int) -> Case:
    """How long a message is under way from a publisher to a consumer."""

    def run(place: Place) -> Result:
        with place.start(place.path) as server:
            create(server, [TOPIC], ["c0"])
            return measured(server, [Steady(server.tcp_port, TOPIC, "c0", rate, count, 200)], count)

    return Case(name, run)


def several(name: str, job: Publish, nodes: int) -> Case:
    """Publishing to several nsqd at once, each with its own publisher."""
    messages = job.commands * (job.batch or 1) * nodes

    def run(place: Place) -> Result:
        with ExitStack() as stack:
            servers = [
                stack.enter_context(place.start(place.path / str(number)))
                for number in range(nodes)
            ]
            for server in servers:
                create(server, [job.topic], channel_names(1))
            jobs = [job._replace(port=server.tcp_port) for server in servers]
            return run_jobs([server.pid for server in servers], jobs, messages)

    return Case(name, run)


def idle(name: str, topics: int, seconds: float) -> Case:
    """Topics with a channel and a message each that nobody uses; and starting again with them."""

    def run(place: Place) -> Result:
        with place.start(place.path) as server:
            empty = resident_bytes(server.pid)
            begun = time.monotonic()
            names = topic_names("idle", topics)
            create(server, names, ["c"])
            call(server, [("POST", f"/pub?topic={each}", b"x") for each in names])
            made = time.monotonic() - begun
            time.sleep(min(SETTLE_SECONDS, seconds))
            pair = (resident_bytes(server.pid) - empty) / topics
            before = cpu_seconds(server.pid)
            time.sleep(seconds)
            busy = cpu_seconds(server.pid) - before
            stopping = time.monotonic()
            server.stop(timeout=120.0)
            stopped = time.monotonic() - stopping
        with place.start(place.path / "none") as fresh:
            alone = fresh.start_seconds
        with place.start(place.path) as again:
            notes = {
                "CPU %": busy / seconds * 100,
                "KiB each": pair / 1024,
                "stop s": stopped,
                "start s": again.start_seconds,
                "empty start s": alone,
            }
        return Result(topics, made, busy, notes=notes)

    return Case(name, run)


def restart(name: str, count: int, killed: bool = False) -> Case:
    """A start with so many messages waiting, after a clean stop or after SIGKILL.

    The latter reads what is not sealed by an index, and looks at each checksum in it.
    """

    def run(place: Place) -> Result:
        with place.start(place.path) as server:
            fill(server, TOPIC, ["c0"], count, 200)
            if killed:
                server.kill()
            else:
                server.stop(timeout=120.0)
        with place.start(place.path / "none") as fresh:
            alone, cpu_alone = fresh.start_seconds, cpu_seconds(fresh.pid)
        with place.start(place.path) as again:
            cpu = cpu_seconds(again.pid)
            notes = {
                "start s": again.start_seconds,
                "empty start s": alone,
                "start CPU s": cpu,
                "empty start CPU s": cpu_alone,
                "peak MB": peak_bytes(again.pid) / 1e6,
            }
            return Result(count, again.start_seconds, cpu, notes=notes)

    return Case(name, run)
