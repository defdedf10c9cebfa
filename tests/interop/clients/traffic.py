"""What every client publishes and how it treats what it consumes, whatever its language.

``nsqjs_client.js`` says the same in JavaScript. Bodies are not text, so that no client and no
daemon gets away with decoding them.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
from typing import Any

__all__ = [
    "BATCH",
    "DEFERRED",
    "DEFER_MS",
    "REQUEUE_MS",
    "SINGLE",
    "body",
    "features",
    "is_requeued",
    "is_touched",
    "report",
]

# Of the messages, the first are published one by one, the last deferred, the rest in batches.
SINGLE = 700
BATCH = 50
DEFERRED = 20
DEFER_MS = 300

REQUEUE_MS = 50


def body(number: int) -> bytes:
    """The body of a message: its number, and some bytes that depend on it."""
    return b"%d:" % number + bytes([number % 256]) * (number % 61)


def features() -> dict[str, Any]:
    """What the client is to ask nsqd for, as arguments of pynsq and gnsq: ``tls``, ``snappy`` and
    ``deflate`` in the environment variable ``NSQTX_FEATURES``."""
    names = os.environ.get("NSQTX_FEATURES", "").split()
    asked: dict[str, Any] = {name: True for name in names if name != "tls"}
    if "tls" in names:
        asked |= {"tls_v1": True, "tls_options": {"cert_reqs": ssl.CERT_NONE}}
    return asked


def number_of(data: bytes) -> int:
    """The number in a body."""
    return int(data.partition(b":")[0])


def is_requeued(data: bytes, attempts: int) -> bool:
    """Every fiftieth message is put back once."""
    return number_of(data) % 50 == 7 and attempts == 1


def is_touched(data: bytes) -> bool:
    """Every thirtieth message is touched before it is finished."""
    return number_of(data) % 30 == 3


def report(bodies: list[bytes], requeued: int, touched: int) -> None:
    """Say on standard output what was finished."""
    result = {"bodies": [b.hex() for b in bodies], "requeued": requeued, "touched": touched}
    print(json.dumps(result))
    sys.stdout.flush()
