"""Clients of the simulated cluster that speak the protocol by hand: publishers and consumers."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.simulation.history import History
from tests.simulation.ledger import Place, Publish
from tests.simulation.network import Host
from tests.simulation.reactor import SimulatedReactor

__all__ = ["Client", "Consumer", "HttpConnection", "HttpPublisher", "Publisher"]

#: What a client tells nsqd (seconds).
HEARTBEAT = 1.0
MSG_TIMEOUT = 3.0
#: A client that heard nothing for so long gives a connection up (seconds).
SILENCE = 2.5


def sized(data: bytes) -> bytes:
    """With its size in front."""
    return struct.pack(">I", len(data)) + data


class Connection(Protocol):
    """A connection to nsqd by V2: frames in, commands out."""

    transport: ITCPTransport

    def __init__(self, client: Client) -> None:
        self.client = client
        self._buffer = b""
        self._heard = client.reactor.seconds()
        self._check: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._heard = self.client.reactor.seconds()
        self._check = self.client.reactor.callLater(SILENCE, self._look)
        who = {"heartbeat_interval": int(HEARTBEAT * 1000), "msg_timeout": int(MSG_TIMEOUT * 1000)}
        self.transport.write(b"  V2IDENTIFY\n" + sized(json.dumps(who).encode()))
        self.client.connected(self)

    def _look(self) -> None:
        silent = self.client.reactor.seconds() - self._heard
        if silent >= SILENCE:
            self.transport.abortConnection()
        else:
            self._check = self.client.reactor.callLater(SILENCE - silent, self._look)

    def dataReceived(self, data: bytes) -> None:
        self._heard = self.client.reactor.seconds()
        data = self._buffer + data
        at = 0
        while len(data) - at >= 8:
            size, kind = struct.unpack_from(">II", data, at)
            if len(data) - at < 4 + size:
                break
            frame = data[at + 8 : at + 4 + size]
            at += 4 + size
            if frame == b"_heartbeat_":
                self.transport.write(b"NOP\n")
            else:
                self.client.received(kind, frame)
        self._buffer = data[at:]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._check is not None and self._check.active():
            self._check.cancel()
        self.client.lost()


class Client(ClientFactory):
    """Keeps a connection to one nsqd, as long as it is `active`."""

    noisy = False
    protocol_class: Callable[[Any], Protocol] = Connection
    port = 4150

    def __init__(self, name: str, reactor: SimulatedReactor, nsqd: Host, history: History) -> None:
        self.name = name
        self.reactor = reactor
        self.nsqd = nsqd
        self.history = history
        self.world = history.world
        self.active = True
        self.connection: Any = None
        self._again: IDelayedCall | None = None
        self.connect()

    def connect(self) -> None:
        """Connect, now."""
        self._again = None
        self.reactor.connectTCP(self.nsqd.address, self.port, self, timeout=1.0)

    def buildProtocol(self, addr: object) -> Protocol:
        return self.protocol_class(self)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self.lost()

    def connected(self, connection: Any) -> None:
        """There is a connection."""
        self.connection = connection

    def received(self, kind: int, frame: bytes) -> None:
        """A frame came: 0 an answer, 1 an error, 2 a message; or a body, with its HTTP status."""

    def lost(self) -> None:
        """There is no connection any more, or none was made."""
        self.connection = None
        if self.active and self._again is None:
            pause = self.world.random.uniform(0.05, 0.3)
            self._again = self.reactor.callLater(pause, self.connect)

    def stop(self) -> None:
        """Be gone for good."""
        self.active = False
        if self.connection is not None:
            self.connection.transport.abortConnection()


class Publisher(Client):
    """Publishes to one topic, now and then, and notes the answers. ``busy`` makes it go on."""

    def __init__(
        self, name: str, reactor: SimulatedReactor, nsqd: Host, history: History, topic: str
    ) -> None:
        self.topic = topic
        self.busy = True
        self._number = 0
        #: Whose answers are still to come; None: an answer that is nobody's.
        self._waiting: deque[list[Publish] | None] = deque()
        super().__init__(name, reactor, nsqd, history)
        reactor.callLater(self._pause(), self._go_on)

    def _pause(self) -> float:
        return self.world.random.expovariate(6.0)

    def _go_on(self) -> None:
        self.reactor.callLater(self._pause(), self._go_on)
        if self.busy and self.connection is not None and len(self._waiting) < 8:
            self.publish()

    def make(self, count: int, delay: float = 0.0) -> list[Publish]:
        """New messages, noted as sent."""
        random = self.world.random
        bodies = []
        for _ in range(count):
            self._number += 1
            size = random.choice((0, 1, 20, 20, 200, 2000))
            bodies.append(b"%b-%d:" % (self.name.encode(), self._number) + random.randbytes(size))
        return self.history.publishing(self.nsqd.name, self.topic, bodies, delay)

    def publish(self) -> None:
        """Publish something by any of the three commands."""
        random = self.world.random
        kind = random.random()
        topic = self.topic.encode()
        if kind < 0.5:
            sent = self.make(1)
            data = b"PUB %b\n" % topic + sized(sent[0].body)
        elif kind < 0.85:
            sent = self.make(random.randint(1, 6))
            inner = b"".join(sized(each.body) for each in sent)
            data = b"MPUB %b\n" % topic + sized(struct.pack(">I", len(sent)) + inner)
        else:
            delay = random.choice((100, 1000, 2500))
            sent = self.make(1, delay / 1000)
            data = b"DPUB %b %d\n" % (topic, delay) + sized(sent[0].body)
        self._waiting.append(sent)
        self.connection.transport.write(data)

    def connected(self, connection: Any) -> None:
        super().connected(connection)
        self._waiting.append(None)

    def received(self, kind: int, frame: bytes) -> None:
        sent = self._waiting.popleft()
        if sent is not None:
            self.history.answered(sent, frame.decode())

    def lost(self) -> None:
        self._waiting.clear()
        super().lost()


class HttpConnection(Protocol):
    """A connection for HTTP, one request at a time. The client is told status and body."""

    transport: ITCPTransport

    def __init__(self, client: Client) -> None:
        self.client = client
        self._buffer = b""
        self._give_up: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self.client.connected(self)

    def request(self, data: bytes) -> None:
        """Send a request."""
        self._give_up = self.client.reactor.callLater(SILENCE, self.transport.abortConnection)
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = body[length:]
            assert self._give_up is not None
            self._give_up.cancel()
            self._give_up = None
            self.client.received(int(head.split(b" ", 2)[1]), body[:length])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._give_up is not None and self._give_up.active():
            self._give_up.cancel()
        self.client.lost()


class HttpPublisher(Publisher):
    """A publisher that posts to ``/pub`` and ``/mpub``."""

    protocol_class = HttpConnection
    port = 4151

    def publish(self) -> None:
        if self._waiting:
            return
        random = self.world.random
        topic = self.topic
        if random.random() < 0.5:
            delay = random.choice((0, 0, 700))
            sent = self.make(1, delay / 1000)
            target, body = f"/pub?topic={topic}&defer={delay}", sent[0].body
            if not delay:
                target = f"/pub?topic={topic}"
        else:
            sent = self.make(random.randint(1, 5))
            inner = b"".join(sized(each.body) for each in sent)
            target = f"/mpub?topic={topic}&binary=true"
            body = struct.pack(">I", len(sent)) + inner
        self._waiting.append(sent)
        head = f"POST {target} HTTP/1.1\r\nHost: nsqd\r\nContent-Length: {len(body)}\r\n\r\n"
        self.connection.request(head.encode() + body)

    def connected(self, connection: Any) -> None:
        self.connection = connection

    def received(self, kind: int, frame: bytes) -> None:
        sent = self._waiting.popleft()
        assert sent is not None
        self.history.answered(sent, "OK" if kind == 200 else str(kind))


class Consumer(Client):
    """Consumes a channel. In trouble it does what clients should not; else it finishes all."""

    def __init__(
        self, name: str, reactor: SimulatedReactor, nsqd: Host, history: History, place: Place
    ) -> None:
        self.place = place
        self.troubled = True
        self._answers = 0
        super().__init__(name, reactor, nsqd, history)
        self._fidget()

    def _fidget(self) -> None:
        """Change RDY now and then."""
        if self.troubled:
            self.reactor.callLater(self.world.random.uniform(0.2, 1.0), self._fidget)
            if self._answers >= 2:
                self._send_ready()

    def connected(self, connection: Any) -> None:
        super().connected(connection)
        self._answers = 0
        topic, channel = self.place.topic.encode(), self.place.channel.encode()
        self._send(b"SUB %b %b\n" % (topic, channel))
        self._send_ready()

    def _send_ready(self) -> None:
        count = self.world.random.choice((0, 1, 1, 2, 5, 50)) if self.troubled else 20
        self._send(b"RDY %d\n" % count)

    def _send(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.transport.write(data)

    def calm_down(self) -> None:
        """From now on finish everything."""
        self.troubled = False
        if self.connection is not None and self._answers >= 2:
            self.connection.transport.resumeProducing()
            self._send_ready()

    def received(self, kind: int, frame: bytes) -> None:
        if kind == 2:
            self._message(frame[10:26])
        elif kind == 0:
            self._answers += 1
            if self._answers == 2:
                self.history.channel_exists(self.place)
                self._send_ready()

    def _message(self, id: bytes) -> None:
        if not self.troubled:
            self._send(b"FIN %b\n" % id)
            return
        random = self.world.random
        kind = random.random()
        if kind < 0.6:
            self._send(b"FIN %b\n" % id)
        elif kind < 0.75:
            self._later(id, b"FIN %b\n" % id)
        elif kind < 0.87:
            self._send(b"REQ %b %d\n" % (id, random.choice((0, 0, 200, 1500))))
        elif kind < 0.93:
            self._send(b"TOUCH %b\n" % id)
            self._later(id, b"FIN %b\n" % id)
        elif kind < 0.97:
            self._send_ready()
        elif kind < 0.98 and self.connection is not None:
            self.connection.transport.pauseProducing()
            self.reactor.callLater(random.uniform(0.1, 2.0), self._read_on, self.connection)
        elif kind < 0.99 and self.connection is not None:
            self.connection.transport.abortConnection()

    def _later(self, id: bytes, data: bytes) -> None:
        delay = self.world.random.uniform(0.0, 0.3)
        self.reactor.callLater(delay, self._send_on, self.connection, data)

    def _send_on(self, connection: Any, data: bytes) -> None:
        if connection is self.connection:
            self._send(data)

    def _read_on(self, connection: Any) -> None:
        if connection is self.connection and connection is not None:
            connection.transport.resumeProducing()
