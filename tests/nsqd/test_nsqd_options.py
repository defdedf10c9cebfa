"""The options of nsqd: each of the original's with its flag, key, default and /config value."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions, implied_tls_required, start_error
from nsqtx.options import config_value, declared, read_file, read_flags, read_options
from nsqtx.wire.guid import default_node_id
from tests.support.lists import ListStore

SECOND = 10**9
MINUTE = 60 * SECOND
HOST = socket.gethostname()


class Row(NamedTuple):
    """A row of the table of nsqd-engine section 14."""

    flag: str
    key: str | None
    #: As a flag gives it, and how /config shows that (nsqd-http section 10).
    text: str
    value: Any
    #: What /config shows of the default; for options without a key, the default.
    default: Any


TABLE = [
    Row("version", None, "true", True, False),
    Row("config", None, "/c.toml", "/c.toml", ""),
    Row("log-level", "log_level", "WARN", 3, 2),
    Row("log-prefix", "log_prefix", "x ", "x ", "[nsqd] "),
    Row("verbose", None, "true", True, False),
    Row("worker-id", None, "true", True, False),
    Row("node-id", "id", "0x10", 16, default_node_id(HOST)),
    Row("tcp-address", "tcp_address", "/run/t", "/run/t", "0.0.0.0:4150"),
    Row("http-address", "http_address", "", "", "0.0.0.0:4151"),
    Row("https-address", "https_address", ":1", ":1", "0.0.0.0:4152"),
    Row("broadcast-address", "broadcast_address", "h", "h", HOST),
    Row("broadcast-tcp-port", "broadcast_tcp_port", "1", 1, 0),
    Row("broadcast-http-port", "broadcast_http_port", "2", 2, 0),
    Row("lookupd-tcp-address", "nsqlookupd_tcp_addresses", "a:1", ["a:1"], []),
    Row("auth-http-address", "auth_http_addresses", "a:1", ["a:1"], []),
    Row("auth-http-request-method", "auth_http_request_method", "post", "post", "get"),
    Row(
        "http-client-connect-timeout",
        "http_client_connect_timeout",
        "1ms",
        1_000_000,
        2 * SECOND,
    ),
    Row(
        "http-client-request-timeout",
        "http_client_request_timeout",
        "1ms",
        1_000_000,
        5 * SECOND,
    ),
    Row("topology-region", "topology_region", "r", "r", ""),
    Row("topology-zone", "topology_zone", "z", "z", ""),
    Row("enable-experiment", "enable_experiment", "e", ["e"], []),
    Row("data-path", "data_path", "/d", "/d", ""),
    Row("mem-queue-size", "mem_queue_size", "1", 1, 10000),
    Row("max-bytes-per-file", "max_bytes_per_file", "1", 1, 104857600),
    Row("sync-every", "sync_every", "1", 1, 2500),
    Row("sync-timeout", "sync_timeout", "1s", SECOND, 2 * SECOND),
    Row("queue-scan-worker-pool-max", "queue_scan_worker_pool_max", "1", 1, 4),
    Row("queue-scan-selection-count", "queue_scan_selection_count", "1", 1, 20),
    Row("msg-timeout", "msg_timeout", "1s", SECOND, MINUTE),
    Row("max-msg-timeout", "max_msg_timeout", "1s", SECOND, 15 * MINUTE),
    Row("max-msg-size", "max_msg_size", "1", 1, 1048576),
    Row("max-body-size", "max_body_size", "1", 1, 5242880),
    Row("max-req-timeout", "max_req_timeout", "1s", SECOND, 60 * MINUTE),
    Row("max-heartbeat-interval", "max_heartbeat_interval", "1s", SECOND, MINUTE),
    Row("max-rdy-count", "max_rdy_count", "1", 1, 2500),
    Row("max-output-buffer-size", "max_output_buffer_size", "1", 1, 65536),
    Row("max-output-buffer-timeout", "max_output_buffer_timeout", "1s", SECOND, 30 * SECOND),
    Row("min-output-buffer-timeout", "min_output_buffer_timeout", "1s", SECOND, 25_000_000),
    Row("output-buffer-timeout", "output_buffer_timeout", "1s", SECOND, 250_000_000),
    Row("max-channel-consumers", "max_channel_consumers", "1", 1, 0),
    Row("statsd-address", "statsd_address", "h:1", "h:1", ""),
    Row("statsd-prefix", "statsd_prefix", "p", "p", "nsq.%s"),
    Row("statsd-interval", "statsd_interval", "1s", SECOND, MINUTE),
    Row("statsd-mem-stats", "statsd_mem_stats", "false", False, True),
    Row("statsd-udp-packet-size", "statsd_udp_packet_size", "1", 1, 508),
    Row("statsd-exclude-ephemeral", "statsd_exclude_ephemeral", "true", True, False),
    Row(
        "e2e-processing-latency-percentile",
        "e2e_processing_latency_percentiles",
        "0.5,1",
        [1.0, 0.5],
        [],
    ),
    Row(
        "e2e-processing-latency-window-time",
        "e2e_processing_latency_window_time",
        "1s",
        SECOND,
        10 * MINUTE,
    ),
    Row("tls-cert", "tls_cert", "/c", "/c", ""),
    Row("tls-key", "tls_key", "/k", "/k", ""),
    Row("tls-client-auth-policy", "tls_client_auth_policy", "require", "require", ""),
    Row("tls-root-ca-file", "tls_root_ca_file", "/r", "/r", ""),
    Row("tls-required", "tls_required", "tcp-https", 1, 0),
    Row("tls-min-version", "tls_min_version", "tls1.2", 771, 769),
    Row("deflate", "deflate", "false", False, True),
    Row("max-deflate-level", "max_deflate_level", "9", 9, 6),
    Row("snappy", "snappy", "false", False, True),
]
#: Ours.
OURS = [
    Row("durability", "durability", "fsync", "fsync", "os"),
    Row("metrics-max-topics", "metrics_max_topics", "1", 1, 200),
    Row("log-format", "log_format", "json", "json", "text"),
    Row("sigterm-mode", "sigterm_mode", "drain", "drain", "stop"),
    Row("drain-timeout", "drain_timeout", "1s", SECOND, 30 * SECOND),
    Row("max-attempts", "max_attempts", "5", 5, 0),
]
ROWS = TABLE + OURS


def flag_of(row: Row) -> str:
    return row.flag


def shown(options: NsqdOptions, row: Row) -> Any:
    """What /config shows; of an option without a key, its value."""
    if row.key is not None:
        return config_value(options, row.key)
    return getattr(options, row.flag.replace("-", "_"))


def options_of(*arguments: str) -> NsqdOptions:
    """The options of a command line."""
    return read_options(NsqdOptions, read_flags(NsqdOptions, arguments), {})


def test_the_options_are_the_originals_and_ours() -> None:
    """None is missing, none is too many, and the keys are the original's."""
    found = {each.flag: each.key for each in declared(NsqdOptions)}
    assert found == {row.flag: row.key for row in ROWS}
    keys = [row.key for row in ROWS if row.key is not None]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", ROWS, ids=flag_of)
