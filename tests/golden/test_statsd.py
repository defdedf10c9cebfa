"""What the original nsqd sent to a statsd in two pushes; ours sends the same."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.golden.forked import ForkServer
from tests.golden.placeholders import Bindings
from tests.support.blockinghttp import post
from tests.support.daemon import Daemon
from tests.support.wireclient import WireClient

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data/statsd/statsd.json").read_text(encoding="utf-8")
)["runs"]
INTERVAL = 3.0

pytestmark = pytest.mark.timeout(120)


class Sink:
    """A statsd that keeps each datagram with the time it came at."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.received: list[tuple[float, bytes]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while data := self._socket.recv(1 << 16):
            self.received.append((time.monotonic(), data))

    def close(self) -> None:
        """End it; an empty datagram says so."""
        host, _, port = self.address.partition(":")
        self._socket.sendto(b"", (host, int(port)))
        self._thread.join(10)
        self._socket.close()


def traffic(nsqd: Daemon) -> float:
    """What was done while it was recorded, and when it began."""
    began = time.monotonic()
    for target in (
        "/topic/create?topic=t",
        "/channel/create?topic=t&channel=c",
        "/channel/create?topic=t&channel=e%23ephemeral",
        "/topic/create?topic=alpha",
        "/topic/create?topic=tmp%23ephemeral",
    ):
        post(nsqd.http, target)
    with WireClient(nsqd.tcp) as client:
        client.subscribe("t", "c", ready=3)
        for topic, bodies in (
            ("t", b"one two! three four five"),
            ("alpha", b"x yy"),
            ("tmp#ephemeral", b"z"),
        ):
            for body in bodies.split():
                post(nsqd.http, f"/pub?topic={topic.replace('#', '%23')}", body)
        first = client.read_messages(3)
        client.finish(first[0].id)
        fourth = client.read_message()
        client.ready(0)
        client.finish(first[1].id)
        client.requeue(first[2].id, 600_000)
        time.sleep(max(0.0, began + INTERVAL + 2.3 - time.monotonic()))
        post(nsqd.http, "/pub?topic=t", b"six")
        post(nsqd.http, "/pub?topic=alpha", b"zzz")
        client.finish(fourth.id)
        time.sleep(max(0.0, began + 2 * INTERVAL + 2.6 - time.monotonic()))
    return began


def replay(run: dict[str, Any], path: Path, server: ForkServer) -> None:
    """Do what was done, and compare what was sent."""
    sink = Sink()
    flags = [flag.replace("<stub>", sink.address) for flag in run["flags"]]
    with Daemon(path, *flags, launch=server.launch) as nsqd:
        began = traffic(nsqd)
        bindings = Bindings({"<nsqd.key>": f"127_0_0_1_{nsqd.http_port}"})
    sink.close()
    pushes = [
        [(when, data) for when, data in sink.received if (when - began > 1.9 * INTERVAL) is late]
        for late in (False, True)
    ]
    limits = [int(flag.partition("=")[2]) for flag in flags if "packet-size" in flag]
    for recorded, push in zip(run["pushes"], pushes, strict=True):
        datagrams = [data for _, data in push]
        bindings.match_text("".join(recorded["datagrams"]), b"".join(datagrams).decode())
        check_packing(datagrams, limits[0] if limits else 508)
        # Each datagram comes when the lines before it have had their share of the time.
        lines = [data.count(b"\n") for data in datagrams]
        share = (INTERVAL - 1.0) * sum(lines[:-1]) / sum(lines)
        assert push[-1][0] - push[0][0] == pytest.approx(share, abs=0.6)


def check_packing(datagrams: list[bytes], limit: int) -> None:
    """Each holds as many whole lines as fit."""
    for number, data in enumerate(datagrams):
        assert data.endswith(b"\n")
        assert len(data) <= limit or data.count(b"\n") == 1
        for following in datagrams[number + 1 : number + 2]:
            assert len(data) + following.index(b"\n") + 1 > limit


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """All runs, side by side: they mostly sleep."""
    work = tmp_path_factory.mktemp("statsd")
    with ForkServer(work) as server, ThreadPoolExecutor(len(RECORDED)) as pool:
        yield {
            run["name"]: pool.submit(replay, run, work / str(number), server)
            for number, run in enumerate(RECORDED)
        }


@pytest.mark.parametrize("name", [run["name"] for run in RECORDED])
def test_recorded_pushes(name: str, outcomes: dict[str, Future[None]]) -> None:
    """The same lines in the same order, as many to a datagram as fit, in both pushes."""
    outcomes[name].result()
