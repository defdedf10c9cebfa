"""A Reader of fake nsqds, for scenarios."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

from nsqtx.client.config import ReaderConfig
from nsqtx.client.events import Event
from nsqtx.client.message import Message
from nsqtx.client.reader import Reader
from nsqtx.client.stats import DrainReport
from nsqtx.testing import Command, FakeConnection, FakeLookupd, FakeNsqd, MemoryReactor

__all__ = ["Reading"]

E = TypeVar("E", bound=Event)

#: Not told apart from what users give.
_KEEP: Any = object()


class Reading:
    """Some nsqds, and a Reader of all of them that takes ``t`` by ``c``; as a context manager it is

    started, and in the end stopped, and then nothing may be left on the clock.

    Without a ``handle``, messages are kept in ``messages``, to be answered by the test. ``log`` has
    what all nsqds got, in order: ``0: RDY 5``; ids are numbers. Settings of the Reader that are not
    of its config are given as ``reader``, those of nsqds as ``nsqd``.
    """

    def __init__(
        self,
        handle: Any = _KEEP,
        nsqds: int = 1,
        lookupds: int = 0,
        nsqd: dict[str, Any] | None = None,
        reader: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        self.reactor = MemoryReactor()
        self.messages: list[Message] = []
        self.events: list[Event] = []
        self.log: list[str] = []
        self.nsqds: list[FakeNsqd] = []
        self._nsqd = nsqd or {}
        for _ in range(nsqds):
            self.new_nsqd()
        self.lookupds = [
            FakeLookupd(self.reactor, f"127.0.0.1:{4161 + 10 * number}")
            for number in range(lookupds)
        ]
        given: dict[str, Any] = {
            "nsqd_tcp_addresses": [] if lookupds else [each.address for each in self.nsqds],
            "lookupd_http_addresses": [each.address for each in self.lookupds],
            "on_event": self.events.append,
            "random": Random(1),
            **(reader or {}),
        }
        handler: Callable[[Message], Any] = self._keep if handle is _KEEP else handle
        settings = ReaderConfig(**config)
        self.reader = Reader("t", "c", handler, reactor=self.reactor, config=settings, **given)

    def _keep(self, message: Message) -> None:
        message.defer_response()
        self.messages.append(message)

    def new_nsqd(self) -> FakeNsqd:
        """One more, which the Reader does not know of yet."""
        number = len(self.nsqds)
        nsqd = FakeNsqd(self.reactor, f"127.0.0.1:{4150 + number}", **self._nsqd)
        nsqd.on_command = lambda _, command: self.log.append(f"{number}: {_short(command)}")
        self.nsqds.append(nsqd)
        return nsqd

    def join(self) -> FakeNsqd:
        """One more, which the Reader connects to."""
        nsqd = self.new_nsqd()
        self.reader.nsqds.add_nsqd(nsqd.address)
        self.reactor.settle()
        return nsqd

    def __enter__(self) -> Self:
        self.reader.startService()
        self.reactor.settle()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.stop()

    def stop(self) -> DrainReport:
        """Stop it, see that nothing is left."""
        report = self.reactor.wait_for(self.reader.stopService())
        # What a handshake that was broken off leaves is gone in the next turn.
        self.reactor.settle()
        assert all(each.lost for nsqd in self.nsqds for each in nsqd.connections)
        fakes: list[Any] = [*self.nsqds, *self.lookupds]
        for each in fakes:
            each.stop()
        self.reactor.settle()
        assert self.reactor.getDelayedCalls() == []
        return report

    # -- shorter ways to say it ----------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.reactor.advance(seconds)

    @property
    def connection(self) -> FakeConnection:
        """The newest one of the first nsqd."""
        return self.nsqds[0].connection

    def put(self, *bodies: bytes, nsqd: int = 0) -> None:
        """Messages are published, and what can be done at once is done."""
        self.nsqds[nsqd].put("t", *bodies)
        self.reactor.settle()

    def sent(self, nsqd: int = 0) -> list[str]:
        """What the nsqd's newest connection got since the last time; ids as numbers: ``FIN 1``."""
        self.reactor.settle()
        taken = self.nsqds[nsqd].connection.take_commands()
        return [_short(each) for each in taken]

    @property
    def rdy(self) -> list[int]:
        """RDY, as every nsqd knows it; 0 without a connection."""
        self.reactor.settle()
        return [sum(each.rdy for each in nsqd.open) for nsqd in self.nsqds]

    @property
    def in_flight(self) -> list[int]:
        """Messages in flight, as every nsqd knows it."""
        return [sum(len(each.in_flight) for each in nsqd.open) for nsqd in self.nsqds]

    def told(self, kind: type[E]) -> list[E]:
        """The events of a class so far."""
        return [each for each in self.events if isinstance(each, kind)]

    def finish(self, count: int = 1) -> None:
        """Finish the oldest messages that are kept."""
        for _ in range(count):
            self.messages.pop(0).finish()
        self.reactor.settle()

    def fail(self, count: int = 1) -> None:
        """Requeue them, as a handler that has failed."""
        for _ in range(count):
            self.messages.pop(0).requeue()
        self.reactor.settle()


def _short(command: Command) -> str:
    params = [str(int(each, 16)) if len(each) == 16 else each for each in command.params]
    return " ".join([command.name, *params])
