"""Programs in the simulated cluster that use `nsqtx.client`: a Writer that publishes, a Reader."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from nsqtx.client import (
    Message,
    PublishFailed,
    Reader,
    ReaderConfig,
    Requeue,
    Writer,
    WriterConfig,
)
from nsqtx.client.events import Connected
from tests.simulation.clients import HEARTBEAT, MSG_TIMEOUT, SILENCE, Publisher
from tests.simulation.history import History
from tests.simulation.ledger import Place, Publish
from tests.simulation.network import Host
from tests.simulation.reactor import SimulatedReactor

__all__ = ["ReaderProgram", "WriterProgram"]

_COMMON: dict[str, Any] = {
    "client_id": "simulated",
    "hostname": "simulated",
    "heartbeat_interval": HEARTBEAT,
    "read_timeout": SILENCE,
    "max_reconnect_delay": 2.0,
    "lookupd_poll_interval": 2.0,
    "lookupd_poll_timeout": 2.0,
}


class WriterProgram(Publisher):
    """A publisher whose messages go by a Writer."""

    def connect(self) -> None:
        """Start the Writer, which connects by itself."""
        random = self.world.random
        config = WriterConfig(
            publish_timeout=random.choice((0.5, 5.0)),
            max_publish_attempts=random.choice((1, 5)),
            retry_unknown=random.random() < 0.5,
            batch_linger=random.choice((0.0, 0.05)),
            max_outstanding=random.choice((3, 50)),
            drain_timeout=1.0,
            **_COMMON,
        )
        self.writer = Writer(
            [f"{self.nsqd.address}:4150"],
            reactor=self.reactor,
            config=config,
            random=Random(random.getrandbits(64)),
        )
        self.writer.startService()
        self.connection = self.writer

    def publish(self) -> None:
        random = self.world.random
        kind = random.random()
        if kind < 0.5:
            sent = self.make(1)
            result = self.writer.publish(self.topic, sent[0].body)
        elif kind < 0.85:
            sent = self.make(random.randint(1, 6))
            result = self.writer.multi_publish(self.topic, [each.body for each in sent])
        else:
            delay = random.choice((0.1, 1.0, 2.5))
            sent = self.make(1, delay)
            result = self.writer.publish(self.topic, sent[0].body, defer=delay)
        self._waiting.append(sent)
        result.addCallbacks(self._done, self._failed, (sent,), {}, (sent,))

    def _done(self, answer: bytes, sent: list[Publish]) -> None:
        self._waiting.remove(sent)
        self.history.answered(sent, answer.decode())

    def _failed(self, failure: Failure, sent: list[Publish]) -> None:
        error = failure.value
        assert isinstance(error, PublishFailed)
        self._waiting.remove(sent)
        self.history.answered(sent, str(error.outcome))


class ReaderProgram:
    """Consumes a channel of a topic from every nsqd, by a Reader."""

    def __init__(
        self,
        reactor: SimulatedReactor,
        history: History,
        topic: str,
        channel: str,
        nsqds: Iterable[Host],
        lookupds: Iterable[Host],
    ) -> None:
        random = history.world.random
        self.topic = topic
        self.channel = channel
        self.troubled = True
        self.history = history
        self.world = history.world
        self.reactor = reactor
        #: Nodes by the address that a Reader has of them.
        self._nodes = {f"{place}:4150": h.name for h in nsqds for place in (h.name, h.address)}
        config = ReaderConfig(
            max_in_flight=random.choice((1, 5, 50)),
            concurrency=random.choice((0, 1)),
            max_attempts=0,
            msg_timeout=MSG_TIMEOUT,
            default_requeue_delay=0.2,
            max_backoff_duration=random.choice((0.0, 2.0)),
            backoff_multiplier=0.2,
            low_rdy_idle_timeout=1.0,
            low_rdy_timeout=2.0,
            rdy_redistribute_interval=0.5,
            auto_touch=random.random() < 0.5,
            lookupd_long_poll=random.random() < 0.5,
            drain_timeout=1.0,
            **_COMMON,
        )
        by_lookupd = [f"{host.address}:4161" for host in lookupds]
        self.reader = Reader(
            topic,
            channel,
            self._handle,
            reactor=reactor,
            nsqd_tcp_addresses=[] if by_lookupd else [f"{h.address}:4150" for h in nsqds],
            lookupd_http_addresses=by_lookupd,
            config=config,
            on_event=self._happened,
            random=Random(random.getrandbits(64)),
        )
        self.reader.startService()

    def _happened(self, event: object) -> None:
        if isinstance(event, Connected):
            node = self._nodes[event.address]
            self.history.channel_exists(Place(node, self.topic, self.channel))

    def calm_down(self) -> None:
        """From now on finish everything."""
        self.troubled = False

    def _handle(self, message: Message) -> Deferred[None] | None:
        if not self.troubled:
            return None
        random = self.world.random
        kind = random.random()
        if kind < 0.6:
            return None
        if kind < 0.75:
            raise Requeue(random.choice((None, 0.0, 1.0)), random.random() < 0.5)
        if kind < 0.9:
            return deferLater(self.reactor, random.uniform(0.0, 0.4))
        if kind < 0.95:
            message.touch()
            return deferLater(self.reactor, random.uniform(0.0, 4.0))
        return deferLater(self.reactor, 0.1, self._refuse)

    def _refuse(self) -> None:
        raise Requeue(0.1)
