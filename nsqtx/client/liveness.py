"""When a connection is given up because the other side is not there (client sections 3.6, 3.7).

Every read counts as life. Without one for ``read_timeout`` nsqd is taken for dead; so it is when
the network takes nothing of what we have for it for ``write_timeout``. What goes slowly is alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from nsqtx.client.config import ClientConfig
from nsqtx.connections import cancel

__all__ = ["Liveness"]


class Liveness:
    """Watches a connection from now until `stop`; ``give_up`` is called with the reason.

    ``heard`` says when the last read was, in seconds of the clock; ``waits`` whether an answer is
    to come.
    """

    def __init__(
        self,
        transport: Any,
        config: ClientConfig,
        clock: IReactorTime,
        heard: Callable[[], float],
        waits: Callable[[], bool],
        give_up: Callable[[str], None],
    ) -> None:
        self._transport = transport
        self._config = config
        self._clock = clock
        self._heard = heard
        self._waits = waits
        self._give_up = give_up
        #: Without heartbeats: whether an answer was to come at the last look.
        self._waited = False
        self._unsent = 0
        self._reading: IDelayedCall | None = clock.callLater(config.read_timeout, self._read)
        self._writing: IDelayedCall | None = None

    def stop(self) -> None:
        """Watch no more."""
        cancel(self._reading)
        cancel(self._writing)

    def _read(self) -> None:
        timeout = self._config.read_timeout
        left = self._heard() + timeout - self._clock.seconds()
        if left <= 0 and self._config.heartbeat_interval == -1:
            # nsqd has nothing to say unless it was asked, for the whole of that time.
            waited, self._waited = self._waited, self._waits()
            if not (waited and self._waited):
                left = timeout
        if left > 0:
            self._reading = self._clock.callLater(left, self._read)
        else:
            self._give_up(f"nsqd has sent nothing for {timeout:g} s")

    def blocked(self) -> None:
        """From now on the network does not take what is written."""
        if self._writing is None:
            self._unsent = self._count_unsent()
            self._writing = self._clock.callLater(self._config.write_timeout, self._write)

    def writable(self) -> None:
        """It took all."""
        cancel(self._writing)
        self._writing = None

    def _write(self) -> None:
        timeout = self._config.write_timeout
        before, self._unsent = self._unsent, self._count_unsent()
        if self._unsent < before:
            # A large publish on a slow link.
            self._writing = self._clock.callLater(timeout, self._write)
        else:
            self._writing = None
            self._give_up(f"nsqd has taken nothing for {timeout:g} s")

    def _count_unsent(self) -> int:
        """Bytes that wait in Twisted's buffer, where it can be looked into."""
        transport = self._transport
        # TLS and other wrappers have the attributes of the transport in them.
        if not hasattr(transport, "SEND_LIMIT"):
            return 0
        waiting: int = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
        return waiting
