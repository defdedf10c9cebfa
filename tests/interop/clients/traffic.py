"""What every client publishes and how it treats what it consumes, whatever its language.

``nsqjs_client.js`` says the same in JavaScript. Bodies are not text, so that no client and no
daemon gets away with decoding them.

A client's script is run with one argument, `Task` as JSON. It publishes if it is to, consumes if it
is to, says on its standard output what was finished, and then keeps its connections until its
standard input ends, so that the test can look at them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import attrs

__all__ = [
    "BATCH",
    "DEFERRED",
    "DEFER_MS",
    "LARGE",
    "LARGEST",
    "MAX_IN_FLIGHT",
    "REQUEUE_MS",
    "Task",
    "is_requeued",
    "is_touched",
    "main",
    "report",
]

# The first messages are published one by one, the last deferred, the rest in batches.
BATCH = 50
DEFERRED = 20
DEFER_MS = 300

REQUEUE_MS = 50
MAX_IN_FLIGHT = 100

#: Numbers of the messages that are as large as `Task.largest` says: noise, and something that
#: compresses well.
LARGE = (0, 1)
#: The default of --max-msg-size.
LARGEST = 1024 * 1024


@attrs.frozen
class Task:
    """What a client is to do."""

    address: str
    topic: str
    #: Published one by one.
    single: int
    count: int
    publish: bool = False
    #: Empty: do not consume.
    channel: str = ""
    tls: bool = False
    snappy: bool = False
    deflate: bool = False
    #: The certificate of the authority that signed nsqd's.
    authority: str = ""
    #: The size of the largest messages; 0: there are none.
    largest: int = LARGEST
    #: The address is that of a nsqlookupd, over HTTP. To consume only.
    lookup: bool = False

    def sources(self) -> dict[str, list[str]]:
        """Where to consume from, by the name that clients in Python have for it."""
        kind = "lookupd_http_addresses" if self.lookup else "nsqd_tcp_addresses"
        return {kind: [self.address]}

    def body(self, number: int) -> bytes:
        """The body of a message: its number, and some bytes that depend on it."""
        start = b"%d:" % number
        if not self.largest or number not in LARGE:
            return start + bytes([number % 256]) * (number % 61)
        pieces = [start]
        for counter in range(self.largest // 32 + 1):
            pieces.append(hashlib.sha256(b"%d" % (counter if number == 0 else 0)).digest())
        return b"".join(pieces)[: self.largest]

    def bodies(self) -> list[bytes]:
        """All of them, sorted."""
        return sorted(map(self.body, range(self.count)))


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
    """Say on standard output what was finished, and wait until the test has seen it."""
    result = {"bodies": [b.hex() for b in bodies], "requeued": requeued, "touched": touched}
    print(json.dumps(result))
    sys.stdout.flush()
    sys.stdin.read()


def main(publish: Callable[[Task], Any], consume: Callable[[Task], None]) -> None:
    """Do the task that the command line describes."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    task = Task(**json.loads(sys.argv[1]))
    # Whoever has published keeps the connection as long as this is kept.
    publisher = publish(task) if task.publish else None
    if task.channel:
        consume(task)
    del publisher
