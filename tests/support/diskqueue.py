"""Disk queues as an original nsqd writes them (engine section 6), and a start on them."""

from __future__ import annotations

import json

import attrs
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.loading import load_data_path
from nsqtx.storage.store import Store
from nsqtx.wire.frames import attempts_of, body_of, timestamp_of
from tests.support.brokers import SECOND, consume
from tests.support.disk import SimulatedDisk
from tests.support.storage import Now, Threads, make_store
from tests.support.subscribers import RecordingSubscriber

__all__ = ["SECOND", "TIME", "Message", "Original", "Started", "start", "stored"]

#: About 2026, in nanoseconds.
TIME = 1_795_453_066_799_803_394

#: Timestamp, attempts and body, as a consumer sees them.
Message = tuple[int, int, bytes]


def stored(number: int, body: bytes, attempts: int = 0) -> bytes:
    """A message as it stands in a data file, its length before it."""
    timestamp = TIME + number * 1_000_000
    id = (timestamp >> 20) - 1288834974288 << 22 | 36 << 12 | number % 4096
    data = timestamp.to_bytes(8, "big") + attempts.to_bytes(2, "big") + b"%016x" % id + body
    return len(data).to_bytes(4, "big") + data


@attrs.define
class Original:
    """Writes the files of a data path the way the original does."""

    max_bytes_per_file: int = 10**9
    files: dict[str, bytes] = attrs.Factory(dict)
    _ends: dict[str, tuple[int, int]] = attrs.Factory(dict)

    def put(self, queue: str, *messages: bytes) -> None:
        """Append to a queue."""
        number, position = self._ends.get(queue, (0, 0))
        for message in messages:
            if position and position + len(message) > self.max_bytes_per_file:
                number, position = number + 1, 0
            name = self.file(queue, number)
            self.files[name] = self.files.get(name, b"") + message
            position += len(message)
        self._ends[queue] = number, position

    def sync(self, queue: str, read: tuple[int, int] = (0, 0), depth: int = 0) -> None:
        """Write the metadata: everything is written, and read up to that file and place."""
        text = "{}\n{},{}\n{},{}\n".format(depth, *read, *self._ends.get(queue, (0, 0)))
        self.files[f"{queue}.diskqueue.meta.dat"] = text.encode()

    def file(self, queue: str, number: int = 0) -> str:
        """What a data file is called."""
        return f"{queue}.diskqueue.{number:06d}.dat"

    def list_topics(self, **topics: list[str]) -> None:
        """Write ``nsqd.dat``: channels by topic."""
        entries = [
            {
                "name": topic,
                "paused": False,
                "channels": [{"name": name, "paused": False} for name in channels] or None,
            }
            for topic, channels in topics.items()
        ]
        document = {"topics": entries or None, "version": "1.3.0"}
        self.files["nsqd.dat"] = json.dumps(document).encode()

    def on(self, disk: SimulatedDisk) -> None:
        """Put all files on a disk."""
        for name, data in self.files.items():
            disk.write(name, data)


@attrs.define
class Started:
    """What nsqd has after its start."""

    store: Store
    broker: Broker
    reports: list[str]
    warnings: list[str]

    def unpause(self) -> None:
        """Let everything go."""
        for topic in self.broker.topics.values():
            for channel in topic.channels.values():
                channel.unpause()
            topic.unpause()

    def consume(self, topic: str, channel: str) -> RecordingSubscriber:
        """Somebody who gets all that there is, without finishing it."""
        self.broker.get_topic(topic).get_channel(channel)
        return consume(self.broker, topic, channel, ready=100_000)

    def messages(self, topic: str, channel: str) -> list[Message]:
        """All that a channel delivers."""
        records = self.consume(topic, channel).records
        return [(timestamp_of(r), attempts_of(r), body_of(r)) for r in records]

    def bodies(self, topic: str, channel: str) -> list[bytes]:
        """The bodies of all that a channel delivers."""
        return [body for _, _, body in self.messages(topic, channel)]


def start(
    disk: SimulatedDisk,
    durability: str = "os",
    *,
    now: Now | None = None,
    max_msg_size: int = 1024 * 1024,
    seed: int = 1,
) -> Started:
    """Start on a disk as nsqd does, up to where it would serve."""
    clock = Clock()
    now = now or Now(TIME / SECOND + 1000)
    clock.advance(now())
    reports: list[str] = []
    warnings: list[str] = []
    store = make_store(
        disk, durability, now=now, threads=Threads(), reports=reports, seed=seed, started=False
    )
    broker = Broker(store, clock.seconds, Settings(node_id=7), on_failure=reports.append)
    load_data_path(store, broker, max_msg_size, warnings.append)
    return Started(store, broker, reports, warnings)
