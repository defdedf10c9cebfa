"""What a load process can be told to do: the words between it and those who start it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

__all__ = ["Consume", "HttpPublish", "Job", "Publish", "Steady", "decode", "encode"]


class Publish(NamedTuple):
    """Publish ``commands`` commands of ``batch`` messages each.

    ``batch`` 0 means PUB, else MPUB. ``size`` 0 means mixed sizes. ``window`` commands may await
    their OK on each connection; 1 is publish, wait, publish. With more than one of ``topics`` they
    take turns.
    """

    port: int
    topic: str
    commands: int
    batch: int
    size: int
    window: int
    connections: int = 1
    topics: int = 1
    layer: str = ""


class HttpPublish(NamedTuple):
    """``/pub`` or, with a ``batch``, ``/mpub`` on connections that are kept."""

    port: int
    topic: str
    commands: int
    batch: int
    size: int
    connections: int


class Consume(NamedTuple):
    """Consume and finish ``messages`` messages of each channel, on so many connections a channel.

    ``large`` bodies are passed over without a search for what comes next.
    """

    port: int
    topic: str
    channels: list[str]
    messages: int
    ready: int
    connections: int = 1
    large: bool = False
    layer: str = ""


class Steady(NamedTuple):
    """Publish ``rate`` messages a second, and consume them: how long each is under way."""

    port: int
    topic: str
    channel: str
    rate: int
    messages: int
    size: int


Job = Publish | HttpPublish | Consume | Steady
_JOBS: dict[str, type[Any]] = {
    each.__name__: each for each in (Publish, HttpPublish, Consume, Steady)
}


def encode(job: Job) -> str:
    """A job for the command line."""
    return json.dumps({"job": type(job).__name__, **job._asdict()})


def decode(text: str) -> Job:
    """The job again."""
    fields = json.loads(text)
    job: Job = _JOBS[fields.pop("job")](**fields)
    return job
