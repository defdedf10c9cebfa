"""Clients that stay for a moment: they connect, say one thing, hear the answer and leave."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

__all__ = ["visit"]

#: How long a visit may take, in seconds.
PATIENCE = 20


class _Visitor(Protocol):
    def __init__(self, said: bytes, wanted: bytes) -> None:
        self._said = said
        self._wanted = wanted
        self._heard = b""
        self.over: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._said)

    def dataReceived(self, data: bytes) -> None:
        self._heard += data
        if self._wanted in self._heard:
            assert self.transport is not None
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        over, self.over = self.over, Deferred()
        over.callback(self._heard)


async def visit(reactor: Any, address: str, said: bytes, wanted: bytes) -> None:
    """Connect to ``host:port``, send ``said``, and close when ``wanted`` was in what came.

    :raises RuntimeError: something else came until the end of the connection, or nothing.
    """
    host, _, port = address.rpartition(":")
    visitor = _Visitor(said, wanted)
    endpoint = TCP4ClientEndpoint(reactor, host, int(port), timeout=PATIENCE)
    await endpoint.connect(Factory.forProtocol(lambda: visitor))
    heard = await visitor.over.addTimeout(PATIENCE, reactor)
    if wanted not in heard:
        raise RuntimeError(f"{address} said {heard!r}")
