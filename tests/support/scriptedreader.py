"""A Reader of `ScriptedNsqd`s."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

from nsqtx.client.config import ReaderConfig
from nsqtx.client.events import Event
from nsqtx.client.message import Message
from nsqtx.client.reader import Reader
from nsqtx.wire.frames import FRAME_MESSAGE
from tests.support.scriptednsqd import Network, ScriptedConnection, ScriptedNsqd

__all__ = ["ScriptedReader", "message_data"]


def message_data(
    number: int = 1, attempts: int = 1, body: bytes = b"", timestamp: int = 0
) -> bytes:
    """The data of a message frame."""
    return struct.pack(">qH", timestamp, attempts) + b"%016x" % number + body


class ScriptedReader:
    """Some nsqds and a Reader of all of them, started. ``messages`` came, in this order.

    The handler is ``handle``; without one, messages are kept to be answered by the test.
    """

    def __init__(
        self,
        handle: Callable[[Message], Any] | None = None,
        nsqds: int = 1,
        answer: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        self.network = Network()
        self.nsqds = [
            ScriptedNsqd(self.network, 4150 + number, **(answer or {})) for number in range(nsqds)
        ]
        for nsqd in self.nsqds:
            nsqd.answers[b"CLS"] = b"CLOSE_WAIT"
        self.messages: list[Message] = []
        self.events: list[Event] = []
        self._handle = handle
        self.reader = Reader(
            "t",
            "c",
            self._take,
            reactor=self.network,
            nsqd_tcp_addresses=[nsqd.address for nsqd in self.nsqds],
            config=ReaderConfig(**config),
            on_event=self.events.append,
            random=Random(1),
        )
        self.reader.startService()
        self.advance()

    def _take(self, message: Message) -> Any:
        self.messages.append(message)
        if self._handle is not None:
            return self._handle(message)
        message.defer_response()
        return None

    def advance(self, seconds: float = 0) -> None:
        """Let time pass; what is answered at once is answered."""
        self.network.advance(seconds)
        for _ in range(4):
            self.network.advance(0)

    @property
    def connection(self) -> ScriptedConnection:
        """The newest one of the first nsqd."""
        return self.nsqds[0].connection

    def push(self, number: int = 1, **fields: Any) -> None:
        """The first nsqd delivers a message."""
        self.connection.send(message_data(number, **fields), FRAME_MESSAGE)

    def sent(self, nsqd: int = 0) -> list[str]:
        """What an nsqd got since the last time; ids as numbers: ``FIN 1``."""
        return [_short(each.words) for each in self.nsqds[nsqd].connection.take()]

    def stop(self) -> None:
        """Stop it, and look that nothing is left."""
        stopping = self.reader.stopService()
        self.advance()
        self.advance(self.reader.config.drain_timeout)
        self.advance(2)
        assert stopping.called
        assert self.network.getDelayedCalls() == []
        assert all(each.lost for nsqd in self.nsqds for each in nsqd.connections)


def _short(words: tuple[bytes, ...]) -> str:
    texts = [word.decode() for word in words]
    if len(texts) > 1 and len(texts[1]) == 16:
        texts[1] = str(int(texts[1], 16))
    return " ".join(texts)
