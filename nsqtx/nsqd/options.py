"""The options of nsqd: every one of the original's (nsqd-engine section 14), and ours."""

from __future__ import annotations

import socket

import attrs

from nsqtx.broker.dead_letters import MAX_ATTEMPTS
from nsqtx.durations import HOUR, MILLISECOND, MINUTE, SECOND
from nsqtx.kinds import (
    BOOL,
    DURATION,
    FLOATS,
    INT,
    LOG_LEVEL,
    STRING,
    STRINGS,
    TLS_REQUIRED,
    TLS_VERSION,
    choice,
)
from nsqtx.logs import FORMS
from nsqtx.options import option
from nsqtx.wire.guid import NODE_IDS, default_node_id

__all__ = ["CHANGEABLE", "NsqdOptions", "implied_tls_required", "start_error"]


@attrs.define
class NsqdOptions:
    """All options. Durations in ns, sizes in bytes."""

    version: bool = option(BOOL, False, "print the version and exit", key=None)
    config: str = option(STRING, "", "path of a TOML configuration file", key=None)
    log_level: str = option(LOG_LEVEL, "info", "log level: debug, info, warn, error or fatal")
    log_prefix: str = option(STRING, "[nsqd] ", "prefix of log lines")
    log_format: str = option(
        choice(*FORMS), "text", "form of log lines: text, or json for one object a line"
    )
    verbose: bool = option(BOOL, False, "has no effect (use -log-level)", key=None)
    worker_id: bool = option(BOOL, False, "has no effect (use -node-id)", key=None)
    node_id: int = option(
        INT,
        lambda: default_node_id(socket.gethostname()),
        "part of message ids, to keep apart those of several nsqd: 0 to 1023, "
        "made of the host name unless given",
        key="id",
        factory=True,
    )

    tcp_address: str = option(
        STRING, "0.0.0.0:4150", "address, or path of a Unix socket, for TCP clients"
    )
    http_address: str = option(
        STRING, "0.0.0.0:4151", "address, or path of a Unix socket, for HTTP clients; empty: none"
    )
    https_address: str = option(STRING, "0.0.0.0:4152", "address for HTTPS clients")
    broadcast_address: str = option(
        STRING,
        socket.gethostname,
        "address that nsqlookupd is told; the host name unless given",
        factory=True,
    )
    broadcast_tcp_port: int = option(
        INT, 0, "TCP port that nsqlookupd is told; the bound one unless given"
    )
    broadcast_http_port: int = option(
        INT, 0, "HTTP port that nsqlookupd is told; the bound one unless given"
    )
    lookupd_tcp_address: list[str] = option(
        STRINGS,
        [],
        "address of a nsqlookupd (may be given several times)",
        key="nsqlookupd_tcp_addresses",
    )

    auth_http_address: list[str] = option(
        STRINGS,
        [],
        "address or URL of an auth server (may be given several times)",
        key="auth_http_addresses",
    )
    auth_http_request_method: str = option(STRING, "get", "how to ask the auth server: get or post")
    http_client_connect_timeout: int = option(
        DURATION, 2 * SECOND, "to connect to nsqlookupd and auth servers"
    )
    http_client_request_timeout: int = option(
        DURATION, 5 * SECOND, "for a request to nsqlookupd and auth servers"
    )

    topology_region: str = option(STRING, "", "region of this nsqd")
    topology_zone: str = option(STRING, "", "zone of this nsqd")
    enable_experiment: list[str] = option(
        STRINGS,
        [],
        "an experiment to take part in: topology-aware-consumption (may be given several times)",
    )

    sigterm_mode: str = option(
        choice("stop", "drain"),
        "stop",
        "what SIGTERM does: stop, or drain: refuse publishes, and stop when all is consumed",
    )
    drain_timeout: int = option(
        DURATION, 30 * SECOND, "the longest time to drain; what is left is kept. 0: any time"
    )

    data_path: str = option(
        STRING, "", "directory for messages on disk; the working directory unless given"
    )
    durability: str = option(
        choice("memory", "os", "fsync"),
        "os",
        "when a publish is answered OK: memory (queued), os (written), fsync (on stable storage)",
    )
    mem_queue_size: int = option(INT, 10000, "messages in memory, per topic and per channel")
    max_bytes_per_file: int = option(
        INT, 100 * 1024 * 1024, "size at which a new segment of a log is begun"
    )
    sync_every: int = option(INT, 2500, "writes to a log after which it is synced")
    sync_timeout: int = option(
        DURATION, 2 * SECOND, "time after a write within which its log is synced"
    )

    queue_scan_worker_pool_max: int = option(
        INT, 4, "has no effect: one scan looks after all channels that need it"
    )
    queue_scan_selection_count: int = option(
        INT, 20, "has no effect: one scan looks after all channels that need it"
    )

    msg_timeout: int = option(
        DURATION, MINUTE, "time to finish a message, unless the client says otherwise"
    )
    max_msg_timeout: int = option(DURATION, 15 * MINUTE, "the longest a message can be in flight")
    max_msg_size: int = option(INT, 1024 * 1024, "the largest message")
    max_req_timeout: int = option(
        DURATION, HOUR, "the longest delay of a requeued or deferred message"
    )
    max_body_size: int = option(INT, 5 * 1024 * 1024, "the largest body of a command")

    max_heartbeat_interval: int = option(
        DURATION, MINUTE, "the longest heartbeat interval a client may ask for"
    )
    max_rdy_count: int = option(INT, 2500, "the largest RDY")
    max_output_buffer_size: int = option(
        INT, 64 * 1024, "the largest output buffer a client may ask for"
    )
    max_output_buffer_timeout: int = option(
        DURATION, 30 * SECOND, "the longest output buffer timeout a client may ask for"
    )
    min_output_buffer_timeout: int = option(
        DURATION, 25 * MILLISECOND, "the shortest output buffer timeout a client may ask for"
    )
    output_buffer_timeout: int = option(
        DURATION, 250 * MILLISECOND, "shown to clients; messages are never held back"
    )
    max_attempts: int = option(
        INT,
        0,
        "deliveries after which a channel moves a message to its dead-letter topic; 0: never",
    )
    max_channel_consumers: int = option(INT, 0, "consumers of a channel; 0: any number")

    statsd_address: str = option(STRING, "", "UDP address of a statsd")
    statsd_interval: int = option(DURATION, MINUTE, "time between pushes to statsd")
    statsd_mem_stats: bool = option(BOOL, True, "push memory figures to statsd, too")
    statsd_prefix: str = option(STRING, "nsq.%s", "prefix of keys in statsd; %s is the host")
    statsd_udp_packet_size: int = option(INT, 508, "the largest packet to statsd")
    statsd_exclude_ephemeral: bool = option(
        BOOL, False, "do not push #ephemeral topics and channels to statsd"
    )

    metrics_max_topics: int = option(
        INT,
        200,
        "topics, and channels, with figures of their own in /metrics; the others are summed",
    )

    e2e_processing_latency_percentile: list[float] = option(
        FLOATS,
        [],
        "a percentile of processing time to keep, above 0 and up to 1 "
        "(may be given several times, or comma separated)",
        key="e2e_processing_latency_percentiles",
    )
    e2e_processing_latency_window_time: int = option(
        DURATION, 10 * MINUTE, "the time that those percentiles are about"
    )

    tls_cert: str = option(STRING, "", "path of the certificate")
    tls_key: str = option(STRING, "", "path of its key")
    tls_client_auth_policy: str = option(
        STRING, "", "require or require-verify client certificates"
    )
    tls_root_ca_file: str = option(STRING, "", "path of the certificate authorities")
    tls_required: str = option(
        TLS_REQUIRED, "false", "require TLS of clients: true, false or tcp-https"
    )
    tls_min_version: str = option(TLS_VERSION, "tls1.0", "the lowest TLS version: tls1.0 to tls1.3")
    deflate: bool = option(BOOL, True, "let clients compress by deflate")
    max_deflate_level: int = option(INT, 6, "the highest deflate level a client may ask for")
    snappy: bool = option(BOOL, True, "let clients compress by snappy")

    @property
    def topology_aware(self) -> bool:
        """Whether near consumers come first. Other experiments are accepted and mean nothing."""
        return "topology-aware-consumption" in self.enable_experiment


