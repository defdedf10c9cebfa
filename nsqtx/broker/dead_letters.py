"""Dead letters: messages that a channel delivered as often as it may, moved to another topic.

A channel with ``max_attempts`` puts a message that would be delivered once more into `DeadLetters`:
when it is requeued, has timed out, is due, or comes back by a restart. `bury` takes them from there
to the dead-letter topic, in slices, with every scan. The channel keeps a message, in its checkpoint
too, until the other topic has it for good. So a crash may leave it in both, but never in none.

The dead-letter topic is an ordinary topic. Its batches say which channel they come from, so that
`nsqtx.broker.redrive` finds them again, whoever else uses that topic.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import attrs

from nsqtx.broker.errors import BrokerError, DeadLetterLoop
from nsqtx.broker.returned import RequeuedMessages, pending_frames
from nsqtx.interfaces import PendingMessages, StorageError
from nsqtx.wire.names import EPHEMERAL, MAX_NAME_LENGTH, is_ephemeral

if TYPE_CHECKING:
    from nsqtx.broker.broker import Broker
    from nsqtx.broker.channel import Channel

__all__ = ["MAX_ATTEMPTS", "DeadLetters", "bury", "dead_letter_name", "leads_back"]

#: The most that a limit can be: attempts are a number of 16 bits.
MAX_ATTEMPTS = 65535
#: At most this many messages, and about as many bytes, are one batch of the dead-letter topic.
SLICE = 256
SLICE_BYTES = 1024 * 1024
#: At most so many batches of a channel are moved with one scan.
SLICES = 8
#: When the dead-letter topic cannot take any, it is tried again after this time (ns).
RETRY = 10**9
_SUFFIX = ".dlq"


def dead_letter_name(topic: str, channel: str) -> str:
    """Where the dead letters of a channel go unless something else is said.

    ``<topic>.<channel>.dlq``; what is longer than a name may be ends in a hash of both instead.
    Ephemeral if topic or channel are.
    """
    end = EPHEMERAL if is_ephemeral(topic) or is_ephemeral(channel) else ""
    parts = (topic.removesuffix(EPHEMERAL), channel.removesuffix(EPHEMERAL))
    name = ".".join(parts)
    room = MAX_NAME_LENGTH - len(_SUFFIX) - len(end)
    if len(name) > room:
        digest = hashlib.blake2b("/".join(parts).encode(), digest_size=6).hexdigest()
        name = f"{name[: room - len(digest) - 1]}.{digest}"
    return name + _SUFFIX + end


@attrs.define(eq=False)
class DeadLetters:
    """The dead letters of one channel that its dead-letter topic does not have yet.

    ``default_topic`` and ``default_attempts`` count where nothing was set for the channel.
    """

    waiting: RequeuedMessages
    default_topic: str
    default_attempts: int
    #: What was set for this channel; None and empty: nothing.
    max_attempts: int | None = None
    own_topic: str = ""
    #: How many were moved since the start.
    count: int = 0
    #: Frames on their way: appended to the other log, not yet safe there.
    moving: list[bytes] = attrs.Factory(list)
    #: Why the last try failed, and when there will be another one.
    failure: str | None = None
    retry_at: int = 0
    #: Some are on their way back.
    redriving: bool = False

    def __len__(self) -> int:
        return len(self.waiting) + len(self.moving)

    @property
    def topic(self) -> str:
        """The name of the dead-letter topic."""
        return self.own_topic or self.default_topic

    @property
    def limit(self) -> int:
        """How often a message may be delivered, 0: any number of times."""
        if self.max_attempts is not None:
            return self.max_attempts
        # A consumer that only listens for a while must not leave a topic behind.
        return 0 if is_ephemeral(self.default_topic) else self.default_attempts

    def pending(self) -> PendingMessages:
        """All of them, for the checkpoint."""
        found = self.waiting.pending()
        found.extend(pending_frames(self.moving))
        return found

    def clear(self) -> None:
        """Forget all of them."""
        self.waiting.clear()
        self.moving = []


def leads_back(broker: Broker, start: str, goal: str) -> bool:
    """Whether dead letters in topic ``start`` could come, by its channels, to topic ``goal``."""
    seen: set[str] = set()
    found = [start]
    while found:
        name = found.pop()
        if name == goal:
            return True
        topic = broker.topics.get(name)
        if topic is not None and name not in seen:
            found += [c.dead_letters.topic for c in topic.channels.values() if c.max_attempts]
        seen.add(name)
    return False


def bury(broker: Broker, channel: Channel) -> None:
    """Move dead letters of a channel to their topic, if it takes any now."""
    letters = channel.dead_letters
    if letters.moving or broker.now() < letters.retry_at or broker.exiting:
        return
    try:
        if leads_back(broker, letters.topic, channel.topic_name):
            raise DeadLetterLoop
        topic = broker.get_topic(letters.topic)
        for _ in range(SLICES):
            frames = letters.moving = letters.waiting.take(SLICE, SLICE_BYTES)
            channel.changed()
            if not frames:
                break
            commit = topic.adopt(frames, origin=f"{channel.topic_name}/{channel.name}")
            commit.add(partial(_moved, channel, frames))
            if letters.moving:
                break  # until the disk has them
    except (BrokerError, StorageError) as error:
        _refused(channel, error)


def _moved(channel: Channel, frames: list[bytes], error: StorageError | None) -> None:
    """The dead-letter topic has, or has not, made some of them safe."""
    letters = channel.dead_letters
    if letters.moving is not frames:
        return  # the channel was emptied
    if error is not None:
        _refused(channel, error)
        return
    letters.moving = []
    letters.count += len(frames)
    letters.failure = None
    channel.changed()


def _refused(channel: Channel, error: Exception) -> None:
    """They stay with the channel, and another try is made later."""
    letters = channel.dead_letters
    frames, letters.moving = letters.moving, []
    for frame in frames:
        letters.waiting.put(frame)
    letters.retry_at = channel.now() + RETRY
    if str(error) != letters.failure:
        letters.failure = str(error)
        channel.failed(
            f"dead letters of {channel.topic_name}:{channel.name} cannot go to topic"
            f" {letters.topic} - {error}"
        )
    channel.wake(channel)
