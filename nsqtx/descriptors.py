"""File descriptors: how many the process may have, and when connections must leave the rest alone.

A process that has as many descriptors as it may cannot open a file either, so that clients could
keep nsqd from storing messages by nothing but connecting. So some are kept for files, and
connections that would take those are refused: they are accepted and closed.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import Any

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

__all__ = ["RESERVE", "Descriptors", "Room", "RoomyFactory"]

log = Logger(namespace="nsqtx.ports")

#: Descriptors that every daemon keeps for files, and for what it asks others.
RESERVE = 32
#: The log says at most this often (seconds) that connections are refused.
_SAID = 60.0


class Descriptors:
    """Those of this process."""

    def limit(self) -> int:
        """How many it may have at the same time; below 0: any number. It may be changed meanwhile,
        by prlimit."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def lowest_free(self) -> int:
        """The next that will be given out, which is never more than how many there are; 0 where
        that cannot be found out."""
        try:
            descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            # In a chroot there may be no such file, which is no reason to refuse everybody.
            return self.limit() if error.errno in (errno.EMFILE, errno.ENFILE) else 0
        os.close(descriptor)
        return descriptor


class Room:
    """Whether there is room for one connection more, ``reserve`` descriptors being kept."""

    def __init__(self, clock: IReactorTime, descriptors: Descriptors, reserve: int) -> None:
        self._clock = clock
        self._descriptors = descriptors
        self._reserve = reserve
        #: Connections that were refused.
        self.refused = 0
        self._said: float | None = None

    def has_one_more(self) -> bool:
        """Asked when a connection was accepted, which has its descriptor already."""
        limit = self._descriptors.limit()
        reserve = min(self._reserve, limit // 2)
        if limit < 0 or self._descriptors.lowest_free() <= limit - reserve:
            return True
        self.refused += 1
        now = self._clock.seconds()
        if self._said is None or not 0 <= now - self._said < _SAID:
            self._said = now
            log.warn(
                "no room for more connections, {refused} refused so far: this process may have "
                "{limit} descriptors (ulimit -n), and keeps {reserve} of them for files",
                refused=self.refused,
                limit=limit,
                reserve=reserve,
            )
        return False


@implementer(IProtocolFactory)
class RoomyFactory:
    """A factory whose connections are refused when there is no room."""

    def __init__(self, factory: IProtocolFactory, room: Room) -> None:
        self._factory = factory
        self._room = room

    def doStart(self) -> None:
        """A port has begun to listen."""
        self._factory.doStart()

    def doStop(self) -> None:
        """A port has ended."""
        self._factory.doStop()

    def buildProtocol(self, address: Any) -> Any:
        """The protocol of a connection; None closes it."""
        return self._factory.buildProtocol(address) if self._room.has_one_more() else None
