"""nsq as a Twisted service: the services of the programs, one after the other."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import inlineCallbacks, maybeDeferred
from twisted.logger import Logger

from nsqtx.allinone.options import NsqOptions, parts
from nsqtx.listen import address_text, split_address
from nsqtx.logs import NsqLogObserver
from nsqtx.nsqadmin.service import NsqadminService
from nsqtx.nsqd.service import NsqdService
from nsqtx.nsqlookupd.service import NsqlookupdService
from nsqtx.run import StartError
from nsqtx.signals import SteeredService

__all__ = ["NsqService"]

log = Logger(namespace="nsq")


class NsqService(SteeredService):
    """nsqlookupd first, since nsqd registers there; nsqadmin last, since it asks both.

    ``options`` are checked already (`nsqtx.allinone.options`).
    """

    changeable = frozenset({"log_level"})

    def __init__(
        self, options: NsqOptions, reactor: Any, log_observer: NsqLogObserver | None = None
    ) -> None:
        self._options = options
        self._reactor = reactor
        self._log_observer = log_observer
        self.nsqlookupd: NsqlookupdService | None = None
        self.nsqd: NsqdService | None = None
        self.nsqadmin: NsqadminService | None = None
        #: Those that have started, in that order.
        self._started: list[SteeredService] = []

    def startService(self) -> None:
        """Start all, or none.

        :raises StartError: one of them cannot start; those before it are being stopped again.
        """
        super().startService()
        try:
            self._start()
        except BaseException:
            self._stop_started()
            raise

    def _start(self) -> None:
        found = parts(self._options)
        try:
            os.makedirs(self._options.data_path, exist_ok=True)
        except OSError as error:
            raise StartError(f"failed to make the data path - {error}") from None
        self.nsqlookupd = NsqlookupdService(found.nsqlookupd, self._reactor, self._log_observer)
        self._begin(self.nsqlookupd)
        lookupd = self.nsqlookupd.node
        found.nsqd.lookupd_tcp_address = [_at(found.nsqlookupd.tcp_address, lookupd.tcp_port)]
        self.nsqd = NsqdService(found.nsqd, self._reactor, self._log_observer)
        self._begin(self.nsqd)
        found.nsqadmin.lookupd_http_address = [
            _at(found.nsqlookupd.http_address, lookupd.http_port)
        ]
        self.nsqadmin = NsqadminService(found.nsqadmin, self._reactor, self._log_observer)
        self._begin(self.nsqadmin)
        log.info(
            "ready: nsqd {nsqd}, nsqlookupd {lookupd}, nsqadmin http://{admin}/",
            nsqd=_at(found.nsqd.tcp_address, self.nsqd.node.tcp_port),
            lookupd=found.nsqadmin.lookupd_http_address[0],
            admin=_at(found.nsqadmin.http_address, self.nsqadmin.admin.http_port),
        )

    def _begin(self, service: SteeredService) -> None:
        service.startService()
        self._started.append(service)

    def change(self, name: str, value: Any) -> None:
        if self._log_observer is not None:
            self._log_observer.level = value

    def sigterm(self) -> bool:
        return self.nsqd is not None and self.nsqd.sigterm()

    def stopService(self) -> Any:
        """Stop them in the reverse order; fires when all have."""
        super().stopService()
        return self._stop_started()

    @inlineCallbacks
    def _stop_started(self) -> Any:
        while self._started:
            service = self._started.pop()
            stopping = maybeDeferred(service.stopService)
            yield stopping.addErrback(lambda failure: log.failure("a stop failed", failure))


def _at(address: str, port: int) -> str:
    """Where the one that listens there is reached from this machine; ``port`` is the bound one."""
    place = split_address(address)
    host = place[0] if place else ""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104
        host = "127.0.0.1"
    return address_text(host, port)
