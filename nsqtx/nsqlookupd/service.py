"""nsqlookupd as a Twisted service: where the registry, TCP and HTTP are put together."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger

from nsqtx.listen import ListenError
from nsqtx.logs import NsqLogObserver
from nsqtx.nsqlookupd.http import LookupApi
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.nsqlookupd.protocol import LookupFactory
from nsqtx.ports import Ports
from nsqtx.run import StartError
from nsqtx.signals import SteeredService
from nsqtx.version import NSQ_VERSION, RUNTIME

__all__ = ["NsqlookupdService"]

log = Logger(namespace="nsqlookupd")

#: How long nsqd get to take the answers under way when nsqlookupd stops (seconds).
STOP_PATIENCE = 2.0
#: At a stop, what those who wait for news are answered takes a few turns of the reactor to go out
#: (seconds).
ANSWER_TIME = 0.05


class NsqlookupdService(SteeredService):
    """One nsqlookupd. ``options`` are checked already (`nsqtx.nsqlookupd.options`)."""

    changeable = frozenset({"log_level"})

    def __init__(
        self, options: NsqlookupdOptions, reactor: Any, log_observer: NsqLogObserver | None = None
    ) -> None:
        self.node = Node(options, reactor)
        self._reactor = reactor
        self._log_observer = log_observer
        self._factory = LookupFactory(self.node)
        self._ports = Ports(reactor)
        self._listening = False

    def startService(self) -> None:
        """Listen, on both or on none.

        :raises StartError: with everything let go again.
        """
        super().startService()
        node, options = self.node, self.node.options
        log.info("nsqlookupd v{version} (built w/{runtime})", version=NSQ_VERSION, runtime=RUNTIME)
        try:
            # Nobody is accepted before this turn of the reactor is over.
            node.tcp_port = self._ports.listen("TCP", options.tcp_address, self._factory, False)
            site = LookupApi(node).site()
            node.http_port = self._ports.listen("HTTP", options.http_address, site, False)
        except ListenError as error:
            self._ports.drop()
            raise StartError(f"failed to instantiate nsqlookupd - {error}") from None
        self._ports.announce()
        node.lag.start()
        self._listening = True

    def change(self, name: str, value: Any) -> None:
        setattr(self.node.options, name, value)
        if self._log_observer is not None:
            self._log_observer.level = value

    @inlineCallbacks
    def stopService(self) -> Any:
        """Stop listening, let everybody go."""
        super().stopService()
        closed = self._ports.close()
        waited = self.node.waiters.count > 0
        self.node.waiters.stop()
        yield self._factory.stop(STOP_PATIENCE)
        if self._listening:
            self.node.lag.stop()
        self.node.stop()
        if waited:
            answered: Deferred[None] = Deferred()
            self._reactor.callLater(ANSWER_TIME, answered.callback, None)
            yield answered
        yield closed
