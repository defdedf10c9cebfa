"""Pushing to a statsd: over UDP, evenly spread over the interval, and never in anybody's way."""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IListeningPort,
    IResolutionReceiver,
)
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from zope.interface import implementer

from nsqtx.listen import split_address
from nsqtx.nsqd.statsd import StatsdLines, datagrams

__all__ = ["StatsdPusher", "statsd_place"]

log = Logger(namespace="nsqd.statsd")

#: A push leaves so much of its interval unused (seconds). Without it there is nothing to spread.
MARGIN = 1.0
#: Datagrams in one turn of the reactor; what they cost is a few milliseconds.
TURN = 16
#: More does not fit into a datagram, whatever ``--statsd-udp-packet-size`` says.
LARGEST = 65507


def statsd_place(address: str) -> tuple[str, int]:
    """Host and port of ``--statsd-address``; no host is this one.

    :raises ValueError: it is something else.
    """
    pair = split_address(address)
    if pair is None or not (pair[1].isascii() and pair[1].isdigit()) or int(pair[1]) > 65535:
        raise ValueError(f"{address} is not host:port")
    return pair[0] or "localhost", int(pair[1])


@implementer(IResolutionReceiver)
class _FirstAddress:
    """Waits for the first address that a name has."""

    def __init__(self, name: str) -> None:
        self.answer: Deferred[str] = Deferred()
        self._name = name
        self._host = ""

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to note."""

    def addressResolved(self, address: IAddress) -> None:
        """Keep the first."""
        self._host = self._host or address.host  # type: ignore[attr-defined]

    def resolutionComplete(self) -> None:
        """Say what was found."""
        if self.answer.called:
            return
        if self._host:
            self.answer.callback(self._host)
        else:
            self.answer.errback(OSError(f"no such host: {self._name}"))


class StatsdPusher:
    """Pushes every ``interval`` seconds, the first time after one interval.

    The name of the host is looked up for each push, in a thread. Where statsd is dead or cannot be
    reached, the push is lost and that is all; a reason is logged when it is another than before.
    """

    def __init__(
        self, reactor: Any, place: tuple[str, int], interval: float, size: int, lines: StatsdLines
    ) -> None:
        self._reactor = reactor
        self._place = place
        self._interval = interval
        self._size = min(size, LARGEST)
        self._lines = lines
        self._loop = LoopingCall(self._begin)
        self._loop.clock = reactor
        self._waiting: Deferred[Any] | None = None
        self._ended: Deferred[None] = succeed(None)
        self._failure: str | None = None

    def start(self) -> None:
        """Push from now on. One push ends before the next begins."""
        self._loop.start(self._interval, now=False)

    def stop(self) -> Deferred[None]:
        """Push no more; fires once the socket is closed."""
        self._loop.stop()
        if self._waiting is not None:
            self._waiting.cancel()
        ended: Deferred[None] = Deferred()
        self._ended.chainDeferred(ended)
        return ended

    def _begin(self) -> Deferred[None]:
        self._ended = Deferred.fromCoroutine(self._push_or_say_why())
        return self._ended

    async def _push_or_say_why(self) -> None:
        try:
            await self._push()
            self._failure = None
        except CancelledError:
            return  # nsqd stops
        except (OSError, CannotListenError, MessageLengthError, UnicodeError) as error:
            if str(error) != self._failure:
                self._failure = str(error)
                log.error(
                    "statsd {host}:{port} cannot be reached - {error}",
                    host=self._place[0],
                    port=self._place[1],
                    error=error,
                )
        except Exception:  # noqa: BLE001  # a bug costs one push
            log.failure("push to statsd")

    async def _push(self) -> None:
        host = await self._wait(self._resolve(self._place[0]))
        protocol = DatagramProtocol()
        interface = "::" if ":" in host else ""
        port: IListeningPort = self._reactor.listenUDP(0, protocol, interface=interface)
        try:
            protocol.transport.connect(host, self._place[1])  # type: ignore[union-attr]
            await self._send(protocol.transport)
        finally:
            await maybeDeferred(port.stopListening)

    async def _send(self, transport: Any) -> None:
        """Send all datagrams, each when its share of the time has come.

        :raises OSError, MessageLengthError: the first thing that went wrong, after the last one.
        """
        failure: OSError | MessageLengthError | None = None
        spread = max(0.0, self._interval - MARGIN)
        total = max(1, self._lines.count())
        began = self._reactor.seconds()
        done = in_turn = 0
        for count, datagram in datagrams(self._lines.lines(), self._size):
            wait = began + spread * min(1.0, done / total) - self._reactor.seconds()
            if wait > 0 or in_turn >= TURN:
                await self._wait(deferLater(self._reactor, max(0.0, wait), lambda: None))
                in_turn = 0
            try:
                transport.write(datagram)
            except (OSError, MessageLengthError) as error:
                failure = failure or error
            done += count
            in_turn += 1
        if failure is not None:
            raise failure

    async def _wait(self, deferred: Deferred[Any]) -> Any:
        """Wait for something that `stop` may cancel."""
        self._waiting = deferred
        try:
            return await deferred
        finally:
            self._waiting = None

    def _resolve(self, name: str) -> Deferred[str]:
        if isIPAddress(name) or isIPv6Address(name):
            return succeed(name)
        receiver = _FirstAddress(name)
        self._reactor.nameResolver.resolveHostName(receiver, name, transportSemantics="UDP")
        return receiver.answer
