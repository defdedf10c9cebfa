"""The options of nsqlookupd: every one of the original's (nsqlookupd section 2), and ours."""

from __future__ import annotations

import socket

import attrs

from nsqtx.durations import MINUTE, SECOND
from nsqtx.kinds import BOOL, DURATION, INT, LOG_LEVEL, STRING, choice
from nsqtx.logs import FORMS
from nsqtx.options import option

__all__ = ["NsqlookupdOptions", "start_error"]


@attrs.define
class NsqlookupdOptions:
    """All options. Durations in ns."""

    version: bool = option(BOOL, False, "print the version and exit", key=None)
    config: str = option(STRING, "", "path of a TOML configuration file", key=None)
    log_level: str = option(LOG_LEVEL, "info", "log level: debug, info, warn, error or fatal")
    log_prefix: str = option(STRING, "[nsqlookupd] ", "prefix of log lines")
    log_format: str = option(
        choice(*FORMS), "text", "form of log lines: text, or json for one object a line"
    )
    verbose: bool = option(BOOL, False, "has no effect (use -log-level)", key=None)

    tcp_address: str = option(STRING, "0.0.0.0:4160", "address for nsqd to connect to")
    http_address: str = option(STRING, "0.0.0.0:4161", "address for HTTP clients")
    broadcast_address: str = option(
        STRING,
        socket.gethostname,
        "address that nsqd is told to ask; the host name unless given",
        factory=True,
    )

    inactive_producer_timeout: int = option(
        DURATION, 5 * MINUTE, "time after its last PING at which an nsqd is hidden"
    )
    tombstone_lifetime: int = option(
        DURATION, 45 * SECOND, "time for which a tombstone hides an nsqd from a topic"
    )

    max_registrations: int = option(
        INT, 250_000, "topics and channels that one nsqd may register, taken together"
    )
    max_names: int = option(INT, 1_000_000, "topics and channels there may be, taken together")
    max_waiting: int = option(INT, 10_000, "requests that may wait for news at the same time")


def start_error(options: NsqlookupdOptions) -> str | None:
    """What keeps nsqlookupd from starting with these options."""
    for name in ("max_registrations", "max_names"):
        if getattr(options, name) < 1:
            return f"--{name.replace('_', '-')} must be positive"
    if options.max_waiting < 0:
        return "--max-waiting must not be negative"
    return None
