"""The options of nsq: where its parts listen and keep their files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from nsqtx.kinds import BOOL, LOG_LEVEL, STRING, choice
from nsqtx.listen import address_text, split_address
from nsqtx.logs import FORMS
from nsqtx.nsqadmin import options as nsqadmin
from nsqtx.nsqadmin.options import NsqadminOptions
from nsqtx.nsqd import options as nsqd
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqlookupd import options as nsqlookupd
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.options import ConfigError, option, read_file

__all__ = ["NsqOptions", "Parts", "parts", "start_error"]

T = TypeVar("T")


@attrs.define
class NsqOptions:
    """All options. What else the parts can be told is in files of theirs."""

    version: bool = option(BOOL, False, "print the version and exit", key=None)
    config: str = option(STRING, "", "path of a TOML configuration file", key=None)
    log_level: str = option(LOG_LEVEL, "info", "log level: debug, info, warn, error or fatal")
    log_prefix: str = option(STRING, "[nsq] ", "prefix of log lines")
    log_format: str = option(
        choice(*FORMS), "text", "form of log lines: text, or json for one object a line"
    )

    data_path: str = option(
        STRING, "nsq.data", "directory of messages and metadata, made if there is none"
    )
    host: str = option(
        STRING, "127.0.0.1", "address that everything listens on, if no address below says else"
    )
    nsqd_tcp_address: str = option(STRING, "", "of nsqd, for clients (default port 4150)")
    nsqd_http_address: str = option(STRING, "", "of nsqd, for HTTP (default port 4151)")
    lookupd_tcp_address: str = option(STRING, "", "of nsqlookupd, for nsqd (default port 4160)")
    lookupd_http_address: str = option(STRING, "", "of nsqlookupd, for clients (default port 4161)")
    admin_http_address: str = option(STRING, "", "of nsqadmin, for browsers (default port 4171)")
    broadcast_address: str = option(
        STRING, "", "address by which others reach nsqd and nsqlookupd; -host unless given"
    )

    nsqd_config: str = option(STRING, "", "path of a TOML file with more options of nsqd")
    nsqlookupd_config: str = option(
        STRING, "", "path of a TOML file with more options of nsqlookupd"
    )
    nsqadmin_config: str = option(STRING, "", "path of a TOML file with more options of nsqadmin")


@attrs.frozen
class Parts:
    """The options of each part. Those of who is to be asked are filled in when that listens."""

    nsqlookupd: NsqlookupdOptions
    nsqd: NsqdOptions
    nsqadmin: NsqadminOptions


def parts(options: NsqOptions) -> Parts:
    """What the options mean for each part.

    :raises ConfigError: a file of theirs cannot be used.
    """
    host = options.host
    lookupd_http_address = options.lookupd_http_address or address_text(host, 4161)
    reached_by = options.broadcast_address or host
    logs = {"log_level": options.log_level, "log_format": options.log_format}
    return Parts(
        _made(
            NsqlookupdOptions,
            options.nsqlookupd_config,
            logs,
            tcp_address=options.lookupd_tcp_address or address_text(host, 4160),
            http_address=lookupd_http_address,
            broadcast_address=reached_by,
        ),
        _made(
            NsqdOptions,
            options.nsqd_config,
            logs,
            tcp_address=options.nsqd_tcp_address or address_text(host, 4150),
            http_address=options.nsqd_http_address or address_text(host, 4151),
            https_address=address_text(host, 4152),
            broadcast_address=reached_by,
            data_path=options.data_path,
        ),
        _made(
            NsqadminOptions,
            options.nsqadmin_config,
            logs,
            http_address=options.admin_http_address or address_text(host, 4171),
            # Of nsqlookupd, which is not there yet: some address has to be said.
            lookupd_http_address=[lookupd_http_address],
        ),
    )


def _made(cls: type[T], path: str, logs: dict[str, str], **own: Any) -> T:
    """Our own settings before those of the file before the defaults."""
    file = read_file(cls, path) if path else {}
    return cls(**{**file, **logs, **own})


def start_error(options: NsqOptions) -> str | None:
    """What keeps nsq from starting with these options."""
    if not options.host:
        return "--host must not be empty"
    for name in (
        "nsqd_tcp_address",
        "nsqd_http_address",
        "lookupd_tcp_address",
        "lookupd_http_address",
        "admin_http_address",
    ):
        value = getattr(options, name)
        if value and split_address(value) is None:
            return f"--{name.replace('_', '-')}: {value} is not host:port"
    try:
        found = parts(options)
    except ConfigError as error:
        return str(error)
    checks: list[tuple[str, Callable[[Any], str | None], Any]] = [
        ("nsqlookupd", nsqlookupd.start_error, found.nsqlookupd),
        ("nsqd", nsqd.start_error, found.nsqd),
        ("nsqadmin", nsqadmin.start_error, found.nsqadmin),
    ]
    for name, check, given in checks:
        reason = check(given)
        if reason is not None:
            return f"{name}: {reason}"
    return None
