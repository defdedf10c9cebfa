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

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed

from nsqtx.client.addresses import valid_address
from nsqtx.client.config import WriterConfig
from nsqtx.client.errors import ConfigError, NsqError, Stopped
from nsqtx.client.events import OnEvent, teller
from nsqtx.client.outstanding import Outstanding
from nsqtx.client.pool import Pool
from nsqtx.client.publish_commands import Body, PublishCommands
from nsqtx.client.publishing import Publishing

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
    """A Writer at one moment; ``waiting`` publishes wait for a connection or for room."""

    connections: int
    outstanding: int
    outstanding_bytes: int
    waiting: int
    published: int
    failed: int
    retried: int
    nsqds: tuple[NsqdStats, ...]


class Writer(Service):
    """A producer of messages, see the module.

    :param nsqd_tcp_addresses: ``host:port`` or what else `nsqtx.client.addresses` knows.
    :param reactor: Twisted's, or a fake with TCP and time.
    :param on_event: called with `nsqtx.client.events`.
    :param random: where delays and random choices come from.
    :raises ConfigError: an address is none, or there is none.
    """

    def __init__(
        self,
        nsqd_tcp_addresses: Sequence[str] = (),
        *,
        reactor: Any,
        config: WriterConfig | None = None,
        on_event: OnEvent | None = None,
        random: Random | None = None,
    ) -> None:
        if isinstance(nsqd_tcp_addresses, str):
            raise ConfigError("nsqd_tcp_addresses is a list of addresses, not one")
        if not nsqd_tcp_addresses:
            raise ConfigError("a Writer needs the address of a nsqd")
        self.config = config = config or WriterConfig()
        tell = teller(on_event)
        self._pool = Pool(reactor, config, self._wake, tell, random or Random())  # noqa: S311
        self._pool.add(map(valid_address, nsqd_tcp_addresses))
        self._outstanding = Outstanding(self._pool, config, reactor, tell)
        self._commands = PublishCommands(
            config.max_message_size, config.max_body_size, config.max_defer
        )
        #: Why nothing is taken, if that is so.
        self._refusal = "the Writer is not started"
        self._stopping: Deferred[None] | None = None

    def startService(self) -> None:
        """Connect, or with ``lazy`` be ready to."""
        super().startService()
        self._refusal = ""
        if not self.config.lazy:
            self._pool.start()

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
        await self._outstanding.drain(self.config.drain_timeout)
        await self._pool.stop()

    def publish(
        self, topic: str, body: Body, defer: float | None = None, key: str | None = None
    ) -> Deferred[bytes]:
        """Publish a message, to be delivered after ``defer`` seconds; ``b"OK"`` when nsqd has it.

        ``key`` is for the ``sticky`` strategy, which goes by the topic without one. Fails with
        `PublishFailed`, `Stopped`, or `TypeError` where the body is no bytes.
        """
        try:
            if defer is None:
                data = self._commands.pub(topic, body)
            else:
                data = self._commands.dpub(topic, body, defer)
        except (NsqError, TypeError) as error:
            return fail(error)
        return self._publish(data, 1, topic if key is None else key)

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

    def _publish(self, data: bytes, count: int, key: str) -> Deferred[bytes]:
        if self._refusal:
            return fail(Stopped(self._refusal))
        if self.config.lazy:
            self._pool.start()
        return self._outstanding.publish(Publishing(self._outstanding, data, count, key))

    def _wake(self) -> None:
        self._outstanding.wake()

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
            published=sum(each.published for each in nsqds),
            failed=self._outstanding.failed,
            retried=sum(each.retried for each in nsqds),
            nsqds=nsqds,
        )
