"""A Writer and nsqds that do what the test says."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from nsqtx.client.config import WriterConfig
from nsqtx.client.errors import PublishFailed
from nsqtx.client.events import Event
from nsqtx.client.writer import Writer
from tests.support.scriptednsqd import Network, ScriptedNsqd

__all__ = ["Setting", "failed", "result"]


class Setting:
    """Some nsqds and a Writer of them, started."""

    def __init__(self, nsqds: int = 1, down: tuple[int, ...] = (), **config: Any) -> None:
        self.network = Network()
        self.nsqds = [ScriptedNsqd(self.network, 4150 + number) for number in range(nsqds)]
        for number in down:
            self.nsqds[number].up = False
        self.events: list[Event] = []
        self.writer = Writer(
            [nsqd.address for nsqd in self.nsqds],
            reactor=self.network,
            config=WriterConfig(**config),
            on_event=self.events.append,
            random=Random(1),
        )
        self.writer.startService()
        self.advance()

    def advance(self, seconds: float = 0) -> None:
        self.network.advance(seconds)

    def pub(self, body: bytes, **options: Any) -> Deferred[bytes]:
        return self.writer.publish("t", body, **options)

    def sent(self, number: int = 0) -> list[bytes]:
        """The bodies that an nsqd got since the last time."""
        nsqd = self.nsqds[number]
        return [each.body for each in nsqd.connection.take()] if nsqd.connections else []

    def stop(self) -> None:
        """Stop it, and look that nothing is left."""
        stopping = self.writer.stopService()
        self.advance()
        self.advance(self.writer.config.drain_timeout)
        self.advance()
        assert stopping.called
        assert self.network.getDelayedCalls() == []
        assert all(each.lost for nsqd in self.nsqds for each in nsqd.connections)


def result(publish: Deferred[bytes]) -> Any:
    """What came of it: the answer, the exception, or None so far."""
    found: list[Any] = []

    def keep(value: Any) -> Any:
        found.append(value)
        return value

    publish.addErrback(lambda failure: failure.value).addCallback(keep)
    return found[0] if found else None


def failed(publish: Deferred[bytes]) -> PublishFailed:
    error = result(publish)
    assert isinstance(error, PublishFailed)
    return error
