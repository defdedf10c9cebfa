"""The HTTP API of nsqd, described: an `Operation` for each route of `nsqtx.nsqd.http`."""

from __future__ import annotations

import attrs

from nsqtx.broker.dead_letters import MAX_ATTEMPTS
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.peek import MAX_BODY_BYTES, MAX_LIMIT
from nsqtx.options import declared
from nsqtx.web.openapi import (
    BYTES,
    FLAG,
    JSON,
    NUMBER,
    TEXT,
    WHOLE,
    Operation,
    Parameter,
    Schema,
    list_of,
    nullable,
    record,
)
from nsqtx.web.operations import (
    CHANNEL,
    METRICS,
    NAME,
    NO_CHANNEL,
    NO_TOPIC,
    OK,
    TOPIC,
    pprof_operations,
)

__all__ = ["OPERATIONS", "SETTABLE"]

#: What ``PUT /config`` takes.
SETTABLE = ("log_level", "nsqlookupd_tcp_addresses", "drain")

_BODY: Schema = {"type": "string", "format": "binary", "minLength": 1}
_LIMIT_ERRORS = ("INVALID_ARG_MAX_ATTEMPTS", "INVALID_ARG_DEAD_LETTER_TOPIC", "DEAD_LETTER_LOOP")
_GONE = {404: ("TOPIC_NOT_FOUND", "CHANNEL_NOT_FOUND")}
_STOPPING = {503: ("EXITING",)}

_DEFER = Parameter(
    "defer",
    "Deliver it so many ms later; at most --max-req-timeout.",
    {"type": "integer", "minimum": 0, "maximum": 3_600_000},
    example=1000,
)
_BINARY = Parameter(
    "binary",
    "true: a 4-byte count, then each message after its 4-byte size. Else a message a line.",
    TEXT,
)
_MAX_ATTEMPTS = Parameter(
    "max_attempts",
    "Deliveries after which a message goes to the dead-letter topic; 0: never.",
    {"type": "integer", "minimum": 0, "maximum": MAX_ATTEMPTS},
    example=5,
)
_DEAD_LETTER_TOPIC = Parameter("dead_letter_topic", "Where it goes.", NAME)


def _flag(name: str, meaning: str) -> Parameter:
    """A parameter that is true or false; what is neither is not refused."""
    return Parameter(name, meaning, TEXT, example="true")


_COUNTED = record(count=WHOLE, percentiles=nullable(list_of(record(quantile=NUMBER, value=WHOLE))))
_CLIENT = record(
    {"pub_counts": nullable(list_of(record(topic=TEXT, count=WHOLE)))},
    client_id=TEXT,
    hostname=TEXT,
    remote_address=TEXT,
    user_agent=TEXT,
    connect_ts=WHOLE,
)
_CHANNEL_STATS = record(
    {"max_attempts": WHOLE, "dead_letter_topic": TEXT, "dead_letter_count": WHOLE},
    channel_name=TEXT,
    depth=WHOLE,
    backend_depth=WHOLE,
    in_flight_count=WHOLE,
    deferred_count=WHOLE,
    message_count=WHOLE,
    requeue_count=WHOLE,
    timeout_count=WHOLE,
    client_count=WHOLE,
    clients=nullable(list_of(_CLIENT)),
    paused=FLAG,
    e2e_processing_latency=_COUNTED,
)
_TOPIC_STATS = record(
    topic_name=TEXT,
    channels=list_of(_CHANNEL_STATS),
    depth=WHOLE,
    backend_depth=WHOLE,
    message_count=WHOLE,
    message_bytes=WHOLE,
    paused=FLAG,
    e2e_processing_latency=_COUNTED,
)
_STATS = record(
    {"memory": {"type": "object", "additionalProperties": WHOLE}},
    version=TEXT,
    health=TEXT,
    start_time=WHOLE,
    topics=nullable(list_of(_TOPIC_STATS)),
    producers=nullable(list_of(_CLIENT)),
)
_INFO = record(
    version=TEXT,
    broadcast_address=TEXT,
    hostname=TEXT,
    http_port=WHOLE,
    tcp_port=WHOLE,
    start_time=WHOLE,
    max_heartbeat_interval=WHOLE,
    max_output_buffer_size=WHOLE,
    max_output_buffer_timeout=WHOLE,
    max_deflate_level=WHOLE,
    topology_zone=TEXT,
    topology_region=TEXT,
)
_MESSAGES = record(
    messages=list_of(
        record(
            {
                "due": WHOLE,
                "deadline": WHOLE,
                "client": nullable(
                    record(
                        client_id=nullable(TEXT),
                        hostname=nullable(TEXT),
                        remote_address=nullable(TEXT),
                    )
                ),
            },
            id=TEXT,
            timestamp=WHOLE,
            age=WHOLE,
            attempts=WHOLE,
            size=WHOLE,
            base64=FLAG,
            body=TEXT,
        )
    )
)


