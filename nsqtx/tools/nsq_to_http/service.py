"""nsq_to_http as a Twisted service."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.client import Agent, HTTPConnectionPool

from nsqtx.durations import SECOND
from nsqtx.tools.hostpool import MODES, pool_named
from nsqtx.tools.nsq_to_http.forwarding import Forwarding
from nsqtx.tools.nsq_to_http.options import NsqToHttpOptions, header_of
from nsqtx.tools.nsq_to_http.publisher import Publisher
from nsqtx.tools.sources import first_failure, make_reader
from nsqtx.tools.status import Statuses
from nsqtx.tools.tool import Ending

__all__ = ["NsqToHttpService"]

log = Logger(namespace="nsqtx.tools.nsq_to_http")


class NsqToHttpService(MultiService):
    """A Reader whose messages become requests."""

    def __init__(self, options: NsqToHttpOptions, reactor: Any, ending: Ending) -> None:
        super().__init__()
        addresses = options.addresses
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = options.n
        patience = options.http_client_connect_timeout / SECOND
        agent = Agent(reactor, connectTimeout=patience, pool=self._pool)
        headers = [pair for pair in map(header_of, options.header) if pair is not None]
        publisher = Publisher(
            agent,
            Agent(reactor, connectTimeout=patience),
            reactor,
            options.http_client_request_timeout / SECOND,
            None if options.get else options.content_type,
            headers,
        )
        random = Random()  # noqa: S311
        hosts = None
        if options.mode in MODES:
            hosts = pool_named(options.mode, addresses, reactor.seconds, random)
        elif options.mode != "all":
            log.warn("--mode={mode} is unknown: sending to all addresses", mode=options.mode)
        forwarding = Forwarding(
            publisher,
            addresses,
            hosts,
            options.sample,
            Statuses(addresses, options.status_every),
            reactor.seconds,
            random,
        )
        told = first_failure(options.nsqd_tcp_address, ending.fail)
        reader = make_reader(
            options, "nsq_to_http", options.topic, forwarding, reactor, told, options.n
        )
        self.addService(reader)

    def stopService(self) -> Deferred[Any]:
        stopping: Deferred[Any] = super().stopService()
        return stopping.addCallback(lambda _: self._pool.closeCachedConnections())
