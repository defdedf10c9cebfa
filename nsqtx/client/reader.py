"""Reader: consumes a channel of a topic from all nsqd that have it (client sections 4 to 8).

::

    async def handle(message):
        await store(message.body)         # returning finishes it, raising requeues it

    reader = Reader(
        "orders", "billing", handle, reactor=reactor, lookupd_http_addresses=["10.0.0.1:4161"]
    )
    reader.setServiceParent(application)

Who does what: `Keeper` keeps each address connected, `Discovery` finds addresses, `Source` is one
connection's messages and answers, `Handling` runs handlers, `Ready` decides how many messages each
nsqd may push, `Backoff` when to push none. The Reader wires them and stops them in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random, SystemRandom
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.iweb import IAgent

from nsqtx.client.addresses import listed
from nsqtx.client.backoff import Backoff, Transition, strategy
from nsqtx.client.batch import Batches
from nsqtx.client.config import ReaderConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.client.errors import ConfigError, NsqError
from nsqtx.client.events import BackoffChanged, OnEvent, RdyLimited, teller
from nsqtx.client.fleet import Fleet
from nsqtx.client.giving_up import GivingUp
from nsqtx.client.handling import Handler, Handling
from nsqtx.client.handshake import connect
from nsqtx.client.ready import Ready, Share
from nsqtx.client.source import Counts, Source
from nsqtx.client.stats import ConnectionStats, DrainReport, ReaderStats
from nsqtx.client.stream import MessageLoop, MessageStream
from nsqtx.cluster.producers import Producer
from nsqtx.connections import cancel
from nsqtx.wire.names import valid_name

__all__ = ["Reader"]

log = Logger(namespace="nsqtx.client")

#: How long a connection may take to send its last answers and close, in seconds.
_FLUSH = 2.0


class Reader(Service):
    """Consumes ``topic`` by ``channel``; see `nsqtx.client.handling` for what a handler may do.

    :param handler: called with each `Message`; None: iterate over the Reader instead.
    :param reactor: the reactor, or what tests have for one: time and connections come from it.
    :param nsqd_tcp_addresses: nsqd to stay connected to.
    :param lookupd_http_addresses: nsqlookupd to ask for more.
    :param giving_up: called in place of the handler for a message with more attempts than
        ``max_attempts``; it is finished afterwards, unless the function answered it or raised.
    :param dead_letter_writer: publishes to ``dead_letter_topic``; None: the nsqd that the message
        came from gets it back there.
    :param on_event: is told what happens, see `nsqtx.client.events`.
    :param agent: asks nsqlookupd; None: one of ``reactor``.
    :param choose: which of the addresses that nsqlookupd named to connect to.
    :param translate: the address at which a producer is to be reached; None: its broadcast address.
    :param random: for jitter and turns, to be given by tests.
    :raises ConfigError: a name, an address or a combination that cannot be.
    """

    def __init__(
        self,
        topic: str,
        channel: str,
        handler: Handler | None = None,
        *,
        reactor: Any,
        nsqd_tcp_addresses: Iterable[str] = (),
        lookupd_http_addresses: Iterable[str] = (),
        config: ReaderConfig | None = None,
        giving_up: Handler | None = None,
        dead_letter_writer: Any = None,
        on_event: OnEvent | None = None,
        agent: IAgent | None = None,
        choose: Callable[[frozenset[str]], Iterable[str]] = frozenset,
        translate: Callable[[Producer], str | None] | None = None,
        random: Random | None = None,
    ) -> None:
        for what, name in (("topic", topic), ("channel", channel)):
            if not valid_name(name):
                raise ConfigError(f"{name!r} is no name for a {what}")
        self.topic = topic
        self.channel = channel
        self.config = config or ReaderConfig()
        self.tell = teller(on_event)
        self._reactor = reactor
        self._random = random or SystemRandom()
        self._max_in_flight = self.config.max_in_flight
        if self.config.concurrency > self._max_in_flight > 0:
            log.warn(
                "{topic}: of {concurrency} handlers at once no more than max_in_flight, "
                "{max_in_flight}, will run",
                topic=topic,
                concurrency=self.config.concurrency,
                max_in_flight=self._max_in_flight,
            )
        self._paused = False
        #: Whether somebody takes messages: always, except when nobody iterates.
        self._wanted = True
        self._sources: dict[NsqdConnection, Source] = {}
        self._gone_counts = Counts()
        self._draining = False
        self._time_for_handlers: IDelayedCall | None = None
        self._drained: list[Deferred[DrainReport]] = []
        self._report: DrainReport | None = None
        self._all_gone: Deferred[None] | None = None
        self.ready = Ready(
            self._max_in_flight,
            reactor.seconds,
            self._random,
            self._send_rdy,
            self.config.low_rdy_idle_timeout,
            self.config.low_rdy_timeout,
            self.config.lend_idle_rdy,
        )
        self.backoff = Backoff(
            strategy(self.config.backoff_strategy, self.config.backoff_multiplier, self._random),
            self.config.max_backoff_duration,
            reactor,
            self._backoff_changed,
            enabled=self.config.backoff and self.config.max_backoff_duration > 0,
        )
        self._stream: MessageStream | None = None
        if handler is None:
            self._stream = handler = MessageStream(self._set_wanted)
            self._wanted = False
            self._apply_max_in_flight()
        elif isinstance(handler, Batches):
            handler.attach(self, reactor)
        self._handling = Handling(
            handler,
            GivingUp(giving_up, self.config.dead_letter_topic, dead_letter_writer),
            self.config,
            self._gone_counts,
            reactor,
            self.tell,
        )
        #: The addresses, to be changed while it runs.
        self.nsqds = Fleet(
            topic,
            reactor,
            self.config,
            self._random,
            self._dial,
            self._up,
            self._down,
            self._leave,
            self.tell,
            agent,
            choose,
            translate,
        )
        for address in listed(nsqd_tcp_addresses):
            self.nsqds.add_nsqd(address)
        for address in listed(lookupd_http_addresses):
            self.nsqds.add_lookupd(address)
        self._ticking = LoopingCall(self.ready.tick)
        self._ticking.clock = reactor

    def __aiter__(self) -> MessageLoop:
        """``async for message in reader``: each is finished when the next is asked for."""
        return self.messages()

    def messages(self) -> MessageLoop:
        """A loop over messages, for ``async with`` and ``async for``.

        :raises ConfigError: the Reader has a handler.
        """
        if self._stream is None:
            raise ConfigError("this Reader has a handler, which gets the messages")
        return self._stream.loop()

    def _set_wanted(self, wanted: bool) -> None:
        self._wanted = wanted
        self._apply_max_in_flight()

    # -- as a service --------------------------------------------------------------------------

    def startService(self) -> None:
        """Connect to all nsqd, and start to ask nsqlookupd.

        :raises ConfigError: it was stopped before; a Reader runs once.
        """
        if self._draining:
            raise ConfigError("a Reader that was stopped stays so: make another")
        super().startService()
        if not self.nsqds.addresses_given:
            log.warn("{topic}: neither nsqd nor nsqlookupd are known", topic=self.topic)
        self._ticking.start(self.config.rdy_redistribute_interval, now=False)
        self.nsqds.start()

    def stopService(self) -> Deferred[DrainReport]:
        """Drain, within ``drain_timeout``: what runs may end, what waits goes back to nsqd."""
        super().stopService()
        return self.drain(self.config.drain_timeout)

    def _dial(self, address: str) -> Deferred[NsqdConnection]:
        return connect(self._reactor, address, self.config, (self.topic, self.channel))

    # -- how much ------------------------------------------------------------------------------

    @property
    def max_in_flight(self) -> int:
        """Messages that all nsqd together may have under way to us, unless paused."""
        return self._max_in_flight

    def set_max_in_flight(self, max_in_flight: int) -> None:
        """Change it, at once; 0 pauses.

        :raises ConfigError: it is negative.
        """
        if max_in_flight < 0:
            raise ConfigError(f"max_in_flight is {max_in_flight}: it must be at least 0")
        self._max_in_flight = max_in_flight
        self._apply_max_in_flight()

    def pause(self) -> None:
        """Take no more messages until `resume`."""
        self._paused = True
        self._apply_max_in_flight()

    def resume(self) -> None:
        """Take messages again."""
        self._paused = False
        self._apply_max_in_flight()

    @property
    def paused(self) -> bool:
        return self._paused

    def _apply_max_in_flight(self) -> None:
        off = self._paused or not self._wanted
        self.ready.set_max_in_flight(0 if off else self._max_in_flight)

    @property
    def starved(self) -> bool:
        """Whether some nsqd can give little more until it gets answers: time to flush a batch."""
        return self.ready.starved

    def stats(self) -> ReaderStats:
        """How it is doing."""
        counts = attrs.evolve(self._gone_counts)
        connections = []
        for source in self._sources.values():
            counts.add(source.counts)
            share = source.share
            each = attrs.evolve(source.counts)
            connections.append(ConnectionStats(source.address, share.rdy, share.in_flight, each))
        backoff = self.backoff
        return ReaderStats(
            counts,
            self.ready.snapshot(),
            connections,
            len(self._handling.queue),
            len(self._handling.running),
            backoff.state.value,
            backoff.level,
            backoff.remaining,
        )

    # -- connections ---------------------------------------------------------------------------

    def _leave(self, connection: NsqdConnection) -> None:
        """Take no more from one nsqd: what runs may end, then the connection is closed."""
        source = self._sources[connection]
        source.drain()
        self._handling.drop(source)

    def _up(self, connection: NsqdConnection) -> None:
        source = Source(self, connection, self._handling.take, self._handling.release)
        self._sources[connection] = source
        limit = connection.negotiated.max_rdy_count
        if limit < self._max_in_flight:
            log.warn(
                "nsqd {address}: takes RDY up to {limit}, less than max_in_flight {max_in_flight}",
                address=connection.address,
                limit=limit,
                max_in_flight=self._max_in_flight,
            )
            self.tell(RdyLimited(connection.address, limit))
        source.join()

    def _down(self, connection: NsqdConnection, reason: NsqError) -> None:
        source = self._sources.pop(connection)
        self._gone_counts.add(source.counts)
        # What its handlers do yet.
        source.counts = self._gone_counts
        self._handling.lost(source)
        self.ready.leave(source.share)
        if self._all_gone is not None and not self._sources:
            gone, self._all_gone = self._all_gone, None
            gone.callback(None)

    def _send_rdy(self, share: Share, rdy: int) -> None:
        share.owner.send(b"RDY %d\n" % rdy)

    def _backoff_changed(self, transition: Transition) -> None:
        self.ready.set_mode(transition.state)
        state, level = transition.state.value, transition.level
        self.tell(BackoffChanged(state, level, transition.duration))

    # -- the end -------------------------------------------------------------------------------

    def drain(self, timeout: float) -> Deferred[DrainReport]:
        """Stop, waiting up to ``timeout`` seconds for handlers; what was done meanwhile.

        The phases are those of client section 8.3. A second call joins the first, and may only
        make it shorter: 0 is an end at once.
        """
        waiting: Deferred[DrainReport] = Deferred()
        self._drained.append(waiting)
        if not self._draining:
            self._draining = True
            self.running = 0
            draining = Deferred.fromCoroutine(self._drain(timeout))
            draining.addErrback(lambda failure: log.failure("bug in draining", failure))
        elif self._report is not None:
            self._tell_drained(self._report)
        elif self._time_for_handlers is not None:
            left = self._time_for_handlers.getTime() - self._reactor.seconds()
            self._time_for_handlers.reset(min(left, timeout))
        return waiting

    def _tell_drained(self, report: DrainReport) -> None:
        waiting, self._drained = self._drained, []
        for each in waiting:
            each.callback(report)

    async def _drain(self, timeout: float) -> None:
        before = self.stats().counts
        if self._ticking.running:
            self._ticking.stop()
        self.backoff.stop()
        self.ready.stop()
        self.nsqds.stop()
        # Before anything goes back, which nsqd would send us again.
        for source in list(self._sources.values()):
            source.drain()
        self._handling.stop()
        for source in list(self._sources.values()):
            self._handling.drop(source)
        await self._wait_for_handlers(timeout)
        ended = self.stats().counts
        self._handling.abandon()
        abandoned = self.stats().counts.requeued - ended.requeued
        await self._wait_all_gone().addTimeout(_FLUSH, self._reactor, lambda _, __: None)
        for connection in list(self._sources):
            connection.fail(NsqError("nsqd did not let go of it"))
        await self._wait_all_gone()
        self._handling.close()
        after = self.stats().counts
        self._report = DrainReport(
            after.finished - before.finished, after.requeued - before.requeued, abandoned
        )
        self._tell_drained(self._report)

    async def _wait_for_handlers(self, timeout: float) -> None:
        if timeout <= 0:
            return
        idle = self._handling.idle()
        self._time_for_handlers = self._reactor.callLater(timeout, idle.cancel)
        try:
            await idle
        except CancelledError:
            log.info("{topic}: time is up for handlers", topic=self.topic)
        cancel(self._time_for_handlers)
        self._time_for_handlers = None

    def _wait_all_gone(self) -> Deferred[None]:
        gone: Deferred[None] = Deferred()
        if self._sources:
            self._all_gone = gone
        else:
            gone.callback(None)
        return gone
