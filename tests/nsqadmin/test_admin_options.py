"""The options of nsqadmin: each of the original's, and ours (nsqadmin sections 1 and 2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nsqtx.nsqadmin.options import NsqadminOptions, start_error, unresolved
from nsqtx.options import declared, read_file, read_flags
from tests.support.certificates import Authority

SECOND = 10**9
#: Flag, key, default, a text, its value.
TABLE: list[tuple[str, str | None, Any, str, Any]] = [
    ("version", None, False, "true", True),
    ("config", None, "", "/c", "/c"),
    ("log-level", "log_level", "info", "WARN", "warn"),
    ("log-prefix", "log_prefix", "[nsqadmin] ", "x ", "x "),
    ("log-format", "log_format", "text", "json", "json"),
    ("verbose", None, False, "true", True),
    ("http-address", "http_address", "0.0.0.0:4171", ":1", ":1"),
    ("base-path", "base_path", "/", "adm", "adm"),
    ("dev-static-dir", "dev_static_dir", "", "/s", "/s"),
    ("lookupd-http-address", "nsqlookupd_http_addresses", [], "a:1", ["a:1"]),
    ("nsqd-http-address", "nsqd_http_addresses", [], "a:1", ["a:1"]),
    ("graphite-url", "graphite_url", "", "http://g", "http://g"),
    ("proxy-graphite", "proxy_graphite", False, "true", True),
    ("statsd-counter-format", "statsd_counter_format", "stats.counters.%s.count", "%s", "%s"),
    ("statsd-gauge-format", "statsd_gauge_format", "stats.gauges.%s", "%s", "%s"),
    ("statsd-prefix", "statsd_prefix", "nsq.%s", "x", "x"),
    ("statsd-interval", "statsd_interval", 60 * SECOND, "10s", 10 * SECOND),
    ("notification-http-endpoint", "notification_http_endpoint", "", "http://n", "http://n"),
    ("http-client-connect-timeout", "http_client_connect_timeout", 2 * SECOND, "1s", SECOND),
    ("http-client-request-timeout", "http_client_request_timeout", 5 * SECOND, "1s", SECOND),
    (
        "http-client-tls-insecure-skip-verify",
        "http_client_tls_insecure_skip_verify",
        False,
        "true",
        True,
    ),
    ("http-client-tls-root-ca-file", "http_client_tls_root_ca_file", "", "/c", "/c"),
    ("http-client-tls-cert", "http_client_tls_cert", "", "/c", "/c"),
    ("http-client-tls-key", "http_client_tls_key", "", "/c", "/c"),
    ("allow-config-from-cidr", "allow_config_from_cidr", "127.0.0.1/8", "::1/128", "::1/128"),
    ("acl-http-header", "acl_http_header", "X-Forwarded-User", "X-User", "X-User"),
    ("admin-user", "admin_users", [], "bob", ["bob"]),
]


def test_the_originals_options_are_there() -> None:
    """Flag, key and default, in this order; those behind them are ours."""
    found = [(each.flag, each.key, each.default) for each in declared(NsqadminOptions)]
    assert found[: len(TABLE)] == [row[:3] for row in TABLE]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_each_flag_and_key_is_read(row: tuple[Any, ...], tmp_path: Path) -> None:
    """The file knows those with a key, and no others."""
    flag, key, _, text, value = row
    (name,) = [each.name for each in declared(NsqadminOptions) if each.flag == flag]
    assert read_flags(NsqadminOptions, [f"--{flag}={text}"]) == {name: value}
    file = tmp_path / "c.toml"
    file.write_text(f'{key or flag.replace("-", "_")} = "{text}"\n')
    assert read_file(NsqadminOptions, str(file)) == ({name: value} if key else {})


def options(**given: Any) -> NsqadminOptions:
    """Options with a nsqlookupd."""
    return NsqadminOptions(**{"lookupd_http_address": ["127.0.0.1:4161"], **given})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, None),
        ({"lookupd_http_address": ["[::1]:4161", "https://l/nsq"]}, None),
        ({"allow_config_from_cidr": ""}, None),
        ({"allow_config_from_cidr": "::1/128"}, None),
        ({"allow_config_from_cidr": "10.1.2.3/8"}, None),
        ({"proxy_graphite": True, "graphite_url": "http://u:p@g:1/x"}, None),
        ({"graphite_url": "no URL"}, None),
        (
            {"lookupd_http_address": []},
            "--nsqd-http-address or --lookupd-http-address required",
        ),
        (
            {"nsqd_http_address": ["a:1"]},
            "use --nsqd-http-address or --lookupd-http-address not both",
        ),
        (
            {"lookupd_http_address": ["a"]},
            "failed to resolve --lookupd-http-address (a) - address a: missing port in address",
        ),
        (
            {"lookupd_http_address": [], "nsqd_http_address": ["ftp://x"]},
            "failed to resolve --nsqd-http-address (ftp://x) - it is no URL of http or https",
        ),
        (
            {"allow_config_from_cidr": "127.0.0.1"},
            "failed to parse --allow-config-from-cidr (127.0.0.1) - "
            "invalid CIDR address: 127.0.0.1",
        ),
        (
            {"proxy_graphite": True, "graphite_url": "g:80"},
            "failed to parse --graphite-url (g:80) - it is no URL",
        ),
        (
            {"proxy_graphite": True, "graphite_url": "http://[x"},
            "failed to parse --graphite-url (http://[x) - it is no URL",
        ),
        (
            {"http_client_tls_root_ca_file": "/dev/null"},
            "failed to read TLS root CA file /dev/null - /dev/null: it is no usable PEM: "
            "there is no certificate in it",
        ),
    ],
)
def test_what_keeps_it_from_starting(given: dict[str, Any], reason: str | None) -> None:
    """The first thing that is wrong, in the original's words (nsqadmin section 1)."""
    assert start_error(options(**given)) == reason


