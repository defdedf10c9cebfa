"""A Reader at one moment, in numbers."""

from __future__ import annotations

import attrs

from nsqtx.client.ready import ReadySnapshot
from nsqtx.client.source import Counts

__all__ = ["ConnectionStats", "DrainReport", "ReaderStats"]


@attrs.frozen
class DrainReport:
    """What became of the messages that were there when a Reader stopped."""

    #: Finished and requeued while it drained.
    finished: int
    requeued: int
    #: Of the requeued, those whose handlers were cancelled since time was up.
    abandoned: int


@attrs.frozen
class ConnectionStats:
    """One nsqd, as a Reader sees it."""

    address: str
    rdy: int
    in_flight: int
    counts: Counts


@attrs.frozen
class ReaderStats:
    """A Reader at one moment."""

    counts: Counts
    ready: ReadySnapshot
    connections: list[ConnectionStats]
    #: Messages that wait for a handler, and handlers that run.
    queued: int
    running: int
    backoff_state: str
    backoff_level: int
    #: Seconds until a block is over.
    backoff_remaining: float
