"""All cases of ``bench.run``: what nsqd is asked to do, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.case import (
    BATCH,
    READY,
    TOPIC,
    Case,
    channel_names,
    consuming,
    http,
    idle,
    in_and_out,
    publishing,
    restart,
    several,
    under_way,
)
from bench.jobs import Consume, HttpPublish, Publish

__all__ = ["cases"]

DURABILITIES = ("memory", "os", "fsync")
#: What comes nearest to our durabilities in the original.
DISK_ONLY = ("--mem-queue-size=0",)
EVERY_SYNC = ("--mem-queue-size=0", "--sync-every=1")
SIZES = ((1024, "1 KiB", 50_000), (65_536, "64 KiB", 4_000), (1 << 20, "1 MiB", 400))


class Scale:
    """How much of everything."""

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def __call__(self, number: int, step: int = 64) -> int:
        """About so many, in whole steps."""
        return max(1, round(number * self._factor / step)) * step


def cases(factor: float, certificates: Path) -> Iterator[Case]:
    """All of them. ``certificates`` is a directory with ``server.pem`` and ``server.key``."""
    scale = Scale(factor)
    yield from _mpub(scale)
    yield from _pub(scale)
    yield from _sub(scale)
    yield from _both(scale)
    yield from _bodies(scale)
    yield from _durabilities(scale)
    yield from _layers(scale, certificates)
    yield from _http(scale)
    yield from _topics(scale, factor)


def _batches(commands: int, batch: int = BATCH, size: int = 200, topics: int = 1) -> Publish:
    return Publish(0, TOPIC, commands, batch, size, 64, topics=topics)


def _single(commands: int, connections: int) -> Publish:
    return Publish(0, TOPIC, commands, 0, 200, 1, connections)


def _reading(messages: int, channels: int = 1, ready: int = READY, connections: int = 1) -> Consume:
    return Consume(0, TOPIC, channel_names(channels), messages, ready, connections)


def _mpub(scale: Scale) -> Iterator[Case]:
    yield publishing("MPUB 200", _batches(scale(5000)))
    yield publishing("MPUB 200, 50-350 B", _batches(scale(5000), size=0))
    yield publishing("MPUB 20", _batches(scale(20_000), 20))
    yield publishing("MPUB 200, 3 channels", _batches(scale(5000)), channels=3)
    yield publishing("MPUB 200, 10 channels", _batches(scale(5000)), channels=10)


def _pub(scale: Scale) -> Iterator[Case]:
    yield publishing("PUB pipelined", Publish(0, TOPIC, scale(400_000), 0, 200, 1024))
    yield publishing("PUB pipelined, 50-350 B", Publish(0, TOPIC, scale(400_000), 0, 0, 1024))
    for connections in (1, 2, 16, 64):
        job = _single(scale(20_000 if connections < 16 else 60_000), connections)
        yield publishing(f"PUB awaiting OK, {connections} connections", job)


def _sub(scale: Scale) -> Iterator[Case]:
    yield consuming("SUB RDY 2500", _reading(scale(1_000_000, BATCH)), 200)
    yield consuming("SUB RDY 2500, 50-350 B", _reading(scale(1_000_000, BATCH)), 0)
    yield consuming("SUB RDY 1", _reading(scale(20_000, BATCH), ready=1), 200)
    for channels in (3, 10):
        job = _reading(scale(1_000_000 // channels, BATCH), channels)
        yield consuming(f"SUB RDY 2500, {channels} channels", job, 200)
    for consumers in (100, 1000):
        job = _reading(scale(100_000, BATCH), ready=1, connections=consumers)
        yield consuming(f"SUB RDY 1, {consumers} consumers", job, 200)


def _both(scale: Scale) -> Iterator[Case]:
    yield in_and_out("in and out at once", scale(500_000, BATCH), 200)
    yield in_and_out("in and out at once, 50-350 B", scale(500_000, BATCH), 0)
    yield under_way("under way at 5,000 a second", 5000, scale(25_000))
    yield under_way("under way at 500 a second", 500, scale(2_500))


def _bodies(scale: Scale) -> Iterator[Case]:
    for size, words, count in SIZES:
        few = scale(count, 8)
        yield publishing(f"PUB pipelined, {words}", Publish(0, TOPIC, few, 0, size, 16))
        job = Consume(0, TOPIC, ["c0"], scale(count, BATCH), 32, large=True)
        yield consuming(f"SUB, {words}", job, size)


def _durabilities(scale: Scale) -> Iterator[Case]:
    theirs: dict[str, tuple[str, ...]] = {"memory": (), "os": DISK_ONLY, "fsync": EVERY_SYNC}
    for durability in DURABILITIES:
        flags: dict[str, Any] = {
            "ours": (f"--durability={durability}",),
            "theirs": theirs[durability],
        }
        often = durability != "fsync"
        batches = _batches(scale(5000 if often else 1000))
        yield publishing(f"{durability}: MPUB 200", batches, **flags)
        single = _single(scale(60_000 if often else 10_000), 16)
        yield publishing(f"{durability}: PUB awaiting OK, 16 connections", single, **flags)
    # A queue in memory that holds next to nothing: all is read back from the disk.
    reading = _reading(scale(1_000_000, BATCH))
    yield consuming("backlog on disk, out", reading, 200, flags=("--mem-queue-size=200",))


def _layers(scale: Scale, certificates: Path) -> Iterator[Case]:
    for layer in ("tls", "snappy", "deflate"):
        flags: tuple[str, ...] = ()
        if layer == "tls":
            flags = (
                f"--tls-cert={certificates / 'server.pem'}",
                f"--tls-key={certificates / 'server.key'}",
            )
        commands = scale(1000)
        job = _batches(commands)._replace(layer=layer)
        yield publishing(f"{layer}: MPUB 200", job, flags=flags)
        reading = _reading(scale(200_000, BATCH))._replace(layer=layer)
        yield consuming(f"{layer}: SUB RDY 2500", reading, 200, flags=flags)
        single = _single(scale(20_000), 16)._replace(layer=layer)
        yield publishing(f"{layer}: PUB awaiting OK, 16 connections", single, flags=flags)


def _http(scale: Scale) -> Iterator[Case]:
    for connections in (1, 16):
        job = HttpPublish(0, TOPIC, scale(30_000), 0, 200, connections)
        yield http(f"HTTP /pub, {connections} connections", job)
    yield http("HTTP /mpub 200, 4 connections", HttpPublish(0, TOPIC, scale(3000), BATCH, 200, 4))


def _topics(scale: Scale, factor: float) -> Iterator[Case]:
    few, many = scale(1000, 1), scale(10_000, 1)
    for topics in (few, many):
        job = Publish(0, TOPIC, scale(100_000), 0, 200, 1024, topics=topics)
        yield publishing(f"PUB pipelined to {topics:,} topics", job)
    for topics in (few, many):
        yield idle(f"{topics:,} idle topics", topics, min(5.0, 5 * factor + 0.5))
    yield several("two nsqd: MPUB 200 to each", _batches(scale(2500)), 2)
    waiting = _single(scale(30_000), 16)
    yield several("two nsqd: PUB awaiting OK, 16 connections to each", waiting, 2)
    messages = scale(1_000_000, BATCH)
    yield restart(f"restart with {messages:,} messages", messages)
    yield restart(f"restart with {messages:,} messages after SIGKILL", messages, killed=True)
