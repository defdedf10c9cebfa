"""Where nsqtx answers otherwise on purpose, and which recordings wait for a later feature.

``doc/differences.md`` tells users about the first; each entry here is still asserted, with what
nsqtx says instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.golden import admin_differences as admin

__all__ = ["EXPECTED_DIFFERENCES", "LATER", "REPLAYED_NOW", "Difference", "later"]


class Difference(NamedTuple):
    """Why a session differs, and how: for a step's number the keys that replace recorded ones.

    A value of None takes the key away.
    """

    reason: str
    steps: dict[int, dict[str, Any]]


_SCANNED_AT_ONCE = (
    "the original scans a fresh channel for timeouts and deferred messages only at a 5 s tick; "
    "nsqtx keeps to the delay itself, so there is nothing to wait for first"
)

# Where a topic's log is: what the disk refused is named in the same words, but by our path.
_LOG = "open <datapath>/nsqd/<str>/t/<str>.log: no such file or directory"
_OTHER_FILES = (
    "nsqtx keeps a topic in a log of its own, so the path in the system's text is another; the "
    "fixed part and the form `open <path>: <reason>` are the original's"
)
_OLD_PATHS = (
    "/put and /mput, which the first versions of NSQ had, are there and do as /pub and /mpub"
)
_PLAIN = {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Nsq-Content-Type": "nsq; version=1.0",
}
_DONE = {
    "status": 200,
    "headers": {"Content-Type": "text/plain; charset=utf-8"},
    "json": None,
    "body": "",
}
_DEBUG_WORKS = (
    "the original does what it was asked and then answers 500, which is a bug; the text of a bad "
    "number is that of Go's library"
)


def _message(body: str, number: int, attempts: int = 1) -> dict[str, Any]:
    """A message frame as recordings have it."""
    return {
        "type": 2,
        "timestamp": "<timestamp>",
        "attempts": attempts,
        "id": f"<id:m{number}>",
        "body": body,
    }


def _refused(command: str) -> dict[str, Any]:
    """What a publisher is told when the disk refuses."""
    return {"expect": [{"type": 1, "text": f"E_{command}_FAILED {command} failed {_LOG}"}]}


# Any of our files may have been the last that the disk refused.
_NOT_OK = "NOK - <str> <datapath>/nsqd/<str>: no such file or directory"
_UNHEALTHY = {"body": _NOT_OK}


def _stats_json(depth: int, backend_depth: int, count: int, size: int) -> dict[str, Any]:
    """/stats of an unhealthy nsqd with one topic."""
    topic = {
        "topic_name": "t",
        "channels": [],
        "depth": depth,
        "backend_depth": backend_depth,
        "message_count": count,
        "message_bytes": size,
        "paused": False,
        "e2e_processing_latency": {"count": 0, "percentiles": None},
    }
    answer = {
        "version": "1.3.0",
        "health": _NOT_OK,
        "start_time": "<int>",
        "topics": [topic],
        "producers": None,
    }
    return {"json": answer}


_STATS_TEXT = (
    "nsqd v1.3.0 (built w/<go>)\nstart_time <date>\nuptime <duration>\n\n"
    f"Health: {_NOT_OK}\n\nTopics:\n"
    "   [t              ] depth: 0     be-depth: 0     msgs: 0        e2e%: \n\n"
    "Producers: None\n"
)
_WILDCARD_TOMBSTONE = (
    "a tombstone on all topics is one on each; the original puts it on one of them, whichever"
)


def _node(peer: str, address: str, hostname: str, at: str, **topics: bool) -> dict[str, Any]:
    """A node of /nodes of nsqlookupd. ``at``: the letters of its zone and region, or nothing."""
    return {
        "remote_address": f"<peer:{peer}>",
        "hostname": hostname,
        "broadcast_address": address,
        "tcp_port": 4150,
        "http_port": 4151,
        "version": "1.3.0",
        "topology_zone": at[:1],
        "topology_region": at[1:],
        "tombstones": list(topics.values()),
        "topics": list(topics),
    }


_DO_NOTHING = {"http": None, "status": None, "headers": None, "body": None, "sleep_ms": 10}

EXPECTED_DIFFERENCES: dict[tuple[str, str], Difference] = {
    ("tcp/consume", "REQ deferred"): Difference(_SCANNED_AT_ONCE, {4: {"sleep_ms": 50}}),
    ("tcp/consume", "msg_timeout redelivers"): Difference(_SCANNED_AT_ONCE, {4: {"sleep_ms": 50}}),
    ("tcp/consume", "FIN after the message timed out"): Difference(
        _SCANNED_AT_ONCE, {4: {"sleep_ms": 50}}
    ),
    ("tcp/consume", "deferred publish"): Difference(_SCANNED_AT_ONCE, {3: {"sleep_ms": 50}}),
    ("tcp/cls", "in flight after CLS and close go back after msg_timeout"): Difference(
        _SCANNED_AT_ONCE, {10: {"wait_ms": 1700}}
    ),
    ("tcp/consume", "REQ goes to the tail"): Difference(
        "requeued messages and fresh ones take turns, so that neither starves the other",
        {
            4: {"expect": [_message("a", 1, attempts=2)]},
            5: {"send": "FIN <id:m1>\n", "expect": [_message("b", 2)]},
            6: {"send": "FIN <id:m2>\n", "expect": [_message("c", 3)]},
        },
    ),
    ("http/nsqd-health", "PUB"): Difference(
        f"{_OTHER_FILES}; and nsqtx tries an unhealthy disk again by itself, so that /ping may be "
        "OK before the next publish",
        {
            3: _refused("PUB"),
            4: _UNHEALTHY,
            5: _stats_json(0, 0, 0, 0),
            6: {"body": _STATS_TEXT},
            10: _UNHEALTHY,
            12: _DO_NOTHING,
        },
    ),
    ("http/nsqd-health", "memory full"): Difference(
        _OTHER_FILES,
        {3: _refused("PUB"), 4: _UNHEALTHY, 5: _stats_json(1, 0, 1, 3)},
    ),
    ("http/nsqd-health", "MPUB"): Difference(_OTHER_FILES, {2: _refused("MPUB"), 3: _UNHEALTHY}),
    ("http/nsqd-health", "DPUB without delay"): Difference(
        _OTHER_FILES, {2: _refused("DPUB"), 3: _UNHEALTHY}
    ),
    ("http/nsqd-routing", "unknown paths"): Difference(
        _OLD_PATHS,
        {
            2: {"status": 400, "json": {"message": "MSG_EMPTY"}},
            3: {
                "status": 200,
                "headers": _PLAIN,
                "json": None,
                "body": "OK",
            },
        },
    ),
    ("http/nsqlookupd", "tombstone"): Difference(
        _WILDCARD_TOMBSTONE,
        {
            17: {
                "json": {
                    "producers": [
                        _node("A", "b.example", "h.example", "zr", t=True, u=True),
                        _node("B", "b2.example", "h2", "", t=False),
                    ]
                }
            }
        },
    ),
    (
        "http/nsqadmin",
        "reads, two nsqd with equal traffic: order of nodes is arbitrary, so any address may stand "
        "at <addr>",
    ): Difference(
        "what a node says stays as it is, where the original adds the other nodes' channels into "
        "the first one's; a channel that is added up has all nodes, and a latency its names",
        admin.SUMS,
    ),
    ("http/nsqadmin", "bad bodies"): Difference(
        "texts of Go's JSON library, in other words", admin.TEXTS
    ),
    ("http/nsqadmin", "pages (HTML bodies are not recorded)"): Difference(
        "pages come from the server, so one of what does not exist is 404; they have files of "
        "their own",
        admin.PAGES,
    ),
    ("http/nsqd-routing", "debug"): Difference(
        _DEBUG_WORKS,
        {
            0: {"body": "invalid block rate : <str>"},
            1: _DONE,
            2: _DONE,
        },
    ),
}

# Sessions that need what a later version brings. "*" stands for the rest of a file.
LATER: dict[tuple[str, str], str] = {}

# Sessions of those files that are about not having the feature, so they count already.
REPLAYED_NOW: frozenset[tuple[str, str]] = frozenset()


def later(file: str, name: str) -> str | None:
    """The feature a session waits for; None when it must pass now."""
    if (file, name) in REPLAYED_NOW:
        return None
    return LATER.get((file, name), LATER.get((file, "*")))
