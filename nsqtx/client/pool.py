"""The nsqds of a Writer: kept connected, and which of them gets the next publish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from nsqtx.client.config import WriterConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.client.errors import NsqError
from nsqtx.client.events import ConnectFailed, Event, OnEvent
from nsqtx.client.handshake import connect
from nsqtx.client.keeper import Keeper
from nsqtx.client.redial import Redial
from nsqtx.client.strategies import strategy_named

__all__ = ["Pool", "PooledNsqd"]


class PooledNsqd:
    """One nsqd; ``limit`` publishes may wait for its answer."""

    __slots__ = (
        "_limit",
        "_stalled_at",
        "address",
        "connection",
        "failed",
        "keeper",
        "published",
        "retried",
        "trouble",
    )

    def __init__(self, address: str, limit: int) -> None:
        self.address = address
        self.connection: NsqdConnection | None = None
        self.keeper: Keeper | None = None
        #: Messages that it said OK to, those that failed in the end here, and publishes that were
        #: taken elsewhere, or here later.
        self.published = 0
        self.failed = 0
        self.retried = 0
        #: Why there is no connection.
        self.trouble = "not connected yet"
        self._limit = limit
        self._stalled_at = -1

    @property
    def outstanding(self) -> int:
        """How many answers are to come, those that nobody waits for included."""
        return 0 if self.connection is None else self.connection.outstanding

    @property
    def is_up(self) -> bool:
        """Whether there is a connection that will last."""
        return self.connection is not None and not self.connection.closing

    def can_take(self) -> bool:
        """Whether one more publish may be written now."""
        connection = self.connection
        return (
            connection is not None
            and not connection.closing
            and not connection.blocked
            and connection.outstanding < self._limit
        )

    def stalled(self) -> None:
        """A publish got no answer in its time."""
        if self.connection is not None:
            self._stalled_at = self.connection.answered

    @property
    def is_stalled(self) -> bool:
        """Whether that is so and nothing was answered since."""
        return self.connection is not None and self.connection.answered == self._stalled_at

    def up(self, connection: NsqdConnection) -> None:
        """There is a connection."""
        self.connection = connection
        self._stalled_at = -1

    def down(self, reason: str) -> None:
        """There is none."""
        self.connection = None
        self.trouble = reason


class Pool:
    """Keeps nsqds connected from `start` until `stop`, each by its address.

    ``on_room`` is called when one can take publishes again.
    """

    def __init__(
        self,
        reactor: Any,
        config: WriterConfig,
        on_room: Callable[[], None],
        tell: OnEvent,
        random: Random,
    ) -> None:
        self.nsqds: dict[str, PooledNsqd] = {}
        self._reactor = reactor
        self._config = config
        self._on_room = on_room
        self._tell = tell
        self._random = random
        self._choose = strategy_named(config.strategy, random)
        #: Those that are connected, in the order in which they were named.
        self._ready: list[PooledNsqd] = []
        self._running = False

    # -- which -----------------------------------------------------------------------------------

    def pick(
        self, key: str, tried: Sequence[str] = (), taken: Sequence[str] = ()
    ) -> PooledNsqd | None:
        """The nsqd for a publish, if one can take it: none of ``taken``, and another one than
        those ``tried`` if possible."""
        ready = self._ready
        if len(ready) == 1 and not taken:
            return ready[0] if ready[0].can_take() else None
        able = [nsqd for nsqd in ready if nsqd.can_take() and nsqd.address not in taken]
        if not able:
            return None
        able = [nsqd for nsqd in able if not nsqd.is_stalled] or able
        if tried:
            able = [nsqd for nsqd in able if nsqd.address not in tried] or able
        return able[self._choose(able, key)]

    @property
    def is_full(self) -> bool:
        """Whether all that are connected have as much as they may."""
        able = [nsqd for nsqd in self._ready if nsqd.is_up]
        return bool(able) and not any(nsqd.can_take() for nsqd in able)

    def trouble(self) -> str:
        """Why none takes a publish, for people."""
        if self._ready:
            return "nsqd does not answer"
        reasons = [f"{nsqd.address}: {nsqd.trouble}" for nsqd in self.nsqds.values()]
        return "; ".join(reasons) or "no nsqd is known"

    # -- connections -----------------------------------------------------------------------------

    def add(self, addresses: Iterable[str]) -> None:
        """These, too, belong to it."""
        for address in addresses:
            if address not in self.nsqds:
                nsqd = PooledNsqd(address, self._config.max_outstanding_per_connection)
                self.nsqds[address] = nsqd
                if self._running:
                    self._keep(nsqd)

    def forget(self, addresses: Iterable[str]) -> None:
        """These are gone for good, unless they are connected."""
        for address in addresses:
            nsqd = self.nsqds.get(address)
            if nsqd is not None and nsqd.connection is None:
                del self.nsqds[address]
                if nsqd.keeper is not None:
                    nsqd.keeper.stop()

    def start(self) -> None:
        """Connect to all."""
        if not self._running:
            self._running = True
            for nsqd in self.nsqds.values():
                self._keep(nsqd)

    def _keep(self, nsqd: PooledNsqd) -> None:
        address, config = nsqd.address, self._config

        def up(connection: NsqdConnection) -> None:
            nsqd.up(connection)
            connection.on_writable = self._on_room
            self._ready = [each for each in self.nsqds.values() if each.connection is not None]
            self._on_room()

        def down(_: NsqdConnection, reason: NsqError) -> None:
            nsqd.down(str(reason))
            self._ready.remove(nsqd)

        def tell(event: Event) -> None:
            if isinstance(event, ConnectFailed):
                nsqd.trouble = event.reason
            self._tell(event)

        nsqd.keeper = Keeper(
            address,
            self._reactor,
            lambda: connect(self._reactor, address, config),
            up,
            down,
            tell,
            Redial(self._reactor, self._random, config.max_reconnect_delay),
        )
        nsqd.keeper.start()

    def stop(self) -> Deferred[None]:
        """Close all; fires when they are closed."""
        self._running = False
        closing = []
        for nsqd in self.nsqds.values():
            if nsqd.keeper is not None:
                nsqd.keeper.stop()
            if nsqd.connection is not None:
                closing.append(nsqd.connection.when_closed())
                nsqd.connection.close()
        return gatherResults(closing).addCallback(lambda _: None)