def test_an_option_has_the_originals_default(row: Row) -> None:
    """Without a word, /config shows what the original's shows."""
    value = shown(options_of(), row)
    assert (value, type(value)) == (row.default, type(row.default))


@pytest.mark.parametrize("row", ROWS, ids=flag_of)
def test_an_option_is_set_by_its_flag(row: Row) -> None:
    """And nothing else is."""
    options = options_of(f"--{row.flag}={row.text}")
    value = shown(options, row)
    assert (value, type(value)) == (row.value, type(row.value))
    others = [other for other in ROWS if other is not row]
    assert [shown(options, other) for other in others] == [other.default for other in others]


@pytest.mark.parametrize("row", [row for row in ROWS if row.key is not None], ids=flag_of)
def test_an_option_is_set_by_its_key(row: Row, tmp_path: Path) -> None:
    """Every kind of value may be a string in the file, and means what the flag means."""
    file = tmp_path / "c.toml"
    file.write_text(f'{row.key} = "{row.text}"\n')
    if row.key == "id":
        file.write_text("id = 16\n")
    values = read_file(NsqdOptions, str(file))
    options = read_options(NsqdOptions, {}, values)
    expected = row.value
    if row.key == "e2e_processing_latency_percentiles":
        expected = [0.5, 1.0]  # in the order of the file
    assert shown(options, row) == expected
    assert len(values) == 1


@pytest.mark.parametrize("key", ["version", "config", "verbose", "worker_id"])
def test_no_file_sets_what_only_the_command_line_says(key: str, tmp_path: Path) -> None:
    """These have no key."""
    file = tmp_path / "c.toml"
    file.write_text(f"{key} = true\n")
    assert read_file(NsqdOptions, str(file)) == {}


def test_every_option_says_what_it_is() -> None:
    """The usage has a line for each."""
    assert all(each.help and "\n" not in each.help for each in declared(NsqdOptions))


def node_of(*arguments: str) -> Node:
    """A node with the options of a command line."""
    options = options_of("--broadcast-address=127.0.0.1", "--broadcast-http-port=4151", *arguments)
    clock: Any = Clock()
    broker = Broker(ListStore(), clock.seconds, Settings())
    return Node(options, broker, clock, 0.0)


@pytest.mark.parametrize(
    ("prefix", "expanded"),
    [
        ("nsq.%s", "nsq.127_0_0_1_4151."),
        ("a.%s.b.", "a.127_0_0_1_4151.b."),
        ("plain", "plain."),
        ("", ""),
    ],
)
def test_config_shows_the_statsd_prefix_expanded(prefix: str, expanded: str) -> None:
    """With the host in it, as it goes out (nsqd-http section 10)."""
    assert node_of(f"--statsd-prefix={prefix}").config_get("statsd_prefix") == expanded


