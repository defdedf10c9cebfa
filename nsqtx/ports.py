"""The listening ports of a daemon, and what its log says of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from nsqtx.descriptors import RESERVE, Descriptors, Room, RoomyFactory
from nsqtx.listen import listen, listening_text, port_number

__all__ = ["Ports"]

log = Logger(namespace="nsqtx.ports")


class Ports:
    """What a daemon listens on, by kind: ``TCP``, ``HTTP``, ``HTTPS``.

    Connections are refused when they would take one of the last ``reserve`` descriptors.
    """

    def __init__(
        self, reactor: Any, descriptors: Descriptors | None = None, reserve: int = RESERVE
    ) -> None:
        self._reactor = reactor
        self._room = Room(reactor, descriptors or Descriptors(), reserve)
        self._open: list[tuple[str, IListeningPort]] = []

    def listen(self, kind: str, address: str, factory: IProtocolFactory, unix: bool = True) -> int:
        """Listen on one more; the bound port, -1 for a Unix socket.

        ``unix``: an address may be the path of a Unix socket.

        :raises ListenError: the address cannot be listened on.
        """
        port: Any = listen(self._reactor, address, factory, unix)
        # At the port itself: what ``haproxy:`` puts before a factory cannot be refused by it.
        port.factory = RoomyFactory(port.factory, self._room)
        self._open.append((kind, port))
        return port_number(port)

    def announce(self) -> None:
        """Write the lines that scripts wait for."""
        for kind, port in self._open:
            log.info("{kind}: listening on {address}", kind=kind, address=listening_text(port))

    def close(self) -> Deferred[Any]:
        """Listen no more, and say so; fires when all are closed."""
        for kind, port in self._open:
            log.info("{kind}: closing {address}", kind=kind, address=listening_text(port))
        return self.drop()

    def drop(self) -> Deferred[Any]:
        """Listen no more, without a word: nobody was told that we do."""
        ports, self._open = self._open, []
        return DeferredList([maybeDeferred(port.stopListening) for _, port in ports])