def test_certificates_are_looked_at(tmp_path: Path) -> None:
    """A key of another certificate, or none at all, is found at the start."""
    mine = Authority("ours")
    mine.write(tmp_path, "a", "a")
    mine.write(tmp_path, "b", "b")
    pair = {"http_client_tls_cert": str(tmp_path / "a.pem")}
    assert start_error(options(**pair, http_client_tls_key=str(tmp_path / "a.key"))) is None
    missing = str(tmp_path / "c.key")
    reason = start_error(options(**pair, http_client_tls_key=missing)) or ""
    assert reason.startswith(f"failed to LoadX509KeyPair {tmp_path}/a.pem, {missing} - open ")
    reason = start_error(options(**pair, http_client_tls_key=str(tmp_path / "b.key"))) or ""
    assert reason.startswith("failed to LoadX509KeyPair ")


def test_hosts_are_to_be_known_at_the_start() -> None:
    """What the system has no address for is refused then."""
    assert unresolved(options(lookupd_http_address=["127.0.0.1:1", "[::1]:1"])) is None
    found = unresolved(options(lookupd_http_address=["nsq.invalid:1"]))
    assert found is not None
    assert found.startswith("failed to resolve --lookupd-http-address (nsq.invalid:1) - ")


def test_the_document_has_the_declaration() -> None:
    """Flag, key, default and meaning of each, in order."""
    text = (Path(__file__).parents[2] / "doc/nsqadmin.md").read_text(encoding="utf-8")
    _, found, rest = text.partition("\n| flag | key | default | meaning |\n|---|---|---|---|\n")
    assert found
    rows = []
    for each in declared(NsqadminOptions):
        default = each.kind.default_text(each.default).strip('"')
        if each.name == "log_level":
            default = each.default
        cells = [f"`--{each.flag}`", f"`{each.key}`" if each.key else ""]
        cells += [f"`{default}`" if each.default not in ("", []) else "", each.help]
        rows.append(f"| {' | '.join(cells)} |")
    assert rest.split("\n\n")[0].splitlines() == rows