def _publish(path: str, summary: str, parameter: Parameter, *too_big: str) -> Operation:
    return Operation(
        "POST",
        path,
        summary,
        (TOPIC, parameter),
        body={BYTES: _BODY},
        answer=OK,
        errors={
            400: (*NO_TOPIC, "INVALID_TOPIC", "MSG_EMPTY", "INVALID_DEFER"),
            413: too_big,
            500: ("INTERNAL_ERROR",),
            503: ("EXITING", "DRAINING"),
        },
        tag="publishing",
    )


def _of_topic(path: str, summary: str) -> Operation:
    return Operation(
        "POST",
        path,
        summary,
        (TOPIC,),
        errors={400: (*NO_TOPIC, "INVALID_TOPIC"), 404: ("TOPIC_NOT_FOUND",)},
        tag="topics",
    )


def _of_channel(path: str, summary: str) -> Operation:
    return Operation(
        "POST",
        path,
        summary,
        (TOPIC, CHANNEL),
        errors={400: NO_CHANNEL, **_GONE},
        tag="channels",
    )


def _peek(path: str, summary: str, *parameters: Parameter) -> Operation:
    in_flight = ["inflight"] if CHANNEL in parameters else []
    state: Schema = {"type": "string", "enum": ["ready", "deferred", *in_flight]}
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
    shown: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_BODY_BYTES}
    return Operation(
        "GET",
        path,
        summary,
        (
            *parameters,
            Parameter("state", "What they wait for.", state, example="ready"),
            Parameter("limit", "How many are shown.", limit),
            Parameter("bytes", "How much of a body is shown.", shown),
        ),
        answer={JSON: _MESSAGES},
        errors={
            400: (*NO_CHANNEL, "INVALID_ARG_STATE", "INVALID_ARG_LIMIT", "INVALID_ARG_BYTES"),
            500: ("INTERNAL_ERROR",),
            **_GONE,
        },
        tag="watching",
    )


_KEYS = sorted({each.key for each in declared(NsqdOptions) if each.key} | {"drain"})
_VALUE = {JSON: {}, "text/plain": TEXT}

