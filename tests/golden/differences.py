"""Where nsqtx answers otherwise on purpose, and which recordings wait for a later feature.

``doc/differences.md`` tells users about the first; each entry here is still asserted, with what
nsqtx says instead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
}

_TLS = "TLS"
_SNAPPY = "snappy and deflate"
_AUTH = "AUTH"
_TOPOLOGY = "topology-aware consumption"

# Sessions that need what a later version brings. "*" stands for the rest of a file.
LATER: dict[tuple[str, str], str] = {
    ("tcp/tls", "*"): _TLS,
    ("tcp/compress", "*"): _SNAPPY,
    ("tcp/auth", "*"): _AUTH,
    ("tcp/identify", "both compressions"): _SNAPPY,
    ("tcp/identify", "both compressions, one switched off on the server"): _SNAPPY,
    ("http/nsqd-tls", "*"): _TLS,
    ("http/nsqd-config", "GET, options set"): _TLS,
    ("http/nsqd-stats", "disk queue and TLS, snappy, deflate and sampling clients"): _TLS,
    ("http/nsqd-stats", "authorized client"): _AUTH,
    ("http/nsqd-stats", "topology counters"): _TOPOLOGY,
}

# Sessions of those files that are about not having the feature, so they count already.
REPLAYED_NOW: frozenset[tuple[str, str]] = frozenset(
    {
        ("tcp/tls", "tls_v1 without certificate on the server"),
        ("tcp/auth", "AUTH disabled"),
        ("tcp/auth", "AUTH disabled, bad body is found first"),
    }
)


def later(file: str, name: str) -> str | None:
    """The feature a session waits for; None when it must pass now."""
    if (file, name) in REPLAYED_NOW:
        return None
    return LATER.get((file, name), LATER.get((file, "*")))
