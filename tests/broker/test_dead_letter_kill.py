"""S9: on its way to the dead letters and back, no message is lost, whenever nsqd ends."""

from __future__ import annotations

import sys
from collections import Counter
from random import Random

import attrs
import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.redrive import Redrive
from nsqtx.broker.topic import Topic
from nsqtx.storage.store import Store
from nsqtx.wire.frames import body_of
from tests.support.brokers import SECOND
from tests.support.disk import Killed, SimulatedDisk
from tests.support.storage import Threads, make_store
from tests.support.subscribers import RecordingSubscriber

BODIES = [b"finished", b"b", b"c", b"d"]
DLQ = "t.c.dlq"


@attrs.define
class Run:
    """A broker on a disk, and what may be expected after its end."""

    disk: SimulatedDisk
    clock: Clock
    durability: str
    seed: int = 1
    threads: Threads = attrs.Factory(Threads)
    #: What must be somewhere, and what need not be any more.
    promised: set[bytes] = attrs.Factory(set)
    finished: set[bytes] = attrs.Factory(set)
    #: All is as the checkpoints say, so nothing is in two places.
    settled: bool = True
    store: Store = attrs.field(init=False)
    broker: Broker = attrs.field(init=False)

    def start(self) -> None:
        self.store = make_store(
            self.disk,
            self.durability,
            now=self.clock.seconds,  # type: ignore[arg-type]
            threads=self.threads,
            seed=self.seed,
        )
        self.broker = Broker(self.store, self.clock.seconds, Settings())
        self.broker.load({})

    @property
    def topic(self) -> Topic:
        return self.broker.topics["t"]

    def settle(self) -> None:
        """Syncs come back, checkpoints are written."""
        self.threads.run()
        self.broker.tick()
        self.threads.run()
        self.settled = True

    def redrive(self, limit: int) -> None:
        self.settled = False
        work = Redrive(self.broker, self.topic, self.topic.channels["c"], limit)
        while not work.done:
            work.step()
            self.threads.run()
        self.settle()

    def everything(self) -> None:
        """Messages are published, become dead letters and come back; some are finished."""
        self.start()
        channel = self.broker.get_topic("t").get_channel("c")
        channel.limit_attempts(1)
        self.settle()
        self.settled = False
        self.topic.publish(BODIES)
        self.threads.run()
        if self.durability != "memory":
            self.promised.update(BODIES)
        self.settle()
        subscriber = RecordingSubscriber()
        subscription = channel.subscribe(subscriber, 60 * SECOND, 900 * SECOND)
        subscription.set_ready(9)
        self.settled = False
        self.finished.add(b"finished")
        subscription.finish(subscriber.ids[:1])
        for id in subscriber.ids[1:]:
            subscription.requeue(id, 0)
        subscription.leave()
        self.broker.scan()
        self.threads.run()
        assert channel.dead_letters.count == 3
        self.promised.update(BODIES[1:])
        self.settle()
        self.redrive(1)
        self.redrive(sys.maxsize)
        self.settled = False
        assert self.broker.stop() == []
        self.store.close()

    def copies(self) -> Counter[bytes]:
        """How often each message is somewhere."""
        found: Counter[bytes] = Counter()
        for topic in self.broker.topics.values():
            log, state = topic.log, topic.state()
            assert log is not None
            for part in (state.held, *state.channels):
                for start, stop in part.ranges:
                    while start < stop:
                        records, start = log.read(start, stop, 4096)
                        found.update(map(body_of, records))
                pending = log.fetch(sorted(each.position for each in part.pending))
                assert None not in pending
                found.update(body_of(record) for record in pending if record)
        return found


def total(durability: str) -> int:
    """How many changes of the disk the history makes."""
    run = Run(SimulatedDisk(), clock(), durability)
    run.everything()
    operations = run.disk.operations
    run.start()
    assert run.copies() == Counter(BODIES[1:])
    assert run.topic.channels["c"].depth == 3
    return operations


def clock() -> Clock:
    started = Clock()
    started.advance(1_700_000_000)
    return started


@pytest.mark.parametrize(
    ("durability", "power_cut"),
    [("memory", False), ("os", False), ("fsync", False), ("fsync", True)],
)
def test_s9_killed_anywhere(durability: str, power_cut: bool) -> None:
    """Killed at, or in the middle of, any single change of the disk: a message is in the channel,
    in the dead-letter topic, or in both until the next checkpoint, and never in neither.
    """
    both = 0
    for left in range(total(durability)):
        run = Run(SimulatedDisk(), clock(), durability)
        run.disk.operations_left = left
        run.disk.tear = (0.0, 0.5, 1.0)[left % 3]
        with pytest.raises(Killed):
            run.everything()
        if power_cut:
            run.disk.power_cut(Random(left) if left % 2 else None)
        else:
            run.disk.restart()
        run.clock.advance(1)
        again = Run(run.disk, run.clock, durability, seed=2)
        again.start()
        found = again.copies()
        missing = run.promised - run.finished - set(found)
        assert missing == set(), (left, found)
        doubled = {body for body, count in found.items() if count > 1}
        both += bool(doubled)
        if not power_cut:  # which may also take the newest checkpoints
            assert max(found.values(), default=0) <= 2, (left, found)
            assert not (run.settled and doubled), left
    assert both, "no kill came between the two topics"
