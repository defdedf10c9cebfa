"""Publishes numbered messages to one nsqd until it is ended, and writes down which got their OK.

    HOST PORT TOPIC PREFIX FILE

What did not get its OK is published again, as a careful producer does.
"""

from __future__ import annotations

import contextlib
import sys
import time

from tests.support.wireclient import ClosedByPeer, WireClient, sized

#: Seconds between messages: what matters here is that they come all the time.
PAUSE = 0.01


def run(host: str, port: int, topic: str, prefix: str, path: str) -> None:
    """Publish for ever."""
    number = 0
    with open(path, "a", buffering=1, encoding="ascii") as acknowledged:
        while True:
            with (
                contextlib.suppress(OSError, ClosedByPeer),
                WireClient((host, port), timeout=2.0) as client,
            ):
                while True:
                    body = f"{prefix}-{number}"
                    client.send(f"PUB {topic}\n".encode() + sized(body.encode()))
                    frame = client.read()
                    if frame.data != b"OK":
                        break
                    acknowledged.write(body + "\n")
                    number += 1
                    time.sleep(PAUSE)
            time.sleep(0.1)


def main() -> None:
    """Read the command line."""
    host, port, topic, prefix, path = sys.argv[1:]
    run(host, int(port), topic, prefix, path)