OPERATIONS: list[Operation] = [
    _publish("/pub", "Publish a message: the body.", _DEFER, "MSG_TOO_BIG"),
    _publish("/put", "As /pub, by its name of old.", _DEFER, "MSG_TOO_BIG"),
    _publish(
        "/mpub",
        "Publish several messages, all or none.",
        _BINARY,
        *("BODY_TOO_BIG", "MSG_TOO_BIG", "BAD_BODY", "BAD_MESSAGE"),
    ),
    _publish(
        "/mput",
        "As /mpub, by its name of old.",
        _BINARY,
        *("BODY_TOO_BIG", "MSG_TOO_BIG", "BAD_BODY", "BAD_MESSAGE"),
    ),
    Operation(
        "POST",
        "/topic/create",
        "Make a topic, if there is none of that name.",
        (TOPIC,),
        errors={400: (*NO_TOPIC, "INVALID_TOPIC"), **_STOPPING},
        tag="topics",
    ),
    _of_topic("/topic/delete", "Delete a topic with its channels and all messages."),
    _of_topic("/topic/empty", "Drop what waits in the topic; channels keep theirs."),
    _of_topic("/topic/pause", "Hand nothing on to the channels."),
    _of_topic("/topic/unpause", "Hand on again."),
    Operation(
        "POST",
        "/channel/create",
        "Make a channel of a topic, if there is none of that name.",
        (TOPIC, CHANNEL, _MAX_ATTEMPTS, _DEAD_LETTER_TOPIC),
        errors={
            400: (*NO_CHANNEL, *_LIMIT_ERRORS),
            404: ("TOPIC_NOT_FOUND",),
            **_STOPPING,
        },
        tag="channels",
    ),
    _of_channel("/channel/delete", "Delete a channel with its messages."),
    _of_channel("/channel/empty", "Drop every message of a channel."),
    _of_channel("/channel/pause", "Send nothing new to the consumers."),
    _of_channel("/channel/unpause", "Send again."),
    Operation(
        "POST",
        "/channel/dead_letter",
        "Limit how often a message is delivered.",
        (TOPIC, CHANNEL, attrs.evolve(_MAX_ATTEMPTS, required=True), _DEAD_LETTER_TOPIC),
        answer={JSON: record(max_attempts=WHOLE, dead_letter_topic=TEXT)},
        errors={400: (*NO_CHANNEL, "MISSING_ARG_MAX_ATTEMPTS", *_LIMIT_ERRORS), **_GONE},
        tag="channels",
    ),
    Operation(
        "POST",
        "/channel/redrive",
        "Bring dead letters back to their channel.",
        (
            TOPIC,
            CHANNEL,
            Parameter(
                "limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
            ),
        ),
        answer={JSON: record(count=WHOLE)},
        errors={
            400: (*NO_CHANNEL, "INVALID_ARG_LIMIT"),
            409: ("REDRIVE_IN_PROGRESS",),
            **_GONE,
            **_STOPPING,
        },
        tag="channels",
    ),
    _peek("/channel/peek", "Messages of a channel, untouched.", TOPIC, CHANNEL),
    _peek("/topic/peek", "Messages that no channel has yet, untouched.", TOPIC),
    Operation(
        "GET",
        "/stats",
        "Topics, channels, clients; JSON with format=json, else a text for people.",
        (
            Parameter("format", "json, or anything else for text.", TEXT, example="json"),
            Parameter("topic", "Only this one.", TEXT),
            Parameter("channel", "Only channels of this name.", TEXT),
            _flag("include_clients", "false leaves clients out."),
            _flag("include_mem", "false leaves figures of the memory out."),
        ),
        answer={JSON: _STATS, "text/plain": TEXT},
        errors={400: ("INVALID_REQUEST",)},
        tag="watching",
    ),
    Operation(
        "GET",
        "/ping",
        "OK as long as publishes are taken; else 500 and why.",
        answer=OK,
        refusal=(500,),
        tag="watching",
    ),
    Operation(
        "GET",
        "/info",
        "Who and where this nsqd is; durations in ns.",
        answer={JSON: _INFO},
        tag="node",
    ),
    Operation(
        "GET",
        "/config/<option>",
        "An option, by its key in the configuration file.",
        (Parameter("option", "The key.", {"type": "string", "enum": _KEYS}),),
        answer=_VALUE,
        errors={400: ("INVALID_OPTION",)},
        tag="node",
    ),
    Operation(
        "PUT",
        "/config/<option>",
        "Change an option until the next start, or begin or end to drain.",
        (Parameter("option", "The key.", {"type": "string", "enum": list(SETTABLE)}),),
        body={BYTES: _BODY},
        answer=_VALUE,
        errors={
            400: ("INVALID_OPTION", "INVALID_VALUE"),
            413: ("INVALID_VALUE",),
            500: ("INTERNAL_ERROR",),
        },
        tag="node",
    ),
    METRICS,
    *pprof_operations("/debug/pprof/"),
    Operation(
        "PUT",
        "/debug/setblockrate",
        "Nothing: Python counts no waiting for locks.",
        (Parameter("rate", "A number.", WHOLE, required=True, example=1),),
        refusal=(400,),
        tag="debugging",
    ),
    Operation(
        "POST",
        "/debug/freememory",
        "Collect garbage and give free memory back to the system.",
        tag="debugging",
    ),
]
