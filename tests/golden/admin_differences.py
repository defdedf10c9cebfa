"""What nsqadmin of ours says in place of what is recorded; `tests.golden.differences` says why."""

from __future__ import annotations

from typing import Any

__all__ = ["PAGES", "SUMS", "TEXTS"]

_PERCENTILES = (1, 0.99, 0.5)


def _latency(count: int, measured: bool, **names: str) -> dict[str, Any]:
    percentiles = []
    for quantile in _PERCENTILES:
        each = {"average": "<float>", "count": count, "max": "<float>", "min": "<float>"}
        each["quantile"] = quantile
        percentiles.append({**each, "value": "<float>"} if measured else each)
    empty = {"topic": "", "channel": "", "host": ""}
    return {"count": count, "percentiles": percentiles, **empty, **names}


def _counts(times: int) -> dict[str, Any]:
    return {
        "depth": times,
        "memory_depth": times,
        "backend_depth": 0,
        "in_flight_count": times,
        "deferred_count": 0,
        "requeue_count": 0,
        "timeout_count": 0,
        "message_count": 3 * times,
        "delivery_msg_count": 2 * times,
        "global_msg_count": 2 * times,
        "client_count": times,
    }


#: A channel of one node, and those of two added up.
_ONE: dict[str, Any] = {
    "node": "<addr>",
    "hostname": "<host>",
    "topic_name": "t",
    "channel_name": "c",
    **_counts(1),
    "nodes": None,
    "clients": None,
    "paused": False,
    "e2e_processing_latency": _latency(1, True),
}
_BOTH = {
    **_ONE,
    "node": "*",
    "hostname": "",
    **_counts(2),
    "nodes": [_ONE, _ONE],
    "e2e_processing_latency": _latency(2, False, topic="t", channel="c", host="*"),
}


def _topic(times: int, **fields: Any) -> dict[str, Any]:
    return {
        "node": "<addr>",
        "hostname": "<host>",
        "topic_name": "t",
        "depth": 0,
        "memory_depth": 0,
        "backend_depth": 0,
        "message_count": 3 * times,
        "delivery_msg_count": 0,
        "nodes": None,
        "channels": [_ONE],
        "paused": False,
        "e2e_processing_latency": _latency(1, True),
        **fields,
    }


#: A topic of two nodes.
SUMS: dict[int, dict[str, Any]] = {
    15: {
        "json": _topic(
            2,
            node="*",
            hostname="",
            nodes=[_topic(1), _topic(1)],
            channels=[_BOTH],
            e2e_processing_latency=_latency(2, False, topic="t", host="*"),
            message="",
        )
    }
}

#: Bodies of a wrong type.
TEXTS: dict[int, dict[str, Any]] = {
    step: {"json": {"message": text}}
    for step, text in {
        3: "json: cannot unmarshal what is no object",
        7: "topic is no string",
        13: "action is no string",
    }.items()
}

_HTML = {"headers": {"Content-Type": "text/html; charset=utf-8"}}
_NONE = {**_HTML, "status": 404}
_NO_FILE = {
    "status": 404,
    "headers": {"Content-Type": "text/plain; charset=utf-8"},
    "body": "NOT_FOUND",
    "body_any": None,
}
PAGES: dict[int, dict[str, Any]] = {
    **dict.fromkeys((0, 1, 4, 6, 7), _HTML),
    **dict.fromkeys((2, 3, 5), _NONE),
    **dict.fromkeys((8, 9, 10, 11), _NO_FILE),
}