# What keeps nsqd from starting.


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--max-deflate-level=0"], "--max-deflate-level must be [1,9]"),
        (["--max-deflate-level=10"], "--max-deflate-level must be [1,9]"),
        (["--node-id=-1"], "--node-id must be [0,1024)"),
        (["--node-id=1024"], "--node-id must be [0,1024)"),
        (
            ["--tls-required"],
            "cannot require TLS client connections without TLS key and cert",
        ),
        (
            ["--tls-required=tcp-https"],
            "cannot require TLS client connections without TLS key and cert",
        ),
        (
            ["--auth-http-request-method=put"],
            "--auth-http-request-method must be post or get",
        ),
        (
            ["--auth-http-request-method=GET"],
            "--auth-http-request-method must be post or get",
        ),
        (
            ["--e2e-processing-latency-percentile=1.5"],
            "invalid E2E processing latency percentile: 1.5",
        ),
        (
            ["--e2e-processing-latency-percentile=0"],
            "invalid E2E processing latency percentile: 0",
        ),
        (
            ["--e2e-processing-latency-percentile=0.9,-0.25"],
            "invalid E2E processing latency percentile: -0.25",
        ),
        (
            ["--e2e-processing-latency-percentile=nan"],
            "invalid E2E processing latency percentile: nan",
        ),
        # The first that is wrong is named, in the order of nsqd-engine section 7.3.
        (["--node-id=-1", "--max-deflate-level=0"], "--max-deflate-level must be [1,9]"),
        (["--tls-required", "--node-id=-1"], "--node-id must be [0,1024)"),
    ],
)
def test_the_original_refuses_these_too(arguments: list[str], reason: str) -> None:
    """The texts are the original's."""
    assert start_error(options_of(*arguments)) == reason


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--max-deflate-level=1", "--node-id=0"],
        ["--max-deflate-level=9", "--node-id=1023"],
        ["--e2e-processing-latency-percentile=1,0.001"],
        ["--auth-http-request-method=post"],
        ["--durability=memory"],
        ["--mem-queue-size=0"],
        ["--max-channel-consumers=0", "--http-address="],
        ["--deflate=false", "--snappy=false", "--statsd-mem-stats=false"],
    ],
)
def test_nothing_is_wrong_with_these(arguments: list[str]) -> None:
    """The ends of every range belong to it."""
    assert start_error(options_of(*arguments)) is None


POSITIVE = ["sync-every", "max-bytes-per-file", "max-msg-size", "max-body-size"]


@pytest.mark.parametrize("flag", POSITIVE)
@pytest.mark.parametrize("number", ["0", "-1"])
def test_sizes_that_make_no_sense_are_refused(flag: str, number: str) -> None:
    """The original starts, and then takes nothing or never writes."""
    assert start_error(options_of(f"--{flag}={number}")) == f"--{flag} must be positive"
    assert start_error(options_of(f"--{flag}=1")) is None


@pytest.mark.parametrize("text", ["--mem-queue-size=-1", "--drain-timeout=-1s"])
def test_what_makes_no_sense_below_0_is_refused(text: str) -> None:
    """With the original a negative queue ends nsqd at the first topic."""
    assert start_error(options_of(text)) == f"{text.partition('=')[0]} must not be negative"


@pytest.mark.parametrize("limit", ["-1", "65536"])
def test_a_limit_of_attempts_is_a_number_of_16_bits(limit: str) -> None:
    """Attempts are no larger on the wire."""
    refused = "--max-attempts must be [0,65535]"
    assert start_error(options_of(f"--max-attempts={limit}")) == refused


def test_an_interval_of_statsd_that_makes_no_sense_is_refused() -> None:
    """The original ends when it is to push; without a statsd it does not matter."""
    interval = "--statsd-interval=0s"
    options = options_of("--statsd-address=h:1", interval)
    assert start_error(options) == "--statsd-interval must be positive"
    assert start_error(options_of(interval)) is None


@pytest.mark.parametrize("flag", ["--tls-cert=/c", "--tls-key=/k"])
def test_certificate_and_key_need_each_other(flag: str) -> None:
    """One alone is refused, rather than to be taken for no TLS."""
    reason = "failed to build TLS config - --tls-cert and --tls-key need each other"
    assert start_error(options_of(flag)) == reason
    assert start_error(options_of("--tls-cert=/c", "--tls-key=/k", "--tls-required")) is None


@pytest.mark.parametrize(
    ("flags", "required"),
    [
        ([], "false"),
        (["--tls-client-auth-policy=require"], "true"),
        (["--tls-client-auth-policy=other"], "true"),
        (["--tls-client-auth-policy=require", "--tls-required=tcp-https"], "tcp-https"),
        (["--tls-required=tcp-https"], "tcp-https"),
    ],
)
def test_a_client_auth_policy_implies_tls(flags: list[str], required: str) -> None:
    """Any policy requires TLS of TCP and HTTP, unless --tls-required says what (nsqd-tcp 9)."""
    options = options_of(*flags)
    assert implied_tls_required(options) == required
    missing = "cannot require TLS client connections without TLS key and cert"
    assert start_error(options) == (None if required == "false" else missing)


@pytest.mark.parametrize("make", [NsqdOptions, options_of])
def test_the_node_id_comes_from_the_host_name(make: Callable[[], NsqdOptions]) -> None:
    """It is the same at every start, and within its range."""
    assert make().node_id == default_node_id(HOST)
    assert 0 <= make().node_id < 1024
