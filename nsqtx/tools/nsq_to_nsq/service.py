"""nsq_to_nsq as a Twisted service."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from nsqtx.tools.destinations import writer_config
from nsqtx.tools.hostpool import MODES, pool_named
from nsqtx.tools.nsq_to_nsq.destination import Destination
from nsqtx.tools.nsq_to_nsq.forwarding import Forwarding
from nsqtx.tools.nsq_to_nsq.options import NsqToNsqOptions
from nsqtx.tools.nsq_to_nsq.selection import Selection
from nsqtx.tools.sources import first_failure, make_reader
from nsqtx.tools.status import Statuses
from nsqtx.tools.tool import Ending

__all__ = ["NsqToNsqService"]

log = Logger(namespace="nsqtx.tools.nsq_to_nsq")


class NsqToNsqService(Service):
    """A Reader for each topic, a Writer for each destination."""

    def __init__(self, options: NsqToNsqOptions, reactor: Any, ending: Ending) -> None:
        config = writer_config(options.producer_opt, "nsq_to_nsq")
        addresses = list(dict.fromkeys(options.destination_nsqd_tcp_address))
        destinations = {each: Destination(each, reactor, config) for each in addresses}
        mode = options.mode
        if mode not in MODES:
            log.warn("--mode={mode} is unknown: using round-robin", mode=mode)
            mode = "round-robin"
        pool = pool_named(mode, addresses, reactor.seconds, Random())  # noqa: S311
        statuses = Statuses(addresses, options.status_every)
        selection = Selection(
            options.require_json_field, options.require_json_value, options.whitelist_json_field
        )
        self._writers = MultiService()
        for each in destinations.values():
            self._writers.addService(each)
        self._readers = MultiService()
        for topic in dict.fromkeys(options.topic):
            forwarding = Forwarding(
                options.destination_topic or topic,
                destinations,
                pool,
                selection,
                statuses,
                reactor.seconds,
            )
            told = first_failure(options.nsqd_tcp_address, ending.fail)
            self._readers.addService(
                make_reader(options, "nsq_to_nsq", topic, forwarding, reactor, told)
            )

    def startService(self) -> None:
        super().startService()
        self._writers.startService()
        self._readers.startService()

    def stopService(self) -> Deferred[Any]:
        """Take no more messages; when all are answered, let the destinations go."""
        super().stopService()
        stopping = maybeDeferred(self._readers.stopService)
        return stopping.addBoth(lambda _: self._writers.stopService())
