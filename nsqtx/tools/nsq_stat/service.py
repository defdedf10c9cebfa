"""nsq_stat as a Twisted service."""

from __future__ import annotations

import sys
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool

from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.cluster.nsqd import NsqdClient
from nsqtx.durations import SECOND
from nsqtx.tools.blocking import is_terminal
from nsqtx.tools.nsq_stat.columns import Columns
from nsqtx.tools.nsq_stat.options import NsqStatOptions
from nsqtx.tools.nsq_stat.poller import Poller, PollError, poll_again_and_again
from nsqtx.tools.tool import Ending

__all__ = ["NsqStatService"]

STDOUT = 1


class NsqStatService(Service):
    """Polls and shows until there were enough reports."""

    def __init__(self, options: NsqStatOptions, reactor: Any, ending: Ending) -> None:
        self._options = options
        self._reactor = reactor
        self._ending = ending
        self._pool = HTTPConnectionPool(reactor)
        self._agent = Agent(
            reactor, connectTimeout=options.http_client_connect_timeout / SECOND, pool=self._pool
        )
        self._nsqds: dict[str, NsqdClient] = {}
        self._polling: Deferred[None] | None = None
        self._display: Any = None

    def startService(self) -> None:
        super().startService()
        options = self._options
        self._display = self._make_display()
        lookupds = [
            LookupdClient(address, self._agent, self._reactor, timeout=self._timeout)
            for address in dict.fromkeys(options.lookupd_http_address)
        ]
        poller = Poller(
            options.topic, options.channel, self._nsqd, options.nsqd_http_address, lookupds
        )
        self._polling = Deferred.fromCoroutine(
            poll_again_and_again(
                poller,
                self._display,
                options.interval / SECOND,
                options.count,
                self._reactor,
            )
        )
        self._polling.addCallbacks(lambda _: self._ending.finish(), self._failed)

    def stopService(self) -> Any:
        super().stopService()
        if self._polling is not None:
            self._polling.cancel()
        if self._display is not None:
            self._display.close()
        return self._pool.closeCachedConnections()

    @property
    def _timeout(self) -> float:
        return self._options.http_client_request_timeout / SECOND

    def _nsqd(self, address: str) -> NsqdClient:
        if address not in self._nsqds:
            self._nsqds[address] = NsqdClient(
                address, self._agent, self._reactor, timeout=self._timeout
            )
        return self._nsqds[address]

    def _make_display(self) -> Any:
        """A live table on a terminal, where there is the library for it; else lines."""
        options = self._options
        if is_terminal(STDOUT):
            try:
                from rich.console import Console

                from nsqtx.tools.nsq_stat.live import LiveTable
            except ImportError:
                pass
            else:
                title = f"{options.topic} / {options.channel}"
                return LiveTable(Console(), title, self._reactor.seconds)
        return Columns(_write, options.interval / SECOND)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(PollError):
            self._ending.fail(f"ERROR: {failure.getErrorMessage()}")
        elif failure.check(BrokenPipeError):
            self._ending.finish()
        else:
            self._ending.crash(failure)


def _write(text: str) -> None:
    if sys.stdout is None:
        raise BrokenPipeError
    sys.stdout.write(text)
    sys.stdout.flush()
