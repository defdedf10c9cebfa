"""One nsqlookupd that nsqd registers with: connect, IDENTIFY, register everything, PING, again.

Facts: nsqd-engine section 10. A connection that is lost is made again by itself, after a pause of
random length that grows from failure to failure, so that a nsqlookupd that comes back is not met by
a whole cluster in the same moment. Each connection registers all there is at its time, so what
changed in between needs no memory.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.nsqd.lookup_connection import LookupConnection, LookupdError
from nsqtx.wire import gojson

__all__ = ["LONGEST_PAUSE", "PING_INTERVAL", "LookupPeer", "PeerInfo", "registration"]

log = Logger(namespace="nsqd.lookup")

#: Time between PINGs (seconds): a link that was cut is noticed at the next one.
PING_INTERVAL = 15.0
#: The longest pause between two attempts to connect (seconds), the first is up to `FIRST_PAUSE`.
LONGEST_PAUSE = 15.0
FIRST_PAUSE = 0.5


@attrs.frozen
class PeerInfo:
    """What a nsqlookupd said of itself (nsqlookupd section 3.5)."""

    tcp_port: int
    http_port: int
    version: str
    broadcast_address: str


def registration(word: str, topic: str, channel: str = "") -> str:
    """The line of a REGISTER or UNREGISTER, without its end."""
    return f"{word} {topic} {channel}" if channel else f"{word} {topic}"


def peer_info(answer: bytes) -> PeerInfo:
    """What IDENTIFY was answered.

    :raises LookupdError: it is an error, or nothing we know.
    """
    try:
        fields = gojson.decode(answer, gojson.Fields)
        if not isinstance(fields, gojson.Fields):
            raise ValueError("not an object")
        return PeerInfo(
            fields.integer("tcp_port"),
            fields.integer("http_port"),
            fields.text("version"),
            fields.text("broadcast_address"),
        )
    except ValueError as error:
        raise LookupdError(f"IDENTIFY was answered {answer[:100]!r}") from error


def pause(attempt: int) -> float:
    """Seconds to wait before an attempt to connect, the first being number 1 or 0."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt, 10))
    return random.uniform(longest / 10, longest)  # noqa: S311


@implementer(IStreamClientEndpoint)
@attrs.define(eq=False)
class _ReportedEndpoint:
    """An endpoint that says in the log what it does, and what came of it."""

    address: str
    endpoint: IStreamClientEndpoint
    failed: Callable[[], None]

    def connect(self, protocol_factory: IProtocolFactory) -> Deferred[Any]:
        log.info("LOOKUP connecting to {address}", address=self.address)
        connecting = self.endpoint.connect(protocol_factory)
        connecting.addErrback(self._failed)
        return connecting

    def _failed(self, failure: Failure) -> Failure:
        self.failed()
        log.error(
            "LOOKUPD({address}): connect - {reason}",
            address=self.address,
            reason=failure.getErrorMessage(),
        )
        return failure


class _ConnectionFactory(Factory):
    noisy = False

    def __init__(self, make: Callable[[], LookupConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> LookupConnection:
        return self._make()


class LookupPeer:
    """Keeps one nsqlookupd informed.

    ``identity`` gives the data of IDENTIFY, ``registrations`` topic and channel (or an empty name)
    of all there is now.
    """

    def __init__(
        self,
        address: str,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        identity: Callable[[], dict[str, Any]],
        registrations: Callable[[], Iterable[tuple[str, str]]],
        max_answer: int,
    ) -> None:
        self.address = address
        #: What it said of itself when it was last connected.
        self.info: PeerInfo | None = None
        self._tried = False
        self._identity = identity
        self._registrations = registrations
        self._connection: LookupConnection | None = None
        self._service = ClientService(
            _ReportedEndpoint(address, endpoint, self._was_tried),
            _ConnectionFactory(lambda: LookupConnection(clock, max_answer, self._lost)),
            retryPolicy=pause,
            clock=clock,
            prepareConnection=self._prepare,
        )
        self._pings = LoopingCall(self._ping)
        self._pings.clock = clock

    @property
    def connected(self) -> bool:
        """Whether it knows of us now."""
        return self._connection is not None

    def settled(self) -> Deferred[Any]:
        """Fires once the first attempt to connect is over, whatever came of it."""
        if self._tried:
            return succeed(None)
        return self._service.whenConnected(failAfterFailures=1).addErrback(lambda _: None)

    def start(self) -> None:
        """Connect, and stay connected."""
        log.info("LOOKUP({address}): adding peer", address=self.address)
        self._service.startService()
        self._pings.start(PING_INTERVAL, now=False).addErrback(
            lambda failure: log.failure("LOOKUPD: pings ended", failure)
        )

    def stop(self) -> Deferred[Any]:
        """Leave; closing the connection removes all registrations there."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.busy:
            connection.transport.abortConnection()  # which may never take what is still to be sent
        if self._pings.running:
            self._pings.stop()
        return self._service.stopService() or succeed(None)

    async def _introduce(self, connection: LookupConnection) -> None:
        """IDENTIFY, then register all there is.

        :raises LookupdError: the other side is not what we look for.
        """
        data = gojson.encode(self._identity())
        answer = await connection.ask(b"IDENTIFY\n" + struct.pack(">i", len(data)) + data)
        info = peer_info(answer)
        log.info(
            "LOOKUPD({address}): peer info {{TCPPort:{info.tcp_port} HTTPPort:{info.http_port} "
            "Version:{info.version} BroadcastAddress:{info.broadcast_address}}}",
            address=self.address,
            info=info,
        )
        if not info.broadcast_address:
            log.error("LOOKUPD({address}): no broadcast address", address=self.address)
        self.info = info
        self._tried = True
        # From here on changes are sent as they come; nothing can come in between.
        self._connection = connection
        for topic, channel in self._registrations():
            connection.send(registration("REGISTER", topic, channel).encode() + b"\n")

    def _prepare(self, connection: Any) -> Deferred[None]:
        introduced = Deferred.fromCoroutine(self._introduce(connection))
        introduced.addErrback(self._refused, connection)
        return introduced

    def _was_tried(self) -> None:
        self._tried = True

    def _refused(self, failure: Failure, connection: LookupConnection) -> Failure:
        log.error(
            "LOOKUPD({address}): IDENTIFY - {reason}",
            address=self.address,
            reason=failure.getErrorMessage(),
        )
        self._tried = True
        connection.transport.loseConnection()
        return failure

    def _lost(self, connection: LookupConnection, reason: str) -> None:
        if connection is self._connection:
            self._connection = None
            log.error("LOOKUPD({address}): {reason}", address=self.address, reason=reason)

    def _ping(self) -> None:
        if self._connection is not None:
            self._connection.send(b"PING\n")

    def tell(self, kind: str, line: str) -> None:
        """Send a REGISTER or UNREGISTER, if it listens; ``kind`` is topic or channel."""
        if self._connection is not None:
            log.info(
                "LOOKUPD({address}): {kind} {line}", address=self.address, kind=kind, line=line
            )
            self._connection.send(line.encode() + b"\n")
