"""Signals that a daemon does not just end by: SIGHUP, and SIGTERM if it has something to do first.

SIGINT, and SIGTERM otherwise, stay Twisted's, which stops the reactor and so the services.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service

__all__ = ["SteeredService", "handle_signals"]


class SteeredService(Service):
    """A service that an operator steers by signals. This one goes on as if there were none."""

    #: Options (by their names) that may change while it runs; see `change`.
    changeable: frozenset[str] = frozenset()

    def change(self, name: str, value: Any) -> None:
        """An option of `changeable` has another value now: let that take effect."""

    def sigterm(self) -> bool:
        """SIGTERM came. True: something was begun that will stop the reactor in the end."""
        return False


def handle_signals(reactor: Any, service: SteeredService, hangup: Callable[[], None]) -> None:
    """Tell the service of SIGTERM, and call ``hangup`` at SIGHUP; both in the running reactor.

    A handler may run between any two steps of the program, so the work is left to the reactor.
    """
    # At once: before the reactor runs, SIGHUP would end a service that has said it is there.
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(hangup))
    # Not at once: the reactor sets its own handler when it starts.
    reactor.callWhenRunning(_on_sigterm, reactor, service)


def _on_sigterm(reactor: Any, service: SteeredService) -> None:
    twisteds: Any = signal.getsignal(signal.SIGTERM)

    def sigterm(number: int) -> None:
        if service.sigterm():
            return
        if callable(twisteds):
            twisteds(number, None)
        else:
            reactor.stop()

    signal.signal(signal.SIGTERM, lambda number, _: reactor.callFromThread(sigterm, number))
