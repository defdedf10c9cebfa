"""Taking over the disk queues that an original nsqd left in the data path.

What waited in a topic's queue goes to all of its channels, or is held as the topic holds its own;
what waited in a channel's queue goes to that channel alone. Bodies, timestamps and attempts are
kept. Ids are new, because ours lead to the place in the log.

The channels' queues go to the log first: they are older, and so are delivered first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs
from twisted.logger import Logger

from nsqtx.broker.broker import Broker
from nsqtx.broker.recovery import take_over
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import StorageError
from nsqtx.storage.diskqueue import DiskQueue, QueueFiles
from nsqtx.storage.imports import (
    Mark,
    TopicQueues,
    find_queues,
    list_data_path,
    read_mark,
    remove_mark,
    set_aside,
    write_mark,
)
from nsqtx.storage.store import Store

__all__ = ["DiskQueueImport"]

log = Logger(namespace="nsqd")

#: A batch in the log gets about so many bytes and at most so many messages.
BATCH_SIZE = 256 * 1024
BATCH_COUNT = 2000
#: After so many bytes the log is synced, and a line says how far it has come.
STRETCH = 64 * 1024 * 1024


@attrs.define(eq=False)
class DiskQueueImport:
    """Imports what is there, topic by topic. `resume`, then load the broker, then `run`.

    ``max_msg_size`` is nsqd's; see `DiskQueue`.
    """

    store: Store
    broker: Broker
    max_msg_size: int
    warn: Callable[[str], None]

    def resume(self) -> None:
        """Complete, or take back, an import that was interrupted.

        :raises StorageError: the disk refused.
        """
        volume = self.store.volume
        mark = read_mark(volume)
        if mark is None:
            return
        topic_log = self.store.open(mark.topic)
        state = topic_log.load()
        if state is not None and state.end > mark.end:
            # Of the checkpoint it is only known that the kernel has it.
            topic_log.save(state)
            topic_log.settle()
            set_aside(volume, mark.files)
        elif state is not None:
            # First the mark, else the checkpoint would look like that of a complete import.
            write_mark(volume, attrs.evolve(mark, end=topic_log.end))
            topic_log.save(attrs.evolve(state, end=topic_log.end))
            topic_log.settle()
        remove_mark(volume)

    def run(self, listed: bool) -> None:
        """Import all disk queues of the data path; one file at a time is open.

        ``listed`` says that there is an ``nsqd.dat``, whose topics and channels exist already.
        Then an empty queue of one that does not is only a leftover; else its name is all that is
        known of that topic or channel, which is made.

        :raises StorageError: the disk refused. Topics that were imported stay so, the others are
            imported by the next start.
        """
        topics, odd = find_queues(list_data_path(self.store.volume))
        for name in odd:
            self.warn(f"{name!a} is left alone: its topic or channel cannot be kept here")
        for topic, queues in topics.items():
            try:
                self._import(topic, queues, listed)
            except StorageError as error:
                raise StorageError(f"import of topic {topic}, start again: {error}") from error

    def _import(self, name: str, queues: TopicQueues, listed: bool) -> None:
        volume = self.store.volume
        files = queues.names()
        full = [(owner, queue) for owner, queue in queues.by_age() if self._has_messages(queue)]
        made = full if listed else queues.by_age()
        if made:
            topic = self.broker.get_topic(name)
            for channel, _ in made:
                if channel is not None:
                    topic.get_channel(channel)
            self._checkpoint(topic)
            if full:
                log.info("TOPIC({topic}): importing {count} files", topic=name, count=len(files))
                write_mark(volume, Mark(name, topic.end, files))
                count = self._take_over(topic, full)
                log.info("TOPIC({topic}): imported {count} messages", topic=name, count=count)
        set_aside(volume, files)
        remove_mark(volume)

    def _has_messages(self, queue: QueueFiles) -> bool:
        """Whether there is anything to import. Damage is reported here only if there is not."""
        volume = self.store.volume
        damage: list[str] = []
        found = next(DiskQueue(volume, queue, self.max_msg_size, damage.append).messages(), None)
        if found is None:
            for text in damage:
                volume.report(text)
        return found is not None

    def _take_over(self, topic: Topic, queues: list[tuple[str | None, QueueFiles]]) -> int:
        """Bring all messages into the topic. Returns how many there were."""
        volume = self.store.volume
        topic_log = self.store.open(topic.name)
        count = size = 0
        for owner, queue in queues:
            messages = DiskQueue(volume, queue, self.max_msg_size, volume.report).messages()
            for batch in _batches(messages):
                take_over(topic, batch, owner)
                count += len(batch)
                size += sum(map(len, batch))
                if size >= STRETCH:
                    topic_log.settle()
                    log.info(
                        "TOPIC({topic}): {count} messages imported so far",
                        topic=topic.name,
                        count=count,
                    )
                    size = 0
        # What the checkpoint speaks of must be there before it.
        topic_log.settle()
        topic.release()
        self._checkpoint(topic)
        return count

    def _checkpoint(self, topic: Topic) -> None:
        topic.checkpoint()
        self.store.open(topic.name).settle()


def _batches(messages: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The messages, in pieces of a good size for the log."""
    batch: list[bytes] = []
    size = 0
    for message in messages:
        batch.append(message)
        size += len(message)
        if size >= BATCH_SIZE or len(batch) == BATCH_COUNT:
            yield batch
            batch = []
            size = 0
    if batch:
        yield batch
