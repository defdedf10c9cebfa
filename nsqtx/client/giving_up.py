"""What becomes of a message with too many attempts (client section 5.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nsqtx.client.errors import ConfigError
from nsqtx.client.message import Message
from nsqtx.client.results import to_wait_for
from nsqtx.wire.names import valid_name

__all__ = ["GivingUp"]

log = Logger(namespace="nsqtx.client")


class GivingUp:
    """Called in place of the handler: the hook, then the dead letter, then FIN.

    The FIN says nothing of how the Reader fares. A hook that raises, or a dead letter that cannot
    be published, is a failed handler: the message is requeued.

    :param hook: what the user wants to be done with it, or None.
    :param topic: where dead letters go, or nothing.
    :param writer: publishes them; None: the nsqd that the message came from gets it back.
    :raises ConfigError: no topic can be called so.
    """

    def __init__(self, hook: Callable[[Message], Any] | None, topic: str, writer: Any) -> None:
        if topic and not valid_name(topic):
            raise ConfigError(f"dead_letter_topic is {topic!r}: no topic can be called so")
        self._hook = hook
        self._topic = topic
        self._writer = writer

    def __call__(self, message: Message) -> Any:
        """Give it up; a coroutine if that takes time."""
        log.warn(
            "message {id} is given up after {attempts} attempts",
            id=message.id.decode(),
            attempts=message.attempts,
        )
        hooked = None if self._hook is None else to_wait_for(self._hook(message))
        if self._topic or hooked is not None:
            return self._later(message, hooked)
        _forget(message)
        return None

    async def _later(self, message: Message, hooked: Deferred[Any] | None) -> None:
        if hooked is not None:
            await hooked
        if self._topic and not message.answered:
            await self._publish(message)
        _forget(message)

    async def _publish(self, message: Message) -> None:
        if self._writer is not None:
            await self._writer.publish(self._topic, message.body)
            return
        size = len(message.body).to_bytes(4, "big")
        command = b"PUB %b\n%b%b" % (self._topic.encode(), size, message.body)
        await message.source.connection.request(command)


def _forget(message: Message) -> None:
    if not message.answered and not message.deferred:
        message.source.give_up(message)
