"""The ceiling: the same bytes through a Twisted protocol that looks at none of them.

It counts bytes and writes canned answers, so its figures are the price of the reactor, the
transport and the kernel. What nsqd costs beside them is its own.

``python -m bench.ceiling '<JSON>'`` prints its port and serves until it is killed. The JSON has
``lengths``: of the commands a publisher sends, round and round, each answered with OK; ``http``
instead: the length of a request; or ``size`` and ``count``: of bodies, for consumers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.protocol import Factory, Protocol

from bench.consumers import CLOSE_WAIT
from bench.measure import ROOT
from bench.traffic import HTTP_OK, OK, bodies

__all__ = ["start_ceiling", "stop_ceiling"]

reactor: Any = global_reactor
MAGIC_SIZE = 4
FIN_SIZE = len(b"FIN 0123456789abcdef\n")


class Swallow(Protocol):
    """Answers each command of a publisher by its length alone."""

    transport: Any

    def __init__(self, lengths: Sequence[int], magic: int, answer: bytes) -> None:
        self._lengths = lengths
        self._answer = answer
        self._turn = 0
        self._have = -magic

    def dataReceived(self, data: bytes) -> None:
        """Count bytes; one OK for each command that is complete."""
        have = self._have + len(data)
        turn, lengths = self._turn, self._lengths
        first = turn
        while have >= (length := lengths[turn % len(lengths)]):
            have -= length
            turn += 1
        self._have, self._turn = have, turn
        if turn != first:
            self.transport.write(self._answer * (turn - first))


class Pour(Protocol):
    """Gives a consumer as many canned frames as it has room for."""

    transport: Any

    def __init__(self, frames: list[bytes], count: int) -> None:
        self._frames = frames
        self._left = count
        self._sent = 0
        self._state = 0
        self._finished = 0
        self._wanted = count * FIN_SIZE

    def dataReceived(self, data: bytes) -> None:
        """SUB, then RDY, then nothing but FINs until CLS."""
        if self._state == 0 and b"SUB" in data:
            self._state = 1
            self.transport.write(OK)
        elif self._state == 1:
            self._state = 2
            self._pour(int(data.split()[1]))
        elif self._state == 2:
            before = self._finished // FIN_SIZE
            self._finished += len(data)
            if self._finished > self._wanted:
                self.transport.write(b"\0\0\0\x0e\0\0\0\0" + CLOSE_WAIT)
            else:
                self._pour(self._finished // FIN_SIZE - before)

    def _pour(self, count: int) -> None:
        count = min(count, self._left)
        if count:
            self._left -= count
            start = self._sent % len(self._frames)
            self._sent += count
            frames = self._frames[start : start + count]
            while len(frames) < count:
                frames += self._frames[: count - len(frames)]
            self.transport.write(b"".join(frames))


class CeilingFactory(Factory):
    """Makes the protocol that the workload needs."""

    noisy = False

    def __init__(self, settings: dict[str, Any]) -> None:
        self._lengths = settings.get("lengths")
        self._http = settings.get("http")
        self._count = settings.get("count", 0)
        self._frames = [
            (26 + 4 + len(body)).to_bytes(4, "big")
            + b"\0\0\0\x02"
            + b"\x18\xea\xb6\x02\x64\xb9\xcf\x2a\0\x01"
            + b"%016x" % number
            + body
            for number, body in enumerate(bodies(min(5000, self._count), settings.get("size", 200)))
        ]

    def buildProtocol(self, address: Any) -> Protocol:
        """A protocol for a new connection."""
        if self._lengths:
            return Swallow(self._lengths, MAGIC_SIZE, OK)
        if self._http:
            return Swallow([self._http], 0, HTTP_OK)
        return Pour(self._frames, self._count)


def start_ceiling(settings: dict[str, Any]) -> tuple[subprocess.Popen[bytes], int]:
    """A ceiling server in a process of its own, and its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.ceiling", json.dumps(settings)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def stop_ceiling(process: subprocess.Popen[bytes]) -> None:
    """End it."""
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def main(text: str) -> None:
    """Listen, print the port, serve."""
    port = reactor.listenTCP(
        0, CeilingFactory(json.loads(text)), backlog=1024, interface="127.0.0.1"
    )
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1])
