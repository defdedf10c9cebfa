"""Tells systemd how a daemon is: that it listens, that it still turns, that it stops.

The protocol is that of ``sd_notify(3)``: datagrams of ``KEY=value`` to the Unix socket that
``NOTIFY_SOCKET`` names. ``WATCHDOG_USEC`` (microseconds) says how often systemd wants to hear
``WATCHDOG=1``; it hears twice as often, from the reactor, so a reactor that is stuck is restarted.
Where nobody asked for any of this, nothing is sent.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Notify"]

log = Logger(namespace="nsqtx.notify")

_MICROSECOND = 1e-6
_NUMBER = re.compile("[0-9]{1,18}")


class Notify:
    """What systemd, or whoever started this process, is told.

    ``environment`` is that of the process, ``pid`` its number: a watchdog that is meant for another
    process, a child of which this is, is left alone.
    """

    def __init__(
        self, clock: IReactorTime, environment: Mapping[str, str], pid: int | None = None
    ) -> None:
        self._clock = clock
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._interval = _interval(environment, os.getpid() if pid is None else pid)
        self._watchdog: LoopingCall | None = None
        self._failed = False

    def ready(self) -> None:
        """The daemon listens. From now on it says that it turns, if that is wanted."""
        self._send("READY=1")
        if self._address is None or not self._interval or self._watchdog is not None:
            return
        self._watchdog = LoopingCall(self._send, "WATCHDOG=1")
        self._watchdog.clock = self._clock
        self._watchdog.start(self._interval / 2).addErrback(
            lambda failure: log.failure("no watchdog any more", failure)
        )

    def stopping(self) -> None:
        """The daemon stops. A stop has a timeout of its own, so the watchdog ends."""
        if self._watchdog is not None:
            self._watchdog.stop()
            self._watchdog = None
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        """Send a datagram, without waiting. The first one that fails is logged."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), self._address)
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.error("NOTIFY_SOCKET: {state} - {error}", state=state, error=error)


def _address(text: str) -> bytes | None:
    """The address of a Unix socket: a path, or ``@name`` for an abstract one; None: neither."""
    if text.startswith("@") and len(text) > 1:
        return b"\0" + os.fsencode(text[1:])
    return os.fsencode(text) if text.startswith("/") else None


def _interval(environment: Mapping[str, str], pid: int) -> float:
    """Seconds within which the watchdog wants to hear of this process; 0: it does not."""
    wanted = environment.get("WATCHDOG_USEC", "")
    whose = environment.get("WATCHDOG_PID") or str(pid)
    if not _NUMBER.fullmatch(wanted) or whose != str(pid):
        return 0.0
    return int(wanted) * _MICROSECOND
