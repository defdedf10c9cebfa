"""The API of nsqadmin, described: an `Operation` for each route that is no page."""

from __future__ import annotations

import attrs

from nsqtx.cluster.actions import ACTIONS
from nsqtx.nsqadmin.options import NsqadminOptions
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
from nsqtx.web.operations import CHANNEL, NAME, OK, TOPIC

__all__ = ["OPERATIONS", "PAGES"]

#: What browsers ask for; not described.
PAGES = (
    *("/", "/topics", "/topics/<topic>", "/topics/<topic>/<channel>", "/nodes", "/nodes/<node>"),
    *("/counter", "/lookup", "/peek", "/action", "/login", "/logout", "/theme", "/events"),
    *("/static/<name>", "/fonts/<name>", "/render"),
)

_NODE = Parameter("node", "Host and HTTP port of an nsqd.", TEXT, example="10.0.0.5:4151")
_MESSAGE = record(message=TEXT)
_ROLE = {403: ("FORBIDDEN",)}

_LATENCY = record(count=WHOLE, percentiles=nullable(list_of(record(quantile=NUMBER, value=NUMBER))))
_CLIENT = record(
    node=TEXT,
    remote_address=TEXT,
    client_id=TEXT,
    hostname=TEXT,
    user_agent=TEXT,
    connect_ts=WHOLE,
    connected=WHOLE,
    in_flight_count=WHOLE,
    ready_count=WHOLE,
    finish_count=WHOLE,
    requeue_count=WHOLE,
    message_count=WHOLE,
)
_COUNTS = {
    "node": TEXT,
    "hostname": TEXT,
    "topic_name": TEXT,
    "depth": WHOLE,
    "memory_depth": WHOLE,
    "backend_depth": WHOLE,
    "message_count": WHOLE,
    "nodes": nullable(list_of({"type": "object"})),
    "paused": FLAG,
    "e2e_processing_latency": _LATENCY,
}
_CHANNEL = record(
    **_COUNTS,
    channel_name=TEXT,
    in_flight_count=WHOLE,
    deferred_count=WHOLE,
    requeue_count=WHOLE,
    timeout_count=WHOLE,
    client_count=WHOLE,
    clients=nullable(list_of(_CLIENT)),
)
_TOPIC = record(**_COUNTS, channels=nullable(list_of(_CHANNEL)))
_NODES = list_of(
    record(
        remote_addresses=nullable(list_of(TEXT)),
        remote_address=TEXT,
        hostname=TEXT,
        broadcast_address=TEXT,
        tcp_port=WHOLE,
        http_port=WHOLE,
        version=TEXT,
        topics=nullable(list_of(record(topic=TEXT, tombstoned=FLAG))),
        out_of_date=FLAG,
    )
)
_COUNTER: Schema = {
    "type": "object",
    "additionalProperties": record(
        node=TEXT, topic_name=TEXT, channel_name=TEXT, message_count=WHOLE
    ),
}


def _with_message(schema: Schema) -> Schema:
    """An object that also says who did not answer."""
    return {"allOf": [schema, _MESSAGE]}


def _read(path: str, summary: str, answer: Schema, *parameters: Parameter) -> Operation:
    return Operation(
        "GET",
        path,
        summary,
        parameters,
        answer={JSON: _with_message(answer)},
        reasons=(502,),
        tag="reading",
    )


def _act(
    method: str, path: str, summary: str, *parameters: Parameter, body: Schema | None = None
) -> Operation:
    return Operation(
        method,
        path,
        summary,
        parameters,
        body={} if body is None else {JSON: body},
        answer={JSON: _MESSAGE},
        errors=_ROLE if body is None else {**_ROLE, 413: ("BODY_TOO_BIG", "INVALID_BODY")},
        reasons=(502,) if body is None else (400, 502),
        tag="changing",
    )


_ACTION = record(action={"type": "string", "enum": sorted(ACTIONS)})
_KEYS = sorted(each.key for each in declared(NsqadminOptions) if each.key)
_CONFIG_ERRORS = {400: ("INVALID_OPTION", "INVALID_VALUE", "INVALID_REMOTE_ADDR"), **_ROLE}
_VALUE = {JSON: {}, "text/plain": TEXT}

