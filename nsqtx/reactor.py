"""Twisted's epoll reactor with a shorter way from an event to whoever reads.

Twisted puts a logging context, a few calls and checks around each event, for log lines that name
the connection they are about; ours name it themselves. For a client that publishes, waits and
publishes that was about half of what the reactor and the transport cost. Everything but a plain
"there is something to read" goes Twisted's way.

The commands of the daemons install it; ``twistd --reactor=nsqtx`` does the same.
"""

# Most of twisted.internet has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.main import installReactor
from twisted.python import log
from zope.interface import implementer

from nsqtx.interfaces import ITurns

try:
    from select import EPOLLIN

    from twisted.internet.epollreactor import EPollReactor
except ImportError:  # no Linux
    AVAILABLE = False
else:
    AVAILABLE = True

__all__ = ["AVAILABLE", "install", "install_if_possible"]


if AVAILABLE:

    @implementer(ITurns)
    class ShortReactor(EPollReactor):
        """See the head of this module."""

        _poller: Any
        _selectables: dict[int, Any]

        def __init__(self) -> None:
            super().__init__()
            self._at_turn_end: list[Callable[[], None]] = []

        def at_turn_end(self, work: Callable[[], None]) -> None:
            """See `nsqtx.interfaces.ITurns`."""
            self._at_turn_end.append(work)

        def _end_turn(self) -> None:
            """Do what was put off; what that puts off belongs to this turn, too."""
            while self._at_turn_end:
                works, self._at_turn_end = self._at_turn_end, []
                for work in works:
                    try:
                        work()
                    except Exception:  # noqa: BLE001  # the others are not to blame
                        log.err()

        def doPoll(self, timeout: float | None) -> None:
            """Wait for events, at most ``timeout`` seconds, and let everybody concerned know."""
            if self._at_turn_end:
                # By something that was called, and not read.
                self._end_turn()
            selectables = self._selectables
            try:
                events = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
            except OSError as error:
                if error.errno == errno.EINTR:
                    return
                raise
            for descriptor, event in events:
                # One that was closed by what came before it in this round is not there any more.
                selectable = selectables.get(descriptor)
                if selectable is None:
                    continue
                if event != EPOLLIN:
                    log.callWithLogger(
                        selectable, self._doReadOrWrite, selectable, descriptor, event
                    )
                    continue
                try:
                    why = selectable.doRead()
                except BaseException:  # noqa: BLE001  # as Twisted: it costs this connection
                    why = sys.exc_info()[1]
                    log.err()
                if why:
                    self._disconnectSelectable(selectable, why, True)
            if self._at_turn_end:
                self._end_turn()

        doIteration = doPoll


def install() -> None:
    """Make it the reactor of this process.

    :raises twisted.internet.error.ReactorAlreadyInstalledError: there is another.
    :raises NotImplementedError: the system has no epoll.
    """
    if not AVAILABLE:
        raise NotImplementedError("this reactor needs epoll")
    installReactor(ShortReactor())


def install_if_possible() -> None:
    """The same, where there is epoll and no reactor yet."""
    if AVAILABLE and "twisted.internet.reactor" not in sys.modules:
        install()
