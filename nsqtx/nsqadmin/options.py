"""The options of nsqadmin: every one of the original's (nsqadmin section 2), and ours."""

from __future__ import annotations

import ipaddress
import posixpath
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import attrs

from nsqtx.durations import SECOND
from nsqtx.kinds import BOOL, DURATION, INT, LOG_LEVEL, STRING, STRINGS, choice
from nsqtx.listen import split_address
from nsqtx.logs import FORMS
from nsqtx.nsqadmin.loginfile import LoginFileError, read_login_file
from nsqtx.options import option

__all__ = ["CHANGEABLE", "NsqadminOptions", "normal_base_path", "start_error", "unresolved"]


@attrs.define
class NsqadminOptions:
    """All options. Durations in ns."""

    version: bool = option(BOOL, False, "print the version and exit", key=None)
    config: str = option(STRING, "", "path of a TOML configuration file", key=None)
    log_level: str = option(LOG_LEVEL, "info", "log level: debug, info, warn, error or fatal")
    log_prefix: str = option(STRING, "[nsqadmin] ", "prefix of log lines")
    log_format: str = option(
        choice(*FORMS), "text", "form of log lines: text, or json for one object a line"
    )
    verbose: bool = option(BOOL, False, "has no effect (use -log-level)", key=None)

    http_address: str = option(STRING, "0.0.0.0:4171", "address for HTTP clients")
    base_path: str = option(STRING, "/", "path that everything is under")
    dev_static_dir: str = option(
        STRING, "", "directory whose files are served in place of those of the installation"
    )
    lookupd_http_address: list[str] = option(
        STRINGS,
        [],
        "HTTP address of a nsqlookupd (may be given several times)",
        key="nsqlookupd_http_addresses",
    )
    nsqd_http_address: list[str] = option(
        STRINGS,
        [],
        "HTTP address of an nsqd, where there is no nsqlookupd (may be given several times)",
        key="nsqd_http_addresses",
    )

    graphite_url: str = option(STRING, "", "URL of graphite, for charts of long times")
    proxy_graphite: bool = option(BOOL, False, "hand requests for /render on to graphite")
    statsd_counter_format: str = option(
        STRING, "stats.counters.%s.count", "what statsd makes of the name of a counter"
    )
    statsd_gauge_format: str = option(
        STRING, "stats.gauges.%s", "what statsd makes of the name of a gauge"
    )
    statsd_prefix: str = option(
        STRING, "nsq.%s", "prefix of names, as nsqd has it (%s: the host of the nsqd)"
    )
    statsd_interval: int = option(
        DURATION, 60 * SECOND, "time between two pushes to statsd, as nsqd has it"
    )

    notification_http_endpoint: str = option(
        STRING, "", "URL that is told of each action, by a POST of JSON"
    )
    http_client_connect_timeout: int = option(
        DURATION, 2 * SECOND, "to connect to nsqlookupd, nsqd and others"
    )
    http_client_request_timeout: int = option(
        DURATION, 5 * SECOND, "for a request to nsqlookupd, nsqd and others"
    )
    http_client_tls_insecure_skip_verify: bool = option(
        BOOL, False, "take any certificate that an nsqd shows by HTTPS"
    )
    http_client_tls_root_ca_file: str = option(
        STRING, "", "file with the certificates of who is trusted with HTTPS"
    )
    http_client_tls_cert: str = option(STRING, "", "file with our certificate for HTTPS")
    http_client_tls_key: str = option(STRING, "", "file with its key")

    allow_config_from_cidr: str = option(
        STRING, "127.0.0.1/8", "network whose hosts may use /config; empty: all may"
    )
    acl_http_header: str = option(
        STRING, "X-Forwarded-User", "header in which a proxy says who the user is"
    )
    admin_user: list[str] = option(
        STRINGS,
        [],
        "user who may change things; all may if there is none (may be given several times)",
        key="admin_users",
    )

    login_file: str = option(
        STRING, "", "TOML file of users and tokens; without it nobody has to log in"
    )
    poll_interval: int = option(
        DURATION, 5 * SECOND, "time between two looks at the cluster, for all pages together"
    )
    max_browsers: int = option(INT, 200, "pages that may be kept up to date at the same time")


