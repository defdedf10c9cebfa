"""Which nsqd a Reader is connected to: those it was given, and those that nsqlookupd names.

A given address is dialled again whenever its connection is lost. One that was found is dialled once
each time it is named, since subscribing makes topics: it must not bring back one that is being
deleted (client section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.iweb import IAgent

from nsqtx.client.addresses import valid_address
from nsqtx.client.config import ReaderConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.client.discovery import Discovery
from nsqtx.client.errors import NsqError
from nsqtx.client.events import OnEvent
from nsqtx.client.keeper import Keeper
from nsqtx.client.lookupds import lookupd_agent, lookupd_client
from nsqtx.client.redial import Redial
from nsqtx.cluster.producers import Producer

__all__ = ["Fleet"]


class Fleet:
    """Addresses, and a `Keeper` for each; see `nsqtx.client.reader.Reader` for the parameters.

    ``leave`` is called with a connection that is to be drained and closed.
    """

    def __init__(
        self,
        topic: str,
        reactor: Any,
        config: ReaderConfig,
        random: Random,
        dial: Callable[[str], Deferred[NsqdConnection]],
        up: Callable[[NsqdConnection], None],
        down: Callable[[NsqdConnection, NsqError], None],
        leave: Callable[[NsqdConnection], None],
        tell: OnEvent,
        agent: IAgent | None,
        choose: Callable[[frozenset[str]], Iterable[str]],
        translate: Callable[[Producer], str | None] | None,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._random = random
        self._dial = dial
        self._up = up
        self._down = down
        self._leave = leave
        self._tell = tell
        self._agent = agent
        #: Addresses that were given, in order.
        self._given: dict[str, None] = {}
        self._keepers: dict[str, Keeper] = {}
        #: Kept over the connections of an address, so that delays grow.
        self._redials: dict[str, Redial] = {}
        self._running = False
        self._discovery = Discovery(
            topic,
            reactor,
            random,
            self._found,
            interval=config.lookupd_poll_interval,
            jitter=config.lookupd_poll_jitter,
            gone=self._vanished,
            drop_after=config.drop_after_rounds,
            translate=translate,
            choose=choose,
            tell=tell,
            long_poll=config.lookupd_long_poll,
        )

    @property
    def addresses_given(self) -> bool:
        """Whether there is anything to connect to, or to ask for it."""
        return bool(self._given or self._discovery.lookupds)

    @property
    def addresses(self) -> list[str]:
        """Where it is connected, or tries to be."""
        return list(self._keepers)

    def add_nsqd(self, address: str) -> None:
        """Stay connected to one more.

        :raises ConfigError: it is no address.
        """
        self._given[valid_address(address)] = None
        if self._running:
            self._keep(address, again=True)

    def remove_nsqd(self, address: str) -> None:
        """Leave one: what runs may end, then the connection is closed."""
        self._given.pop(address, None)
        self._drop(address)

    @property
    def lookupds(self) -> list[str]:
        """The nsqlookupd that are asked."""
        return self._discovery.lookupds

    def add_lookupd(self, address: str) -> None:
        """Ask one more, beginning now.

        :raises ConfigError: it is no address.
        """
        if self._agent is None:
            self._agent = lookupd_agent(self._reactor, self._config)
        lookupd = lookupd_client(address, self._agent, self._reactor, self._config)
        self._discovery.add(address, lookupd)
        if self._running:
            self._discovery.start()

    def remove_lookupd(self, address: str) -> None:
        """Ask it no more. Connections to what it named stay."""
        self._discovery.remove(address)

    def start(self) -> None:
        """Connect, and ask."""
        self._running = True
        for address in self._given:
            self._keep(address, again=True)
        if self._discovery.lookupds:
            self._discovery.start()

    def stop(self) -> None:
        """Dial and ask no more. What is connected is left to its owner."""
        self._running = False
        self._discovery.stop()
        for keeper in list(self._keepers.values()):
            keeper.stop()

    def _found(self, addresses: frozenset[str], complete: bool) -> None:
        if complete:
            # Where nobody is any more, and nobody says that somebody is.
            known = {*addresses, *self._given, *self._keepers}
            self._redials = {key: each for key, each in self._redials.items() if key in known}
        for address in sorted(addresses):
            if address not in self._keepers:
                self._keep(address, again=False)

    def _vanished(self, addresses: frozenset[str]) -> None:
        for address in sorted(addresses - self._given.keys()):
            self._redials.pop(address, None)
            self._drop(address)

    def _keep(self, address: str, again: bool) -> None:
        if address in self._keepers:
            return
        redial = self._redials.get(address)
        if redial is None:
            redial = Redial(self._reactor, self._random, self._config.max_reconnect_delay)
            self._redials[address] = redial
        keeper = Keeper(
            address,
            self._reactor,
            lambda: self._dial(address),
            self._up,
            self._down,
            self._tell,
            redial,
            again,
            lambda: self._ended(address),
        )
        self._keepers[address] = keeper
        keeper.start()

    def _drop(self, address: str) -> None:
        keeper = self._keepers.get(address)
        if keeper is None:
            return
        keeper.stop()
        if keeper.connection is not None:
            self._leave(keeper.connection)

    def _ended(self, address: str) -> None:
        self._keepers.pop(address, None)
        if not self._running:
            return
        if address in self._given:
            # It was given after it was found, or removed and given again.
            self._keep(address, again=True)
        elif self._discovery.lookupds:
            self._discovery.poll_soon()
