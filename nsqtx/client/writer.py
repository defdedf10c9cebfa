"""The Writer: publishes to one nsqd of several, and says what nsqd said (client section 9).

A publish is done when nsqd's ``OK`` was read, not when it was sent. Publishes are sent one behind
the other without waiting, within limits; with no connection, or at the limits, they wait. One that
fails is tried again as the settings allow, elsewhere if possible. In the end there is ``b"OK"`` or
a `PublishFailed`, which tells whether a message may be in the topic nevertheless::

    writer = Writer(["localhost:4150"], reactor=reactor)
    writer.startService()
    await writer.publish("orders", b"one")
    await writer.stopService()

Messages may be stored twice where an attempt was lost whose outcome is unknown (see
``retry_unknown``), and there is no order among attempts on several connections: NSQ itself
promises neither.

A cancelled publish that was not written is not sent; else nsqd's answer to it is passed over. The
same is so after ``publish_timeout``: the connection is kept, and answers still find their commands.
An nsqd that let one time out is passed by, while it answers nothing and there are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random, SystemRandom
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.web.iweb import IAgent

from nsqtx.client.addresses import listed, valid_address
from nsqtx.client.config import WriterConfig
from nsqtx.client.discovery import Discovery
from nsqtx.client.errors import ConfigError, NsqError, Stopped
from nsqtx.client.events import OnEvent, teller
from nsqtx.client.lookupds import Nodes, lookupd_agent, lookupd_client
from nsqtx.client.outstanding import Outstanding
from nsqtx.client.pool import Pool
from nsqtx.client.publish_batches import PublishBatches
from nsqtx.client.publish_commands import Body, PublishCommands
from nsqtx.client.publishing import Publishing
from nsqtx.client.replication import Replication
from nsqtx.cluster.producers import Producer

__all__ = ["NsqdStats", "Writer", "WriterStats"]


@attrs.frozen
class NsqdStats:
    """One nsqd of a Writer; messages are counted, but ``retried`` and ``outstanding`` publishes."""

    address: str
    connected: bool
    outstanding: int
    published: int
    failed: int
    retried: int


@attrs.frozen
class WriterStats:
    """A Writer at one moment; ``waiting`` publishes wait for a connection or for room, and
    ``batched`` messages for others to be sent with."""

    connections: int
    outstanding: int
    outstanding_bytes: int
    waiting: int
    batched: int
    published: int
    failed: int
    retried: int
    nsqds: tuple[NsqdStats, ...]


class Writer(Service):
    """A producer of messages, see the module.

    :param nsqd_tcp_addresses: ``host:port`` or what else `nsqtx.client.addresses` knows.
    :param lookupd_http_addresses: nsqlookupd that know more nsqd: publishes go to all of them.
    :param reactor: Twisted's, or a fake with TCP and time.
    :param on_event: called with `nsqtx.client.events`.
    :param agent: asks nsqlookupd; None: one of ``reactor``.
    :param translate: the address at which a nsqd that was found is to be reached; None: its
        broadcast address.
    :param random: where delays and random choices come from.
    :raises ConfigError: an address is none, or there are too few.
    """

    def __init__(
        self,
        nsqd_tcp_addresses: Iterable[str] = (),
        *,
        reactor: Any,
        lookupd_http_addresses: Iterable[str] = (),
        config: WriterConfig | None = None,
        on_event: OnEvent | None = None,
        agent: IAgent | None = None,
        translate: Callable[[Producer], str | None] | None = None,
        random: Random | None = None,
    ) -> None:
        self.config = config = config or WriterConfig()
        random = random or SystemRandom()
        tell = teller(on_event)
        self._given = dict.fromkeys(map(valid_address, listed(nsqd_tcp_addresses)))
        self._pool = Pool(reactor, config, self._wake, tell, random)
        self._pool.add(self._given)
        self._outstanding = Outstanding(self._pool, config, reactor, tell)
        self._commands = PublishCommands(
            config.max_message_size, config.max_body_size, config.max_defer
        )
        self._batches = PublishBatches(config, reactor, self._send_batch)
        self._discovery = Discovery(
            "any topic",
            reactor,
            random,
            self._found,
            interval=config.lookupd_poll_interval,
            jitter=config.lookupd_poll_jitter,
            translate=translate,
            tell=tell,
            long_poll=False,
        )
        for address in listed(lookupd_http_addresses):
            agent = agent or lookupd_agent(reactor, config)
            lookupd = lookupd_client(address, agent, reactor, config)
            self._discovery.add(address, Nodes(lookupd))
        if not self._given and not self._discovery.lookupds:
            raise ConfigError("a Writer needs the address of a nsqd, or of a nsqlookupd")
        if not self._discovery.lookupds and config.replicas > len(self._given):
            raise ConfigError(f"replicas is {config.replicas}: there are {len(self._given)} nsqd")
        self._started = False
        #: Why nothing is taken, if that is so.
        self._refusal = "the Writer is not started"
        self._stopping: Deferred[None] | None = None

    def startService(self) -> None:
        """Connect, or with ``lazy`` be ready to."""
        super().startService()
        self._refusal = ""
        if not self.config.lazy:
            self._start()

    def _start(self) -> None:
        self._started = True
        self._pool.start()
        if self._discovery.lookupds:
            self._discovery.start()

    def stopService(self) -> Deferred[None]:
        """Take nothing more, wait for answers up to ``drain_timeout``, and close.

        What has no answer then fails. Fires when all connections are closed.
        """
        if self.running:
            super().stopService()
            self._refusal = "the Writer is stopped"
            self._stopping = Deferred.fromCoroutine(self._stop())
        if self._stopping is None:
            return succeed(None)
        told: Deferred[None] = Deferred()

        def tell(_: None) -> None:
            told.callback(None)

        self._stopping.addCallback(tell)
        return told

    async def _stop(self) -> None:
        self._batches.flush()
        await self._outstanding.drain(self.config.drain_timeout)
        self._discovery.stop()
        self._started = False
        await self._pool.stop()

    def publish(
        self, topic: str, body: Body, defer: float | None = None, key: str | None = None
    ) -> Deferred[bytes]:
        """Publish a message, to be delivered after ``defer`` seconds; ``b"OK"`` when nsqd has it.

        ``key`` is for the ``sticky`` strategy, which goes by the topic without one. Fails with
        `PublishFailed`, `Stopped`, or `TypeError` where the body is no bytes.
        """
        place = topic if key is None else key
        try:
            if defer is not None:
                data = self._commands.dpub(topic, body, defer)
            elif self.config.batch_linger:
                body = self._commands.check(topic, body)
                if self._refusal:
                    return fail(Stopped(self._refusal))
                return self._batches.add(topic, body, place)
            else:
                data = self._commands.pub(topic, body)
        except (NsqError, TypeError) as error:
            return fail(error)
        return self._publish(data, 1, place)

    def multi_publish(
        self, topic: str, bodies: Iterable[Body], key: str | None = None
    ) -> Deferred[bytes]:
        """Publish several messages by one command, all or none of which nsqd takes."""
        try:
            data, count = self._commands.mpub(topic, bodies)
        except Exception as error:  # noqa: BLE001
            # Whatever the iterable has raised.
            return fail(error)
        return self._publish(data, count, topic if key is None else key)

    def _send_batch(self, topic: str, bodies: list[bytes], key: str) -> Deferred[bytes]:
        if len(bodies) == 1:
            return self._send(self._commands.pub(topic, bodies[0]), 1, key)
        data, count = self._commands.mpub(topic, bodies)
        return self._send(data, count, key)

    def _publish(self, data: bytes, count: int, key: str) -> Deferred[bytes]:
        if self._refusal:
            return fail(Stopped(self._refusal))
        return self._send(data, count, key)

    def _send(self, data: bytes, count: int, key: str) -> Deferred[bytes]:
        if not self._started:
            self._start()
        outstanding, replicas = self._outstanding, self.config.replicas
        if replicas == 1:
            return outstanding.publish(Publishing(outstanding, data, count, key))
        copies = [Publishing(outstanding, data, count, key) for _ in range(replicas)]
        return Replication(outstanding, copies, self.config.replica_answers or replicas).result

    def _wake(self) -> None:
        self._outstanding.wake()

    def _found(self, addresses: frozenset[str], complete: bool) -> None:
        self._pool.add(sorted(addresses))
        if complete:
            self._pool.forget(set(self._pool.nsqds) - addresses - self._given.keys())

    def stats(self) -> WriterStats:
        """How things stand."""
        nsqds = tuple(
            NsqdStats(
                each.address,
                each.is_up,
                each.outstanding,
                each.published,
                each.failed,
                each.retried,
            )
            for each in self._pool.nsqds.values()
        )
        return WriterStats(
            connections=sum(each.connected for each in nsqds),
            outstanding=self._outstanding.written,
            outstanding_bytes=self._outstanding.bytes,
            waiting=self._outstanding.waiting,
            batched=self._batches.waiting,
            published=self._outstanding.published,
            failed=self._outstanding.failed,
            retried=self._outstanding.retried,
            nsqds=nsqds,
        )
