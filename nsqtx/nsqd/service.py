"""nsqd as a Twisted service: where broker, storage, TCP and HTTP are put together."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.channel import Channel
from nsqtx.broker.topic import Topic
from nsqtx.broker.turn import Turn
from nsqtx.descriptors import RESERVE
from nsqtx.interfaces import ITurns, StorageError
from nsqtx.listen import ListenError
from nsqtx.logs import NsqLogObserver
from nsqtx.nsqd.drain import Drain
from nsqtx.nsqd.http import NsqdApi
from nsqtx.nsqd.loading import load_data_path
from nsqtx.nsqd.lookups import Lookups, make_lookups
from nsqtx.nsqd.machine import Machine
from nsqtx.nsqd.metadata_file import MetadataFile
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import CHANGEABLE, NsqdOptions, implied_tls_required
from nsqtx.nsqd.protocol import NsqdFactory
from nsqtx.nsqd.rounds import Rounds
from nsqtx.nsqd.statsd import StatsdLines
from nsqtx.nsqd.statsd_push import StatsdPusher, statsd_place
from nsqtx.ports import Ports
from nsqtx.run import StartError
from nsqtx.signals import SteeredService
from nsqtx.storage.dirlock import LockError
from nsqtx.storage.metadata import MetadataError
from nsqtx.storage.store import Store
from nsqtx.storage.volume import Settings as StorageSettings
from nsqtx.tls import ServerTls, TlsError, TlsSettings
from nsqtx.version import NSQ_VERSION, RUNTIME
from nsqtx.web.api import TlsRequired
from nsqtx.web.https import HttpsFactory
from nsqtx.web.lag import ReactorLag
from nsqtx.web.site import ApiSite
from nsqtx.wire.codecs import SNAPPY_AVAILABLE

__all__ = ["NsqdService"]

log = Logger(namespace="nsqd")

#: How often deadlines and due times are looked at (seconds): the accuracy that NSQ promises.
SCAN_INTERVAL = 0.1
#: How often checkpoints are written (seconds): what a crash may deliver again.
TICK_INTERVAL = 1.0
#: How long clients get to take what is under way when nsqd stops (seconds).
STOP_PATIENCE = 2.0
NANO = 1e9


class NsqdService(SteeredService):
    """One nsqd: starts by loading the data path and listening, stops by writing everything down.

    ``options`` are checked already (`nsqtx.nsqd.options`). After `startService`, `node` has the
    bound ports.
    """

    node: Node
    changeable = CHANGEABLE

    def __init__(
        self,
        options: NsqdOptions,
        reactor: Any,
        log_observer: NsqLogObserver | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.options = options
        self.log_observer = log_observer
        self.reactor = reactor
        self._machine = machine or Machine()
        self._lock = self._machine.lock(options.data_path or os.getcwd())
        self._store = self._make_store()
        self._broker = Broker(
            self._store,
            reactor.seconds,
            Settings(
                node_id=options.node_id,
                mem_queue_size=options.mem_queue_size,
                latency_quantiles=options.e2e_processing_latency_percentile,
                latency_window=options.e2e_processing_latency_window_time,
                max_attempts=options.max_attempts,
            ),
            on_change=self._changed,
            on_failure=self._report,
        )
        self._factory: NsqdFactory | None = None
        spare = RESERVE + self._machine.open_segments()
        self._ports = Ports(reactor, self._machine.descriptors, spare)
        self._lookups: Lookups | None = None
        self._drain: Drain | None = None
        self._rounds: list[Rounds | ReactorLag] = [
            Rounds(reactor, SCAN_INTERVAL, self._broker.scan),
            Rounds(reactor, TICK_INTERVAL, self._broker.tick),
            Rounds(reactor, TICK_INTERVAL, self._store.tick),
        ]
        self._metadata = MetadataFile(self._store, self._broker, self._lock.path, reactor)
        self._loaded = False
        self._stopping = False
        self._statsd: StatsdPusher | None = None

    def _make_store(self) -> Store:
        options = self.options
        root = self._lock.path
        settings = StorageSettings(
            durability=options.durability,
            segment_size=options.max_bytes_per_file,
            sync_every=options.sync_every,
            sync_timeout=options.sync_timeout / NANO,
            mem_queue_size=options.mem_queue_size,
            open_files=self._machine.open_segments(),
        )
        return Store(
            self._machine.files(root),
            root,
            settings,
            self._in_thread,
            self.reactor.seconds,
            self._report,
            self._machine.random.randbytes,
        )

    def _in_thread(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        """Run a sync off the reactor's thread."""
        deferred = deferToThreadPool(self.reactor, self.reactor.getThreadPool(), work)
        deferred.addCallbacks(lambda _: done(None), lambda failure: done(failure.value))
        deferred.addErrback(lambda failure: log.failure("sync", failure))

    def _set_log_level(self, level: str) -> None:
        if self.log_observer is not None:
            self.log_observer.level = level

    def _report(self, text: str) -> None:
        log.error("{text}", text=text)

    # Start.

    def startService(self) -> None:
        """Load, then listen.

        :raises StartError: with everything let go again.
        """
        super().startService()
        try:
            self._start()
        except BaseException:
            self._let_go()
            raise

    def _start(self) -> None:
        options = self.options
        try:
            self._lock.acquire()
        except LockError as error:
            raise StartError(f"failed to instantiate nsqd - {error}") from None
        now = self.reactor.seconds()
        hostname = self._machine.hostname
        self.node = Node(options, self._broker, self.reactor, now, hostname)
        self.node.store_health = lambda: self._store.health
        if ITurns.providedBy(self.reactor):
            self.node.turn = Turn(self._broker, self.reactor.at_turn_end)
        self.node.metadata_changed = self._metadata_changed
        self.node.set_log_level = self._set_log_level
        self.node.tls = self._make_tls()
        if options.auth_http_address:
            self._admit_by_auth_servers()
        log.info("nsqd v{version} (built w/{runtime})", version=NSQ_VERSION, runtime=RUNTIME)
        log.info("ID: {id}", id=options.node_id)
        if options.snappy and not SNAPPY_AVAILABLE:
            log.warn("snappy is not offered to clients, since python-snappy is not installed")
        self.node.counters = self._store.counters
        self.node.set_draining = self._set_draining
        self._drain = Drain(self.node, self.reactor.stop)
        self._factory = NsqdFactory(self.node)
        self._bind()
        self._load()
        self._loaded = True
        self._metadata.write()
        # Not before: what is loaded has its channels, nobody is asked for them.
        self._lookups = make_lookups(self.node, self.reactor, self._machine.random)
        self.node.set_lookupds = self._lookups.set_addresses
        self._lookups.set_addresses(options.lookupd_tcp_address)
        self._ports.announce()
        self._rounds.append(self.node.lag)
        for rounds in self._rounds:
            rounds.start()
        if options.statsd_address:
            self._start_statsd()

    def _start_statsd(self) -> None:
        """Push to statsd. The bound ports are part of the prefix."""
        options = self.options
        lines = StatsdLines(
            self._broker,
            self.node.statsd_prefix,
            options.statsd_exclude_ephemeral,
            options.statsd_mem_stats,
        )
        self._statsd = StatsdPusher(
            self.reactor,
            statsd_place(options.statsd_address),
            options.statsd_interval / NANO,
            options.statsd_udp_packet_size,
            lines,
        )
        self._statsd.start()

    def _make_tls(self) -> ServerTls | None:
        """Read the certificate, if there is one."""
        options = self.options
        options.tls_required = implied_tls_required(options)
        if not options.tls_cert:
            return None
        settings = TlsSettings(
            cert=options.tls_cert,
            key=options.tls_key,
            root_ca=options.tls_root_ca_file,
            client_auth=options.tls_client_auth_policy,
            min_version=options.tls_min_version,
        )
        try:
            return ServerTls(settings)
        except TlsError as error:
            raise StartError(
                f"failed to instantiate nsqd - failed to build TLS config - {error}"
            ) from None

    def _admit_by_auth_servers(self) -> None:
        try:
            # Not at the top: they need a library that nobody else does.
            from nsqtx.nsqd.admission import admission_by
        except ImportError as error:
            reason = f"--auth-http-address needs google-re2: pip install 'nsqtx[auth]' ({error})"
            raise StartError(f"failed to instantiate nsqd - {reason}") from None
        try:
            self.node.admit = admission_by(self.options, self.reactor)
        except ValueError as error:
            raise StartError(f"failed to instantiate nsqd - {error}") from None

    def _bind(self) -> None:
        """Listen. Nobody is accepted before this turn of the reactor is over, and all is loaded."""
        options, node = self.options, self.node
        assert self._factory is not None
        try:
            node.tcp_port = self._ports.listen("TCP", options.tcp_address, self._factory)
            site = NsqdApi(node).site()
            if options.http_address:
                plain = site
                if options.tls_required == "true":
                    plain = ApiSite(TlsRequired(lambda: max(0, node.https_port)), self.reactor)
                node.http_port = self._ports.listen("HTTP", options.http_address, plain)
            if options.https_address and node.tls is not None:
                https = HttpsFactory(node.tls, site, self.reactor)
                node.https_port = self._ports.listen("HTTPS", options.https_address, https)
        except ListenError as error:
            raise StartError(f"failed to instantiate nsqd - {error}") from None
        if not options.broadcast_tcp_port:
            options.broadcast_tcp_port = max(0, node.tcp_port)
        if not options.broadcast_http_port:
            options.broadcast_http_port = max(0, node.http_port)

    def _load(self) -> None:
        """Find what is in the data path. Nobody is served before."""
        try:
            load_data_path(self._store, self._broker, self.options.max_msg_size, self._warn)
        except (MetadataError, StorageError) as error:
            raise StartError(f"failed to load metadata - {error}") from None

    # What an operator asks for (`SteeredService`).

    def change(self, name: str, value: Any) -> None:
        self.node.change(name, value)

    def sigterm(self) -> bool:
        drain = self._drain
        wanted = self.options.sigterm_mode == "drain"
        if not wanted or drain is None or self._stopping or self.node.draining:
            return False
        drain.begin("SIGTERM")
        return True

    def _set_draining(self, draining: bool) -> None:
        assert self._drain is not None
        if self._stopping:
            return
        if draining:
            self._drain.begin("asked for")
        else:
            self._drain.cancel("called off")

    # nsqd.dat.

    def _changed(self, kind: str, topic: Topic, channel: Channel | None) -> None:
        """A topic or channel came or went: say so, and write ``nsqd.dat`` soon."""
        if kind == "topic made":
            log.info("TOPIC({topic}): created", topic=topic.name)
        elif kind == "topic gone":
            log.info("TOPIC({topic}): deleting", topic=topic.name)
        elif channel is not None:
            text = (
                "new channel({channel})" if kind == "channel made" else "deleting channel {channel}"
            )
            log.info("TOPIC({topic}): " + text, topic=topic.name, channel=channel.name)
        if self._lookups is not None:
            self._lookups.changed(kind, topic, channel)
        persistent = not topic.ephemeral and not (channel is not None and channel.ephemeral)
        if persistent:
            self._metadata_changed()

    def _metadata_changed(self) -> None:
        if not self._stopping:
            self._metadata.soon()

    def _warn(self, text: str) -> None:
        log.warn("{text}", text=text)

    # Stop.

    @inlineCallbacks
    def stopService(self) -> Any:
        """Stop listening, let clients go, write everything down."""
        self._stopping = True
        super().stopService()
        if self._drain is not None:
            self._drain.end()
        if self._lookups is not None:
            # First, so that consumers are not sent here any more.
            yield self._lookups.leave()
        yield self._ports.close()
        if self._statsd is not None:
            yield self._statsd.stop()
        yield self._drop_clients()
        self._let_go()
        log.info("NSQ: bye")

    def _drop_clients(self) -> Deferred[None]:
        """Close all connections, without a frame; those that do not read are cut off."""
        if self._factory is None:
            return succeed(None)
        return self._factory.stop(STOP_PATIENCE)

    def _let_go(self) -> None:
        """Everything but the network; also of a start that failed half-way."""
        self._ports.drop()
        for rounds in self._rounds:
            rounds.stop()
        self._metadata.cancel()
        # What was not loaded must not be written: neither an empty list of topics over nsqd.dat,
        # nor the mark of a clean stop over a crash that nobody has recovered from yet.
        if self._loaded and not self._broker.exiting:
            self._metadata.write()
            log.info("NSQ: closing topics")
            failures = self._broker.stop()
            for failure in failures:
                log.error("NSQ: {failure}", failure=failure)
            try:
                self._store.close(orderly=not failures)
            except StorageError as error:
                log.error("NSQ: {error}", error=error)
        self._lock.release()
