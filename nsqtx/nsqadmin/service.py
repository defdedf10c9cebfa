"""nsqadmin as a Twisted service: where the view of the cluster, API and pages are put together."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from nsqtx.listen import ListenError
from nsqtx.logs import NsqLogObserver
from nsqtx.nsqadmin.admin import Admin
from nsqtx.nsqadmin.agent import AdminAgent
from nsqtx.nsqadmin.http import AdminApi
from nsqtx.nsqadmin.options import CHANGEABLE, NsqadminOptions, unresolved
from nsqtx.ports import Ports
from nsqtx.run import StartError
from nsqtx.signals import SteeredService
from nsqtx.version import NSQ_VERSION, RUNTIME

__all__ = ["NsqadminService"]

log = Logger(namespace="nsqadmin")


class NsqadminService(SteeredService):
    """One nsqadmin. ``options`` are checked already (`nsqtx.nsqadmin.options`)."""

    changeable = CHANGEABLE

    def __init__(
        self, options: NsqadminOptions, reactor: Any, log_observer: NsqLogObserver | None = None
    ) -> None:
        self._log_observer = log_observer
        self._agent = AdminAgent(reactor, options)
        self.admin = Admin(options, reactor, self._agent, self._set_log_level, deferToThread)
        self._ports = Ports(reactor)

    def startService(self) -> None:
        """Listen.

        :raises StartError: that address cannot be listened on, or another is not known.
        """
        super().startService()
        reason = unresolved(self.admin.options)
        if reason:
            raise StartError(f"failed to instantiate nsqadmin - {reason}")
        log.info("nsqadmin v{version} (built w/{runtime})", version=NSQ_VERSION, runtime=RUNTIME)
        try:
            site = AdminApi(self.admin).site()
            address = self.admin.options.http_address
            self.admin.http_port = self._ports.listen("HTTP", address, site, False)
        except ListenError as error:
            raise StartError(f"failed to instantiate nsqadmin - {error}") from None
        self._ports.announce()
        self.admin.start()

    def change(self, name: str, value: Any) -> None:
        self.admin.change(name, value)

    def _set_log_level(self, level: str) -> None:
        if self._log_observer is not None:
            self._log_observer.level = level

    @inlineCallbacks
    def stopService(self) -> Any:
        """Stop listening, and let go of connections that are kept for later."""
        super().stopService()
        closed = self._ports.close()
        self.admin.stop()
        yield closed
        yield self._agent.stop()