OPERATIONS: list[Operation] = [
    Operation("GET", "/ping", "OK, always.", answer=OK, tag="watching"),
    attrs.evolve(
        _read(
            "/api/topics",
            "The topics; with inactive=true those that only nsqlookupd know, with their channels.",
            record(
                topics=nullable(
                    {
                        "anyOf": [
                            list_of(TEXT),
                            {
                                "type": "object",
                                "additionalProperties": nullable(list_of(TEXT)),
                            },
                        ]
                    }
                )
            ),
            Parameter("inactive", "true: those.", TEXT, example="true"),
        ),
        reasons=(400, 502),
    ),
    _read("/api/topics/<topic>", "A topic: all nodes added up, and each.", _TOPIC, TOPIC),
    attrs.evolve(
        _read(
            "/api/topics/<topic>/<channel>",
            "A channel: all nodes added up, and each.",
            _CHANNEL,
            TOPIC,
            CHANNEL,
        ),
        errors={500: ("INTERNAL_ERROR",)},
    ),
    _read("/api/nodes", "The nsqd.", record(nodes=nullable(_NODES))),
    attrs.evolve(
        _read(
            "/api/nodes/<node>",
            "Everything on one nsqd.",
            record(
                node=TEXT,
                topics=nullable(list_of(_TOPIC)),
                total_messages=WHOLE,
                total_clients=WHOLE,
            ),
            _NODE,
        ),
        errors={404: ("NODE_NOT_FOUND",)},
    ),
    _read("/api/counter", "Messages of each channel on each node.", record(stats=_COUNTER)),
    Operation(
        "GET",
        "/api/graphite",
        "The last figure of a series, by the second.",
        (
            Parameter("metric", "rate.", {"type": "string", "enum": ["rate"]}, required=True),
            Parameter("target", "The series.", TEXT, required=True, example="stats.x"),
        ),
        answer={JSON: record(rate=TEXT)},
        errors={
            400: ("INVALID_REQUEST", "INVALID_ARG_METRIC", "INVALID_ARG_TARGET"),
            500: ("INTERNAL_ERROR",),
        },
        tag="reading",
    ),
    _act(
        "POST",
        "/api/topics",
        "Create a topic, and a channel of it.",
        body=record({"channel": {"anyOf": [NAME, {"const": ""}]}}, topic=NAME),
    ),
    _act("POST", "/api/topics/<topic>", "Pause, unpause or empty a topic.", TOPIC, body=_ACTION),
    _act(
        "POST",
        "/api/topics/<topic>/<channel>",
        "Pause, unpause or empty a channel.",
        TOPIC,
        CHANNEL,
        body=_ACTION,
    ),
    _act("DELETE", "/api/topics/<topic>", "Delete a topic.", TOPIC),
    _act("DELETE", "/api/topics/<topic>/<channel>", "Delete a channel.", TOPIC, CHANNEL),
    _act(
        "DELETE",
        "/api/nodes/<node>",
        "Tombstone: hide an nsqd from a topic.",
        _NODE,
        body=record(topic=NAME),
    ),
    Operation(
        "GET",
        "/config/<option>",
        "An option, by its key in the configuration file.",
        (Parameter("option", "The key.", {"type": "string", "enum": _KEYS}),),
        answer=_VALUE,
        errors=_CONFIG_ERRORS,
        tag="node",
    ),
    Operation(
        "PUT",
        "/config/<option>",
        "Change an option until the next start.",
        (
            Parameter(
                "option",
                "The key.",
                {"type": "string", "enum": ["log_level", "nsqlookupd_http_addresses"]},
            ),
        ),
        body={BYTES: {"type": "string", "format": "binary", "minLength": 1}},
        answer=_VALUE,
        errors={**_CONFIG_ERRORS, 413: ("INVALID_VALUE",)},
        tag="node",
    ),
]
