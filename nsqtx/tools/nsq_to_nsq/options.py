"""The options of nsq_to_nsq."""

from __future__ import annotations

import attrs

from nsqtx.client.addresses import valid_address
from nsqtx.kinds import BOOL, INT, STRING, STRINGS
from nsqtx.options import option
from nsqtx.tools.destinations import PRODUCER_OPTIONS, writer_config
from nsqtx.tools.sources import CONSUMER_OPTIONS, ClientOption, client_error, source_error
from nsqtx.wire.names import valid_name

__all__ = ["NsqToNsqOptions", "start_error"]


@attrs.define
class NsqToNsqOptions:
    """All options."""

    version: bool = option(BOOL, False, "print the version and exit")
    topic: list[str] = option(STRINGS, (), "topic to consume (may be given several times)")
    channel: str = option(STRING, "nsq_to_nsq", "channel to consume, of every topic")
    destination_topic: str = option(
        STRING, "", "topic to publish to; without it the one that a message comes from"
    )
    max_in_flight: int = option(INT, 200, "messages that may be in flight, of each topic")
    mode: str = option(
        STRING, "hostpool", "which nsqd gets a message: round-robin, hostpool or epsilon-greedy"
    )
    status_every: int = option(
        INT, 250, "messages between two log lines about how long they took; 0 for none"
    )
    require_json_field: str = option(
        STRING, "", "publish only messages that are JSON objects with this field"
    )
    require_json_value: str = option(STRING, "", "and only if the field has this value")
    whitelist_json_field: list[str] = option(
        STRINGS, (), "publish only these fields of JSON objects (may be given several times)"
    )
    nsqd_tcp_address: list[str] = option(
        STRINGS, (), "nsqd to consume from, host:port (may be given several times)"
    )
    lookupd_http_address: list[str] = option(
        STRINGS, (), "nsqlookupd to find nsqd by, host:port (may be given several times)"
    )
    destination_nsqd_tcp_address: list[str] = option(
        STRINGS, (), "nsqd to publish to, host:port (may be given several times)"
    )
    consumer_opt: list[ClientOption] = option(
        CONSUMER_OPTIONS,
        (),
        "option of the client library for consuming, as name,value (may be given several times)",
    )
    producer_opt: list[ClientOption] = option(
        PRODUCER_OPTIONS,
        (),
        "option of the client library for publishing, as name,value (may be given several times)",
    )


def start_error(options: NsqToNsqOptions) -> str | None:
    """What keeps nsq_to_nsq from starting with these options."""
    if not options.topic or not options.channel:
        return "--topic and --channel are required"
    if not all(map(valid_name, options.topic)):
        return "--topic is invalid"
    if options.destination_topic and not valid_name(options.destination_topic):
        return "--destination-topic is invalid"
    if not valid_name(options.channel):
        return "--channel is invalid"
    reason = source_error(options)
    if reason is not None:
        return reason
    if not options.destination_nsqd_tcp_address:
        return "--destination-nsqd-tcp-address required"
    try:
        for address in options.destination_nsqd_tcp_address:
            valid_address(address)
        writer_config(options.producer_opt, "nsq_to_nsq")
    except ValueError as error:
        return f"failed creating producer {error}"
    return client_error(options)
