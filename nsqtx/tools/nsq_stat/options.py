"""The options of nsq_stat."""

from __future__ import annotations

import attrs

from nsqtx.durations import SECOND
from nsqtx.kinds import BOOL, DURATION, INT, STRING, STRINGS
from nsqtx.options import option

__all__ = ["NsqStatOptions", "start_error"]

_COUNT = attrs.evolve(INT, noun="value")


@attrs.define
class NsqStatOptions:
    """All options. Durations in ns."""

    version: bool = option(BOOL, False, "print the version and exit")
    topic: str = option(STRING, "", "topic of the channel")
    channel: str = option(STRING, "", "channel to report on")
    interval: int = option(DURATION, 2 * SECOND, "time between reports")
    count: int | None = option(_COUNT, None, "number of reports; without it there is no end")
    http_client_connect_timeout: int = option(
        DURATION, 2 * SECOND, "time that a connection may take"
    )
    http_client_request_timeout: int = option(DURATION, 5 * SECOND, "time that an answer may take")
    nsqd_http_address: list[str] = option(
        STRINGS, (), "nsqd to ask, host:port (may be given several times)"
    )
    lookupd_http_address: list[str] = option(
        STRINGS, (), "nsqlookupd to find nsqd by, host:port (may be given several times)"
    )


def start_error(options: NsqStatOptions) -> str | None:
    """What keeps nsq_stat from starting with these options."""
    if not options.topic or not options.channel:
        return "--topic and --channel are required"
    for name in ("interval", "http_client_connect_timeout", "http_client_request_timeout"):
        if getattr(options, name) <= 0:
            return f"--{name.replace('_', '-')} should be positive"
    if options.count is not None and options.count <= 0:
        return "--count should be positive"
    if not options.nsqd_http_address and not options.lookupd_http_address:
        return "--nsqd-http-address or --lookupd-http-address required"
    if options.nsqd_http_address and options.lookupd_http_address:
        return "use --nsqd-http-address or --lookupd-http-address not both"
    for name in ("nsqd_http_address", "lookupd_http_address"):
        if any("://" in address for address in getattr(options, name)):
            flag = name.replace("_", "-")
            return f"--{flag} error - address should not contain scheme"
    return None