#: What may change while nsqadmin runs.
CHANGEABLE = frozenset({"log_level", "lookupd_http_address"})


def normal_base_path(path: str) -> str:
    """The path with a slash at its start, none at its end, and nothing roundabout in it."""
    return "/" + posixpath.normpath("/" + path).strip("/")


def start_error(options: NsqadminOptions) -> str | None:
    """What keeps nsqadmin from starting with these options (nsqadmin section 1)."""
    lookupds, nsqds = options.lookupd_http_address, options.nsqd_http_address
    if not lookupds and not nsqds:
        return "--nsqd-http-address or --lookupd-http-address required"
    if lookupds and nsqds:
        return "use --nsqd-http-address or --lookupd-http-address not both"
    cert, key = options.http_client_tls_cert, options.http_client_tls_key
    if cert and not key:
        return "--http-client-tls-key must be specified with --http-client-tls-cert"
    if key and not cert:
        return "--http-client-tls-cert must be specified with --http-client-tls-key"
    reason = _bad_tls(options)
    if reason:
        return reason
    reason = _first_wrong(options, _no_address)
    if reason:
        return reason
    if options.proxy_graphite and not _is_url(options.graphite_url):
        return f"failed to parse --graphite-url ({options.graphite_url}) - it is no URL"
    if options.poll_interval < SECOND:
        return "--poll-interval must be a second at least"
    if options.login_file:
        try:
            read_login_file(options.login_file)
        except LoginFileError as error:
            return f"failed to read --login-file {error}"
    network = options.allow_config_from_cidr
    if network:
        try:
            if "/" not in network:
                raise ValueError(f"invalid CIDR address: {network}")
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            return f"failed to parse --allow-config-from-cidr ({network}) - {error}"
    return None


def _bad_tls(options: NsqadminOptions) -> str | None:
    """What is wrong with the files for TLS."""
    cert, key = options.http_client_tls_cert, options.http_client_tls_key
    root_ca = options.http_client_tls_root_ca_file
    if not cert and not root_ca:
        return None
    # Not at the top: it takes Twisted along, which `--version` need not wait for.
    from nsqtx.clienttls import ClientTls
    from nsqtx.tls import TlsError

    try:
        ClientTls(cert=cert, key=key).options("localhost")
    except TlsError as error:
        return f"failed to LoadX509KeyPair {cert}, {key} - {error}"
    try:
        ClientTls(root_ca=root_ca).options("localhost")
    except TlsError as error:
        return f"failed to read TLS root CA file {root_ca} - {error}"
    return None


def unresolved(options: NsqadminOptions) -> str | None:
    """Which address of a daemon has no host that is known. Asks the system, which may take a while.

    Only at the start: later a host may come and go.
    """
    return _first_wrong(options, _unknown_host)


def _first_wrong(options: NsqadminOptions, wrong: Callable[[str], str | None]) -> str | None:
    places = (("lookupd", options.lookupd_http_address), ("nsqd", options.nsqd_http_address))
    for flag, addresses in places:
        for address in addresses:
            reason = wrong(address)
            if reason:
                return f"failed to resolve --{flag}-http-address ({address}) - {reason}"
    return None


def _no_address(address: str) -> str | None:
    """Why this is no address of a daemon: ``host:port``, or a URL."""
    if "://" in address:
        return None if _is_url(address) else "it is no URL of http or https"
    pair = split_address(address)
    if pair is None or not pair[1]:
        return f"address {address}: missing port in address"
    if not pair[1].isdigit() or int(pair[1]) > 65535:
        return f"address tcp/{pair[1]}: unknown port"
    return None


def _unknown_host(address: str) -> str | None:
    host = urlsplit(address if "://" in address else f"//{address}").hostname
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return str(error.strerror or error).lower()
    return None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
