"""The options of nsq_tail."""

from __future__ import annotations

import secrets

import attrs

from nsqtx.kinds import BOOL, INT, STRING, STRINGS
from nsqtx.options import option
from nsqtx.tools.sources import CONSUMER_OPTIONS, ClientOption, client_error, source_error
from nsqtx.wire.names import valid_name

__all__ = ["NsqTailOptions", "start_error"]


@attrs.define
class NsqTailOptions:
    """All options."""

    version: bool = option(BOOL, False, "print the version and exit")
    topic: list[str] = option(STRINGS, (), "topic to show (may be given several times)")
    channel: str = option(
        STRING, "", "channel to consume; without it one that goes when nsq_tail ends"
    )
    max_in_flight: int = option(INT, 200, "messages that may be in flight, of each topic")
    n: int = option(INT, 0, "messages to show before the end; 0 for no end")
    print_topic: bool = option(BOOL, False, "show the topic before each message")
    nsqd_tcp_address: list[str] = option(
        STRINGS, (), "nsqd to consume from, host:port (may be given several times)"
    )
    lookupd_http_address: list[str] = option(
        STRINGS, (), "nsqlookupd to find nsqd by, host:port (may be given several times)"
    )
    consumer_opt: list[ClientOption] = option(
        CONSUMER_OPTIONS,
        (),
        "option of the client library, as name,value (may be given several times)",
    )

    def __attrs_post_init__(self) -> None:
        if not self.channel:
            self.channel = f"tail{secrets.randbelow(999_999):06d}#ephemeral"
        if 0 < self.n < self.max_in_flight:
            self.max_in_flight = self.n


def start_error(options: NsqTailOptions) -> str | None:
    """What keeps nsq_tail from starting with these options."""
    reason = source_error(options)
    if reason is not None:
        return reason
    if not options.topic:
        return "--topic required"
    if not all(map(valid_name, options.topic)):
        return "invalid topic name"
    if not valid_name(options.channel):
        return "invalid channel name"
    return client_error(options)
