"""One nsqlookupd that nsqd registers with: connect, IDENTIFY, register everything, PING, again.

Facts: nsqd-engine section 10. A connection that is lost is made again by itself, after a pause of
random length that grows from failure to failure, so that a nsqlookupd that comes back is not met by
a whole cluster in the same moment. Each connection registers all there is at its time, so what
changed in between needs no memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

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


def pause(failures: int, random: Random) -> float:
    """Seconds to wait after so many attempts in a row that failed."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
    return random.uniform(longest / 10, longest)


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
        random: Random,
    ) -> None:
        self.address = address
        #: What it said of itself when it was last connected.
        self.info: PeerInfo | None = None
        self._tried = False
        self._unsettled: list[Deferred[None]] = []
        self._identity = identity
        self._registrations = registrations
        self._connection: LookupConnection | None = None
        self._endpoint = endpoint
        self._random = random
        self._clock = clock
        self._factory = Factory.forProtocol(lambda: LookupConnection(clock, max_answer))
        self._factory.noisy = False
        self._running: Deferred[None] | None = None
        self._pings = LoopingCall(self._ping)
        self._pings.clock = clock

    @property
    def connected(self) -> bool:
        """Whether it knows of us now."""
        return self._connection is not None

    def settled(self) -> Deferred[None]:
        """Fires once the first attempt to connect is over, whatever came of it."""
        waiting: Deferred[None] = Deferred()
        if self._tried:
            waiting.callback(None)
        else:
            self._unsettled.append(waiting)
        return waiting

    def start(self) -> None:
        """Connect, and stay connected."""
        log.info("LOOKUP({address}): adding peer", address=self.address)
        self._running = Deferred.fromCoroutine(self._stay_connected())
        self._running.addErrback(lambda failure: failure.trap(CancelledError) and None)
        self._running.addErrback(lambda failure: log.failure("LOOKUPD: connecting", failure))
        self._pings.start(PING_INTERVAL, now=False).addErrback(
            lambda failure: log.failure("LOOKUPD: pings ended", failure)
        )

    def stop(self) -> Deferred[Any]:
        """Leave; closing the connection removes all registrations there."""
        connection, self._connection = self._connection, None
        if self._pings.running:
            self._pings.stop()
        if self._running is not None:
            self._running.cancel()
        self._settle()
        if connection is None:
            return succeed(None)
        if connection.busy:
            # It may never take what is still to be sent.
            connection.transport.abortConnection()
        else:
            connection.transport.loseConnection()
        return connection.when_closed()

    async def _stay_connected(self) -> None:
        """Connect, again and again. Ends when it is cancelled."""
        # Not a ClientService: its state machine has no answer to a connection that is lost while
        # it is being prepared, nor does it close one whose preparation failed (Twisted 26.10).
        failures = 0
        while True:
            doing = "connect"
            connection: Any = None  # a LookupConnection; endpoints promise less
            try:
                log.info("LOOKUP connecting to {address}", address=self.address)
                connection = await self._endpoint.connect(self._factory)
                doing = "IDENTIFY"
                await self._introduce(connection)
                failures = 0
                self._settle()
                doing = "connection"
                reason = await connection.when_closed()
            except CancelledError:
                # Of one that is introduced `stop` knows, and closes it politely.
                if doing == "IDENTIFY":
                    connection.transport.abortConnection()
                raise
            except Exception as error:  # noqa: BLE001  # of any kind: it is tried again
                reason = str(error) or type(error).__name__
                if connection is not None:
                    connection.transport.abortConnection()
            self._connection = None
            log.error(
                "LOOKUPD({address}): {doing} - {reason}",
                address=self.address,
                doing=doing,
                reason=reason,
            )
            self._settle()
            failures += 1
            await deferLater(self._clock, pause(failures, self._random))

    def _settle(self) -> None:
        self._tried = True
        unsettled, self._unsettled = self._unsettled, []
        for each in unsettled:
            each.callback(None)

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
        # From here on changes are sent as they come; nothing can come in between.
        self._connection = connection
        for topic, channel in self._registrations():
            connection.send(registration("REGISTER", topic, channel).encode() + b"\n")

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
