"""Several hosts: two nsqlookupd, three nsqd, producers and consumers. Anything may break.

The law: a message that was answered OK comes to every channel, whatever was killed or cut off
meanwhile, and the nsqlookupds tell the truth again within the times of doc/operations.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nsqtx.nsqd.lookup_connection import ANSWER_TIMEOUT
from nsqtx.nsqd.lookup_peer import LONGEST_PAUSE, PING_INTERVAL
from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon, RunningProcess
from tests.support.networks import Host, LoopbackNetwork, NamespaceNetwork, Network

CHANNELS = ("metrics", "archive")
#: What a slow machine may need beyond the promised times (seconds).
PATIENCE = 20.0


def eventually(true: Callable[[], bool], within: float, what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + within + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.2)


def lines(path: Path) -> list[str]:
    """The whole lines of a file that somebody else writes."""
    if not path.exists():
        return []
    return [line for line in path.read_text().split("\n")[:-1] if line]


class Program:
    """A daemon on a host, that can be killed and started again."""

    def __init__(self, host: Host, program: str, tcp: int, http: int, *flags: str) -> None:
        self.host = host
        self._program = program
        self.tcp = (host.address, host.port(tcp))
        self.http = (host.address, host.port(http))
        self._flags = (
            f"--tcp-address={self.tcp[0]}:{self.tcp[1]}",
            f"--http-address={self.http[0]}:{self.http[1]}",
            f"--broadcast-address={host.address}",
            *flags,
        )
        self.daemon: Daemon | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        self.daemon = Daemon(None, *self._flags, program=self._program, launch=self.host.launch)

    def kill(self) -> None:
        """SIGKILL."""
        if self.daemon is not None:
            self.daemon.kill()

    def get(self, target: str) -> Any:
        """GET some JSON; None: it does not answer."""
        with contextlib.suppress(OSError, ValueError):
            status, body = get(self.http, target)
            return json.loads(body) if status == 200 else None


class Cluster:
    """All of it."""

    def __init__(self, network: Network, path: Path) -> None:
        self._path = path
        self._clients: list[RunningProcess] = []
        hosts = {name: network.host(name) for name in ("l1", "l2", "n1", "n2", "n3", "c1")}
        self.lookupds = [Program(hosts[n], "nsqlookupd", 4160, 4161) for n in ("l1", "l2")]
        told = [f"--lookupd-tcp-address={each.tcp[0]}:{each.tcp[1]}" for each in self.lookupds]
        self.nsqds = []
        for name in ("n1", "n2", "n3"):
            data = path / name
            data.mkdir()
            flags = (*told, f"--data-path={data}", "--msg-timeout=3s")
            self.nsqds.append(Program(hosts[name], "nsqd", 4150, 4151, *flags))
        self._consumers = hosts["c1"]

    def start(self) -> None:
        """Everything, the nsqlookupds first."""
        for program in [*self.lookupds, *self.nsqds]:
            program.start()
        # The channels are made on one nsqd. The others have to learn of them from nsqlookupd
        # before they let the first message go, or the law will not hold for it.
        first = self.nsqds[0]
        assert post(first.http, "/topic/create?topic=t")[0] == 200
        for channel in CHANNELS:
            assert post(first.http, f"/channel/create?topic=t&channel={channel}")[0] == 200
        for lookupd in self.lookupds:
            eventually(lambda at=lookupd: len(self.producers(at)) == 1, 5, "the channels")  # type: ignore[misc]
        for nsqd in self.nsqds:
            name, (host, port) = nsqd.host.name, nsqd.tcp
            out = self._path / f"sent-{name}"
            self._run(nsqd.host, "cluster_producer", host, str(port), "t", name, str(out))
        where = ",".join(f"{each.http[0]}:{each.http[1]}" for each in self.lookupds)
        for channel in CHANNELS:
            out = self._path / f"got-{channel}"
            self._run(self._consumers, "cluster_consumer", where, "t", channel, str(out))

    def _run(self, host: Host, module: str, *arguments: str) -> None:
        with open(os.devnull, "wb") as nowhere:
            client = host.launch(f"tests.support.{module}", arguments, nowhere.fileno())
        self._clients.append(client)

    def stop_producers(self) -> None:
        """No new messages from here on."""
        for client in self._clients[: len(self.nsqds)]:
            client.send_signal(9)
            client.wait(10)

    def stop(self) -> None:
        """Everything."""
        for client in self._clients:
            client.send_signal(9)
            client.wait(10)
        for program in [*self.nsqds, *self.lookupds]:
            program.kill()

    def sent(self, nsqd: Program) -> list[str]:
        """The messages that this nsqd answered OK."""
        return lines(self._path / f"sent-{nsqd.host.name}")

    def got(self, channel: str) -> set[str]:
        """The messages that came to a channel."""
        return set(lines(self._path / f"got-{channel}"))

    def nodes(self, lookupd: Program) -> set[str]:
        """Who is registered there."""
        answer = lookupd.get("/nodes") or {"producers": []}
        return {each["broadcast_address"] + f":{each['tcp_port']}" for each in answer["producers"]}

    def producers(self, lookupd: Program) -> set[str]:
        """Who has the topic, as that nsqlookupd says."""
        answer = lookupd.get("/lookup?topic=t") or {"producers": [], "channels": []}
        if set(answer["channels"]) != set(CHANNELS):
            return set()
        return {each["broadcast_address"] + f":{each['tcp_port']}" for each in answer["producers"]}

    def everybody(self, *without: Program) -> set[str]:
        """The nsqd that there are."""
        return {f"{n.tcp[0]}:{n.tcp[1]}" for n in self.nsqds if n not in without}

    def expect_truth(self, lookupd: Program, within: float, *without: Program) -> None:
        """``/nodes`` and ``/lookup`` come to know who is there."""
        expected = self.everybody(*without)

        def true() -> bool:
            return self.nodes(lookupd) == self.producers(lookupd) == expected

        eventually(true, within, f"{lookupd.host.name} knows {expected}")

    def expect_news(self, nsqd: Program, within: float) -> None:
        """What is published there from now on comes to all channels."""
        before = len(self.sent(nsqd))
        eventually(lambda: len(self.sent(nsqd)) > before, within, f"{nsqd.host.name} publishes")
        news = self.sent(nsqd)[-1]
        for channel in CHANNELS:
            what = f"{news} comes to {channel}"
            eventually(lambda c=channel: news in self.got(c), within, what)  # type: ignore[misc]

    def expect_all(self) -> None:
        """Every message that was answered OK came to every channel."""
        self.stop_producers()
        sent = {body for nsqd in self.nsqds for body in self.sent(nsqd)}
        assert len(sent) > 100
        for channel in CHANNELS:
            what = f"all messages come to {channel}"
            eventually(lambda c=channel: sent <= self.got(c), 10, what)  # type: ignore[misc]


@contextlib.contextmanager
def running(network: Network, path: Path) -> Iterator[Cluster]:
    """A cluster that works."""
    with contextlib.ExitStack() as stack:
        stack.callback(network.close)
        cluster = Cluster(network, path)
        stack.callback(cluster.stop)
        cluster.start()
        for lookupd in cluster.lookupds:
            cluster.expect_truth(lookupd, 5)
        for nsqd in cluster.nsqds:
            cluster.expect_news(nsqd, 5)
        yield cluster


def kill_each(cluster: Cluster) -> None:
    """SIGKILL for a nsqd, then for a nsqlookupd; each comes back."""
    (first, second), (n1, *_) = cluster.lookupds, cluster.nsqds
    n1.kill()
    for lookupd in cluster.lookupds:
        # The connection closes with the process, so they know at once.
        cluster.expect_truth(lookupd, 1, n1)
    n1.start()
    for lookupd in cluster.lookupds:
        cluster.expect_truth(lookupd, LONGEST_PAUSE)
    cluster.expect_news(n1, 5)
    first.kill()
    cluster.expect_news(n1, 1)
    cluster.expect_truth(second, 1)
    first.start()
    cluster.expect_truth(first, LONGEST_PAUSE)


@pytest.mark.timeout(180)
def test_processes_are_killed(tmp_path: Path) -> None:
    """On loopback: no message is lost, and everybody is found again."""
    with (
        ForkServer(tmp_path) as server,
        running(LoopbackNetwork(server.launch), tmp_path) as cluster,
    ):
        kill_each(cluster)
        cluster.expect_all()


@pytest.mark.root
@pytest.mark.timeout(400)
def test_hosts_and_cables(tmp_path: Path) -> None:
    """Hosts of their own: what is killed or cut off comes back, and no message is lost."""
    network = NamespaceNetwork()
    with running(network, tmp_path) as cluster:
        kill_each(cluster)
        _, n2, n3 = cluster.nsqds
        first, second = cluster.lookupds
        # A nsqd loses its link. Its producer, on the same host, goes on; so do all others.
        network.cut(n2.host)
        cut_off = time.monotonic()
        before = len(cluster.sent(n2))
        eventually(lambda: len(cluster.sent(n2)) > before + 10, 1, "n2 takes messages alone")
        cluster.expect_news(n3, 5)
        # Long enough for n2 to notice that nobody answers its PING.
        time.sleep(max(0.0, PING_INTERVAL + ANSWER_TIMEOUT + 2 - (time.monotonic() - cut_off)))
        network.heal(n2.host)
        for lookupd in cluster.lookupds:
            cluster.expect_truth(lookupd, LONGEST_PAUSE)
        cluster.expect_news(n2, 10)
        # A nsqlookupd loses its link: the other one is enough.
        network.cut(first.host)
        cluster.expect_news(n3, 5)
        cluster.expect_truth(second, 1)
        time.sleep(PING_INTERVAL + ANSWER_TIMEOUT + 2)
        network.heal(first.host)
        cluster.expect_truth(first, LONGEST_PAUSE)
        cluster.expect_all()
