"""A fake nsqd's side of one connection."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.testing.channels import FakeChannel, FakeMessage
from nsqtx.testing.transport import MemoryTransport
from nsqtx.wire import commands as wire
from nsqtx.wire.codecs import Decoder, Encoder
from nsqtx.wire.frames import CLOSE_WAIT, HEARTBEAT, error, response

if TYPE_CHECKING:
    from nsqtx.testing.nsqd import FakeNsqd

__all__ = ["Command", "FakeConnection"]

#: Plain bytes taken out of a decompressor at a time.
_PIECE = 1 << 20
#: What `FakeConnection.take` leaves out.
_HANDSHAKE = ("IDENTIFY", "AUTH", "SUB", "NOP")

_pack_message = Struct(">IIqH16s").pack


@attrs.frozen
class Command:
    """What a client sent, and when. ``str(command)`` is its line."""

    name: str
    params: tuple[str, ...] = ()
    #: Of those that have one.
    body: bytes = b""
    #: The messages of an MPUB.
    bodies: tuple[bytes, ...] = ()
    time: float = 0.0

    def __str__(self) -> str:
        return " ".join([self.name, *self.params])


@implementer(IHandshakeListener)
class FakeConnection(Protocol):
    """A client that is connected to a `FakeNsqd`.

    With `FakeNsqd.scripted` nothing is answered unless the test does: `respond`, `error`,
    `message`, `send_raw`. Else these come in addition to what the nsqd does by itself.
    """

    transport: MemoryTransport

    def __init__(self, nsqd: FakeNsqd) -> None:
        self.nsqd = nsqd
        #: All that came.
        self.commands: list[Command] = []
        #: What the client said of itself.
        self.identity: dict[str, Any] = {}
        self.channel: FakeChannel | None = None
        self.rdy = 0
        #: Whether the client has sent CLS.
        self.closing = False
        self.authorized = False
        #: Whether the connection is gone, and whether TLS was begun and ended.
        self.lost = False
        self.secured = False
        #: Seconds.
        self.heartbeat_interval = 30.0
        self.msg_timeout = nsqd.msg_timeout
        self.max_msg_timeout = 900.0
        #: By id, those of the channel.
        self.in_flight: dict[bytes, FakeMessage] = {}
        self._parser = wire.Parser(nsqd.limits)
        self._codec: tuple[Encoder, Decoder] | None = None
        self._securing: Deferred[None] | None = None
        self._beating: IDelayedCall | None = None
        self._quiet = 0
        self._taken = 0

    # -- for tests -----------------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        """The lines of all commands so far."""
        return [str(command) for command in self.commands]

    def take(self) -> list[str]:
        """The lines since the last time, without those of the handshake and NOP."""
        return [str(command) for command in self.take_commands()]

    def take_commands(self) -> list[Command]:
        """Likewise the commands."""
        new, self._taken = self.commands[self._taken :], len(self.commands)
        return [command for command in new if command.name not in _HANDSHAKE]

    def respond(self, data: bytes = b"OK") -> None:
        """Send a response."""
        self.send_raw(response(data))

    def error(self, text: str | bytes, close: bool = True) -> None:
        """Send an error; nsqd closes after most of them."""
        self.send_raw(error(text if isinstance(text, bytes) else text.encode()))
        if close:
            self.close()

    def heartbeat(self) -> None:
        self.send_raw(HEARTBEAT)

    def message(
        self, body: bytes, id: bytes | None = None, attempts: int = 1, timestamp: int = 0
    ) -> bytes:
        """Send a message whatever RDY is, which no channel knows of; its id."""
        id = id or self.nsqd.new_id()
        self._send_message(FakeMessage(id, timestamp, body, attempts))
        return id

    def send_raw(self, data: bytes) -> None:
        """Send bytes, compressed if that was agreed on."""
        if not self.nsqd.stalled:
            self.transport.write(data if self._codec is None else self._codec[0].encode(data))

    def send_uncompressed(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.transport.write(data)

    def close(self) -> None:
        """Close when what was sent has arrived."""
        self._parser.stop()
        self.transport.loseConnection()

    def drop(self) -> None:
        """Be gone at once, as if the network had failed."""
        self.transport.abortConnection()

    # -- what arrives --------------------------------------------------------------------------

    def connectionMade(self) -> None:
        self.transport.peer.read_size = self.nsqd.split or self.transport.peer.read_size
        self.nsqd.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        self._quiet = 0
        if self._codec is not None:
            data = self._codec[1].feed(data, _PIECE)
        events = self._parser.feed(data)
        while events:
            for event in events:
                self._event(event)
            events = self._parser.resume()

    def _event(self, event: wire.Event) -> None:
        kind = event[0]
        if kind == wire.LINE:
            name, params = event[1].decode("latin-1"), event[2]
            if name in ("IDENTIFY", "AUTH"):
                self._parser.expect_body(event[1], _PIECE)
            else:
                self._command(name, [each.decode("latin-1") for each in params])
        elif kind == wire.FIN:
            for id in event[1]:
                self._command("FIN", [id.decode()])
        elif kind == wire.PUB:
            for body in event[2]:
                self._command("PUB", [event[1]], body)
        elif kind == wire.MPUB:
            self._command("MPUB", [event[1]], bodies=event[2])
        elif kind == wire.DPUB:
            self._command("DPUB", [event[1], str(event[2])], event[3])
        elif kind == wire.BODY:
            self._command(event[1].decode(), [], event[2])
        elif kind in (wire.ERROR, wire.BAD_MPUB):
            self.error(event[-1].data)
        elif kind == wire.TOO_LONG:
            self.close()

    def _command(
        self, name: str, params: list[str], body: bytes = b"", bodies: list[bytes] | None = None
    ) -> None:
        now = self.nsqd.reactor.seconds()
        command = Command(name, tuple(params), body, tuple(bodies or ()), now)
        self.commands.append(command)
        if not self.nsqd.stalled:
            self.nsqd.react(self, command)

    # -- what goes out by itself ---------------------------------------------------------------

    @property
    def takes(self) -> bool:
        """Whether it may be sent a message more."""
        if self.lost or self.nsqd.stalled:
            return False
        return not self.closing and len(self.in_flight) < self.rdy

    def deliver(self, message: FakeMessage) -> None:
        """Send a message of the channel."""
        assert self.channel is not None
        self.in_flight[message.id] = message
        self.channel.sent((self, message.id), message, self.msg_timeout)
        self._send_message(message)

    def timed_out(self, message: FakeMessage) -> None:
        """There is room for another."""
        self.in_flight.pop(message.id, None)

    def _send_message(self, message: FakeMessage) -> None:
        size = len(message.body) + 30
        head = _pack_message(size, 2, message.timestamp, message.attempts, message.id)
        self.send_raw(head + message.body)

    def compress(self, codec: tuple[Encoder, Decoder]) -> None:
        """From now on, beginning with an OK."""
        self._codec = codec
        self.respond()

    def start_tls(self) -> Deferred[None]:
        """From now on; fires when the client is there, too."""
        self._securing = Deferred()
        self.transport.startTLS(True)
        return self._securing

    def handshakeCompleted(self) -> None:
        self.secured = True
        securing, self._securing = self._securing, None
        if securing is not None:
            securing.callback(None)

    def beat(self) -> None:
        """Send heartbeats, and close when two of them were answered by nothing."""
        if self.heartbeat_interval > 0:
            later = self.heartbeat_interval
            self._beating = self.nsqd.reactor.callLater(later, self._beat)

    def _beat(self) -> None:
        self._quiet += 1
        if self._quiet > 2:
            self._beating = None
            self.close()
            return
        self.heartbeat()
        self.beat()

    def closed_by_client(self) -> None:
        """CLS: nothing more is sent, answers are taken."""
        self.closing = True
        self.rdy = 0
        self.send_raw(CLOSE_WAIT)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        if self._beating is not None:
            self._beating.cancel()
            self._beating = None
        if self.channel is not None:
            self.channel.consumers.remove(self)
