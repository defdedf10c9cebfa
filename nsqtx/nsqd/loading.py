"""The start of nsqd: what is in the data path becomes topics and channels. And the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nsqtx.broker.broker import Broker
from nsqtx.nsqd.imports import DiskQueueImport
from nsqtx.storage.metadata import (
    FILE_NAME,
    ChannelMetadata,
    DamagedMetadata,
    TopicMetadata,
    read_metadata,
)
from nsqtx.storage.store import Store

__all__ = ["described", "load_data_path"]


def load_data_path(
    store: Store, broker: Broker, max_msg_size: int, warn: Callable[[str], None]
) -> None:
    """Find the topics of an earlier run, and what an original nsqd left.

    :raises MetadataError: ``nsqd.dat`` cannot be used.
    :raises StorageError: the disk refused.
    """
    volume = store.volume
    try:
        known = read_metadata(volume.files, volume.root, warn)
    except DamagedMetadata as error:
        if not store.used:
            raise
        # It is written without a sync, so a power cut may leave it empty. Our logs know better.
        try:
            volume.files.rename(FILE_NAME, f"{FILE_NAME}.damaged")
        except OSError as why:
            raise volume.refused("rename", FILE_NAME, why) from why
        warn(f"{error}; it is kept as {FILE_NAME}.damaged, and the logs say which topics there are")
        known = None
    store.start()
    queues = DiskQueueImport(store, broker, max_msg_size, warn)
    queues.resume()
    topics = known.topics if known is not None else []
    broker.load({t.name: [c.name for c in t.channels] for t in topics})
    if known is not None and not known.ours:
        _adopt(broker, topics)
    queues.run(listed=known is not None)


def _adopt(broker: Broker, topics: Iterable[TopicMetadata]) -> None:
    """Make the topics of an ``nsqd.dat`` that the original wrote."""
    for entry in topics:
        topic = broker.get_topic(entry.name)
        for each in entry.channels:
            channel = topic.get_channel(each.name)
            if each.paused:
                channel.pause()
        if entry.paused:
            topic.pause()


def described(broker: Broker) -> list[TopicMetadata]:
    """The topics and channels that are to be found again, as ``nsqd.dat`` has them."""
    return [
        TopicMetadata(
            topic.name,
            topic.paused,
            [
                ChannelMetadata(channel.name, channel.paused)
                for channel in topic.channels.values()
                if not channel.ephemeral
            ],
        )
        for topic in broker.topics.values()
        if not topic.ephemeral
    ]
