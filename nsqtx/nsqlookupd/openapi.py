"""The HTTP API of nsqlookupd, described: an `Operation` for each of its routes."""

from __future__ import annotations

from nsqtx.web.openapi import FLAG, JSON, TEXT, WHOLE, Operation, Parameter, list_of, record
from nsqtx.web.operations import (
    CHANNEL,
    METRICS,
    NO_CHANNEL,
    NO_TOPIC,
    OK,
    TOPIC,
    pprof_operations,
)

__all__ = ["OPERATIONS"]

_FULL = {503: ("TOO_MANY_NAMES",)}
#: Looked up, not made: any text will do.
_ANY_TOPIC = Parameter("topic", "Name of a topic, or * for all.", TEXT, True, "orders")

_PRODUCER = {
    "remote_address": TEXT,
    "hostname": TEXT,
    "broadcast_address": TEXT,
    "tcp_port": WHOLE,
    "http_port": WHOLE,
    "version": TEXT,
    "topology_zone": TEXT,
    "topology_region": TEXT,
}
_PRODUCERS = list_of(record(**_PRODUCER))
_NODES = list_of(record(**_PRODUCER, tombstones=list_of(FLAG), topics=list_of(TEXT)))

OPERATIONS: list[Operation] = [
    Operation("GET", "/ping", "OK, always.", answer=OK, tag="watching"),
    Operation("GET", "/info", "The version.", answer={JSON: record(version=TEXT)}, tag="node"),
    Operation(
        "GET", "/topics", "All topics.", answer={JSON: record(topics=list_of(TEXT))}, tag="who"
    ),
    Operation(
        "GET",
        "/channels",
        "The channels of a topic, none if it is unknown.",
        (_ANY_TOPIC,),
        answer={JSON: record(channels=list_of(TEXT))},
        errors={400: NO_TOPIC},
        tag="who",
    ),
    Operation(
        "GET",
        "/lookup",
        "The channels of a topic and the nsqd that have it; with wait, as soon as there is news.",
        (
            _ANY_TOPIC,
            Parameter(
                "wait",
                "How long to wait for news: seconds, or a duration such as 1m30s.",
                {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?$"},
                example="0",
            ),
            Parameter(
                "index",
                "The X-Nsqtx-Index of the answer before: what is known already.",
                {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            ),
        ),
        answer={JSON: record(channels=list_of(TEXT), producers=_PRODUCERS)},
        errors={
            400: (*NO_TOPIC, "INVALID_ARG_WAIT", "INVALID_ARG_INDEX"),
            404: ("TOPIC_NOT_FOUND",),
            503: ("TOO_MANY_WAITING",),
        },
        tag="who",
    ),
    Operation(
        "GET",
        "/nodes",
        "All nsqd, with their topics.",
        answer={JSON: record(producers=_NODES)},
        tag="who",
    ),
    Operation(
        "GET",
        "/debug",
        "Every registration with everything that is known of it.",
        answer={JSON: {"type": "object", "additionalProperties": list_of({"type": "object"})}},
        tag="debugging",
    ),
    Operation(
        "POST",
        "/topic/create",
        "Make a topic known.",
        (TOPIC,),
        errors={400: (*NO_TOPIC, "INVALID_ARG_TOPIC"), **_FULL},
        tag="topics",
    ),
    Operation(
        "POST",
        "/topic/delete",
        "Forget a topic and its channels. Nsqd that have it are not told.",
        (_ANY_TOPIC,),
        errors={400: NO_TOPIC},
        tag="topics",
    ),
    Operation(
        "POST",
        "/topic/tombstone",
        "Hide an nsqd from a topic for a while.",
        (
            _ANY_TOPIC,
            Parameter("node", "Its broadcast address and HTTP port.", TEXT, True, "nsqd-1:4151"),
        ),
        errors={400: (*NO_TOPIC, "MISSING_ARG_NODE")},
        tag="topics",
    ),
    Operation(
        "POST",
        "/channel/create",
        "Make a channel and its topic known.",
        (TOPIC, CHANNEL),
        errors={400: NO_CHANNEL, **_FULL},
        tag="channels",
    ),
    Operation(
        "POST",
        "/channel/delete",
        "Forget a channel.",
        (TOPIC, CHANNEL),
        errors={400: NO_CHANNEL, 404: ("CHANNEL_NOT_FOUND",)},
        tag="channels",
    ),
    METRICS,
    *pprof_operations("/debug/pprof"),
]
