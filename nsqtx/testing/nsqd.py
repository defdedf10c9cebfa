"""A fake nsqd: topics, channels and the V2 protocol in memory, and a test that is in control."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.protocol import Factory

from nsqtx.testing.channels import FakeChannel, FakeMessage, FakeTopic, Published
from nsqtx.testing.connection import Command, FakeConnection
from nsqtx.testing.reactor import MemoryReactor
from nsqtx.wire.codecs import make_deflate, make_snappy
from nsqtx.wire.errors import CODES
from nsqtx.wire.identify import Negotiated
from nsqtx.wire.limits import Limits
from nsqtx.wire.names import valid_name

__all__ = ["FakeNsqd"]


class FakeNsqd(Factory):
    """An nsqd at an address of a `MemoryReactor`; it takes connections until `stop`.

    :param address: ``host:port``.
    :param scripted: answer nothing by itself, see `FakeConnection`.
    :param msg_timeout: seconds after which an unanswered message comes again, unless the client
        asks for another time.
    :param limits: what it takes at most.
    :param auth_secret: the only one it takes, if any.
    :param tls: offer TLS, ``deflate`` and ``snappy`` likewise.
    :param split: the most bytes that arrive at the client in one read; 0: as many as there are.
    :param answer: fields of its answer to IDENTIFY.
    """

    noisy = False

    def __init__(
        self,
        reactor: MemoryReactor,
        address: str = "127.0.0.1:4150",
        *,
        scripted: bool = False,
        msg_timeout: float = 60.0,
        limits: Limits | None = None,
        auth_secret: str = "",
        tls: bool = False,
        deflate: bool = False,
        snappy: bool = False,
        split: int = 0,
        **answer: Any,
    ) -> None:
        self.reactor = reactor
        self.address = address
        self.scripted = scripted
        self.msg_timeout = msg_timeout
        self.limits = limits or Limits()
        self.auth_secret = auth_secret
        self.offers = {"tls_v1": tls, "deflate": deflate, "snappy": snappy}
        self.split = split
        self.answer = answer
        #: Whether it answers to IDENTIFY by more than OK.
        self.negotiates = True
        #: Set: it reads, and says nothing any more, not even heartbeats.
        self.stalled = False
        #: Every connection so far, and what was published.
        self.connections: list[FakeConnection] = []
        self.published: list[Published] = []
        self.topics: dict[str, FakeTopic] = {}
        #: For a scripted one: called with each command.
        self.on_command: Callable[[FakeConnection, Command], None] | None = None
        self._rules: dict[str, list[str | None]] = {}
        self._last_id = 0
        self.start()

    # -- for tests -----------------------------------------------------------------------------

    def start(self) -> None:
        """Take connections."""
        host, _, port = self.address.rpartition(":")
        self._port = self.reactor.listenTCP(int(port), self, interface=host.strip("[]"))

    def stop(self) -> None:
        """Be gone, as if killed: all connections are lost, new ones refused.

        What was in flight or deferred is lost, what waits in channels is kept.
        """
        self._port.stopListening()
        for connection in self.connections:
            if not connection.lost:
                connection.drop()
        for topic in self.topics.values():
            for channel in topic.channels.values():
                channel.stop()

    @property
    def connection(self) -> FakeConnection:
        """The newest connection."""
        return self.connections[-1]

    @property
    def open(self) -> list[FakeConnection]:
        """The connections that are not lost."""
        return [each for each in self.connections if not each.lost]

    def topic(self, name: str) -> FakeTopic:
        """The topic, made if need be."""
        if name not in self.topics:
            self.topics[name] = FakeTopic(name, self.reactor, self._message)
        return self.topics[name]

    def channel(self, topic: str, channel: str) -> FakeChannel:
        """The channel, made if need be."""
        return self.topic(topic).channel(channel)

    def put(self, topic: str, *bodies: bytes) -> None:
        """Messages that somebody else has published."""
        for body in bodies:
            self.topic(topic).put(body)

    def bodies(self, topic: str) -> list[bytes]:
        """What clients have published to a topic."""
        return [each.body for each in self.published if each.topic == topic]

    def refuse(self, command: str, text: str, times: int = 1) -> None:
        """Answer the next such commands by this error, which begins with its code."""
        self._rules.setdefault(command, []).extend([text] * times)

    def ignore(self, command: str, times: int = 1) -> None:
        """Do nothing at the next such commands, and answer nothing."""
        self._rules.setdefault(command, []).extend([None] * times)

    def forgive(self) -> None:
        """Refuse and ignore no more."""
        self._rules.clear()

    def new_id(self) -> bytes:
        """An id that was not used yet."""
        self._last_id += 1
        return b"%016x" % self._last_id

    # -- what it does by itself ----------------------------------------------------------------

    def buildProtocol(self, addr: Any) -> FakeConnection:
        return FakeConnection(self)

    def _message(self, body: bytes) -> FakeMessage:
        return FakeMessage(self.new_id(), int(self.reactor.seconds() * 1e9), body)

    def react(self, connection: FakeConnection, command: Command) -> None:
        """Do what a command asks for."""
        rules = self._rules.get(command.name)
        if rules:
            text = rules.pop(0)
            if text is not None:
                connection.error(text, close=CODES.get(text.partition(" ")[0], True))
            return
        if self.on_command is not None:
            self.on_command(connection, command)
        if self.scripted:
            return
        do = getattr(self, f"_do_{command.name}", None)
        if do is None:
            connection.error(f"E_INVALID invalid command {command.name}")
        else:
            do(connection, command)

    def _do_IDENTIFY(self, connection: FakeConnection, command: Command) -> None:
        asked = connection.identity = json.loads(command.body)
        if asked.get("heartbeat_interval"):
            connection.heartbeat_interval = asked["heartbeat_interval"] / 1000
        if asked.get("msg_timeout"):
            connection.msg_timeout = asked["msg_timeout"] / 1000
        connection.beat()
        if not self.negotiates or not asked.get("feature_negotiation"):
            connection.respond()
            return
        limits = self.limits
        timeout = int(connection.msg_timeout * 1000)
        fields = attrs.asdict(
            Negotiated(limits.max_rdy_count, "1.3.0", limits.max_msg_timeout, timeout)
        )
        agreed = {name: bool(asked.get(name)) and offer for name, offer in self.offers.items()}
        fields.update(agreed, auth_required=bool(self.auth_secret), **self.answer)
        connection.max_msg_timeout = fields["max_msg_timeout"] / 1000
        connection.respond(json.dumps(fields).encode())
        if fields["tls_v1"]:
            securing = connection.start_tls()
            securing.addCallback(lambda _: connection.respond())
            securing.addCallback(lambda _: self._compress(connection, fields))
        else:
            self._compress(connection, fields)

    def _compress(self, connection: FakeConnection, fields: dict[str, Any]) -> None:
        if fields["snappy"]:
            connection.compress(make_snappy())
        elif fields["deflate"]:
            connection.compress(make_deflate(6))

    def _do_AUTH(self, connection: FakeConnection, command: Command) -> None:
        if not self.auth_secret:
            connection.error("E_AUTH_DISABLED AUTH disabled")
        elif command.body.decode() != self.auth_secret:
            connection.error("E_UNAUTHORIZED AUTH no authorizations found")
        else:
            connection.authorized = True
            connection.respond(b'{"identity":"","identity_url":"","permission_count":1}')

    def _do_SUB(self, connection: FakeConnection, command: Command) -> None:
        topic, channel = command.params
        if connection.channel is not None:
            connection.error("E_INVALID cannot SUB in current state")
        elif not self._allowed(connection, command):
            return
        elif not valid_name(topic):
            connection.error(f'E_BAD_TOPIC SUB topic name "{topic}" is not valid')
        elif not valid_name(channel):
            connection.error(f'E_BAD_CHANNEL SUB channel name "{channel}" is not valid')
        else:
            connection.respond()
            connection.channel = self.channel(topic, channel)
            connection.channel.consumers.append(connection)

    def _allowed(self, connection: FakeConnection, command: Command) -> bool:
        if self.auth_secret and not connection.authorized:
            connection.error(f"E_AUTH_FIRST AUTH required before {command.name}")
            return False
        return True

    def _do_RDY(self, connection: FakeConnection, command: Command) -> None:
        count = int(command.params[0])
        if connection.closing:
            return
        if connection.channel is None or not 0 <= count <= self.limits.max_rdy_count:
            connection.error(f"E_INVALID RDY count {count} out of range")
            return
        connection.rdy = count
        connection.channel.pump()

    def _do_FIN(self, connection: FakeConnection, command: Command) -> None:
        channel = self._answered(connection, command)
        if channel is not None:
            channel.finish((connection, command.params[0].encode()))
            channel.pump()

    def _do_REQ(self, connection: FakeConnection, command: Command) -> None:
        channel = self._answered(connection, command)
        if channel is not None:
            channel.requeue((connection, command.params[0].encode()), int(command.params[1]) / 1000)
            channel.pump()

    def _do_TOUCH(self, connection: FakeConnection, command: Command) -> None:
        channel = self._answered(connection, command, keep=True)
        if channel is not None:
            key = connection, command.params[0].encode()
            channel.touch(key, connection.msg_timeout, connection.max_msg_timeout)

    def _answered(
        self, connection: FakeConnection, command: Command, keep: bool = False
    ) -> FakeChannel | None:
        """The channel of a message that is in flight; of others the client is told."""
        id = command.params[0].encode()
        channel = connection.channel
        if not keep:
            connection.in_flight.pop(id, None)
        if channel is not None and channel.holds((connection, id)):
            return channel
        name = command.name
        connection.error(f"E_{name}_FAILED {name} {id.decode()} failed ID not in flight", False)
        return None

    def _do_CLS(self, connection: FakeConnection, command: Command) -> None:
        if connection.channel is None or connection.closing:
            connection.error("E_INVALID cannot CLS in current state")
        else:
            connection.closed_by_client()

    def _do_NOP(self, connection: FakeConnection, command: Command) -> None:
        """That was all."""

    def _do_PUB(self, connection: FakeConnection, command: Command) -> None:
        self._publish(connection, command, [command.body])

    def _do_MPUB(self, connection: FakeConnection, command: Command) -> None:
        self._publish(connection, command, command.bodies)

    def _do_DPUB(self, connection: FakeConnection, command: Command) -> None:
        self._publish(connection, command, [command.body], int(command.params[1]) / 1000)

    def _publish(
        self, connection: FakeConnection, command: Command, bodies: Any, defer: float = 0.0
    ) -> None:
        if self._allowed(connection, command):
            topic = command.params[0]
            for body in bodies:
                self.published.append(Published(topic, body, defer))
                self.topic(topic).put(body, defer)
            connection.respond()
