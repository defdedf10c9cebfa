"""Consumes a channel from every nsqd that nsqlookupd knows, as a client library would.

    LOOKUPD[,LOOKUPD...] TOPIC CHANNEL FILE

Asks each nsqlookupd (``host:port`` of its HTTP) every half second and keeps one connection to every
nsqd it hears of. A message is written to FILE before it is finished.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
import urllib.request
from typing import Any, TextIO

from tests.support.wireclient import ClosedByPeer, WireClient, sized

#: So that a connection that leads nowhere is noticed soon, on both sides.
HEARTBEAT = 1.0


class Consumer:
    """One consumer with its connections."""

    def __init__(self, topic: str, channel: str, out: TextIO) -> None:
        self._topic = topic
        self._channel = channel
        self._out = out
        self._lock = threading.Lock()
        self._connections: set[tuple[str, int]] = set()

    def found(self, address: tuple[str, int]) -> None:
        """Connect, unless we are."""
        with self._lock:
            if address in self._connections:
                return
            self._connections.add(address)
        threading.Thread(target=self._consume, args=(address,), daemon=True).start()

    def _consume(self, address: tuple[str, int]) -> None:
        try:
            with (
                contextlib.suppress(OSError, ClosedByPeer),
                WireClient(address, timeout=3 * HEARTBEAT) as client,
            ):
                identity = json.dumps({"heartbeat_interval": int(1000 * HEARTBEAT)}).encode()
                client.send(b"IDENTIFY\n" + sized(identity))
                client.send(f"SUB {self._topic} {self._channel}\nRDY 100\n".encode())
                while True:
                    frame = client.read_any()
                    if frame.type == 2:
                        self._write(frame.data[26:])
                        client.send(b"FIN " + frame.data[10:26] + b"\n")
                    else:
                        client.send(b"NOP\n")
        finally:
            with self._lock:
                self._connections.discard(address)

    def _write(self, body: bytes) -> None:
        with self._lock:
            self._out.write(body.decode() + "\n")


def ask(lookupd: str, topic: str) -> list[dict[str, Any]]:
    """The producers of a topic that this nsqlookupd knows."""
    with contextlib.suppress(OSError, ValueError):
        url = f"http://{lookupd}/lookup?topic={topic}"
        with urllib.request.urlopen(url, timeout=1.0) as answer:
            producers: list[dict[str, Any]] = json.load(answer)["producers"]
            return producers
    return []


def run(lookupds: str, topic: str, channel: str, path: str) -> None:
    """Consume for ever."""
    with open(path, "a", buffering=1, encoding="ascii") as out:
        consumer = Consumer(topic, channel, out)
        while True:
            for lookupd in lookupds.split(","):
                for producer in ask(lookupd, topic):
                    consumer.found((producer["broadcast_address"], producer["tcp_port"]))
            time.sleep(0.5)


def main() -> None:
    """Read the command line."""
    lookupds, topic, channel, path = sys.argv[1:]
    run(lookupds, topic, channel, path)