#: What may change while nsqd runs. Limits and timeouts count for clients that connect afterwards.
CHANGEABLE = frozenset(
    [
        "log_level",
        "lookupd_tcp_address",
        "msg_timeout",
        "max_msg_timeout",
        "max_msg_size",
        "max_req_timeout",
        "max_body_size",
        "max_heartbeat_interval",
        "max_rdy_count",
        "max_output_buffer_size",
        "max_output_buffer_timeout",
        "min_output_buffer_timeout",
        "output_buffer_timeout",
        "max_channel_consumers",
        "sigterm_mode",
        "drain_timeout",
    ]
)


def implied_tls_required(options: NsqdOptions) -> str:
    """What ``--tls-required`` comes to: asking clients for certificates is requiring TLS."""
    if options.tls_required == "false" and options.tls_client_auth_policy:
        return "true"
    return options.tls_required


def start_error(options: NsqdOptions) -> str | None:
    """What keeps nsqd from starting with these options (nsqd-engine 7.3, step 4)."""
    if not 1 <= options.max_deflate_level <= 9:
        return "--max-deflate-level must be [1,9]"
    if not 0 <= options.node_id < NODE_IDS:
        return f"--node-id must be [0,{NODE_IDS})"
    if bool(options.tls_cert) != bool(options.tls_key):
        return "failed to build TLS config - --tls-cert and --tls-key need each other"
    if implied_tls_required(options) != "false" and not options.tls_cert:
        return "cannot require TLS client connections without TLS key and cert"
    if options.auth_http_request_method not in ("get", "post"):
        return "--auth-http-request-method must be post or get"
    if options.statsd_address:
        # Not at the top: it takes Twisted along, which `--version` need not wait for.
        from nsqtx.nsqd.statsd_push import statsd_place

        try:
            statsd_place(options.statsd_address)
        except ValueError as error:
            return f"--statsd-address: {error}"
        if options.statsd_interval <= 0:
            return "--statsd-interval must be positive"
    for percentile in options.e2e_processing_latency_percentile:
        if not 0 < percentile <= 1:
            return f"invalid E2E processing latency percentile: {percentile:g}"
    for name in ("sync_every", "max_bytes_per_file", "max_msg_size", "max_body_size"):
        if getattr(options, name) < 1:
            return f"--{name.replace('_', '-')} must be positive"
    for name in ("mem_queue_size", "drain_timeout"):
        if getattr(options, name) < 0:
            return f"--{name.replace('_', '-')} must not be negative"
    if not 0 <= options.max_attempts <= MAX_ATTEMPTS:
        return f"--max-attempts must be [0,{MAX_ATTEMPTS}]"
    return None
