"""Figures of a channel: of one nsqd, of all of them, and what changed between two moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

import attrs

from nsqtx.cluster.stats import ChannelStats

__all__ = ["Figures", "Report", "report", "reports"]


@attrs.frozen
class Figures:
    """A channel at one moment. Counts are since the start of its nsqd."""

    depth: int = 0
    disk: int = 0
    in_flight: int = 0
    deferred: int = 0
    requeued: int = 0
    timed_out: int = 0
    messages: int = 0
    clients: int = 0

    @classmethod
    def of(cls, channel: ChannelStats) -> Self:
        """Those of one nsqd."""
        return cls(
            channel.depth,
            channel.backend_depth,
            channel.in_flight_count,
            channel.deferred_count,
            channel.requeue_count,
            channel.timeout_count,
            channel.message_count,
            channel.client_count,
        )

    @classmethod
    def sum(cls, each: Iterable[Figures]) -> Self:
        """Those of several nsqd together."""
        return cls(*(sum(column) for column in zip(*map(attrs.astuple, each), strict=True)))


@attrs.frozen
class Report:
    """Figures, and rates in messages per second: published into the channel, and finished."""

    now: Figures
    ingress: int
    egress: int


def report(before: Figures, now: Figures, seconds: float) -> Report:
    """What became of ``before`` in that time."""
    messages = now.messages - before.messages
    finished = messages - (now.depth - before.depth)
    # Toward zero, as the original's.
    return Report(now, int(messages / seconds), int(finished / seconds))


def reports(
    before: Mapping[str, Figures], now: Mapping[str, Figures], seconds: float
) -> dict[str, Report]:
    """The report of each nsqd; one that is new has no rates yet."""
    return {name: report(before.get(name, each), each, seconds) for name, each in now.items()}
