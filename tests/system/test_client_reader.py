"""A Reader in a process of its own and our nsqd, over real sockets, and everything that breaks."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nsqtx.wire.codecs import SNAPPY_AVAILABLE
from tests.golden.forked import ForkServer
from tests.golden.stubs import StubServer
from tests.support.authservers import ALL
from tests.support.blockinghttp import get, post
from tests.support.certificates import authority
from tests.support.daemon import Daemon
from tests.support.readerprocess import ReaderProcess


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported the daemons and forks one when it is started."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def eventually(true: Callable[[], bool], within: float, what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(0.05)


def publish(daemon: Daemon, topic: str, bodies: list[str]) -> None:
    assert post(daemon.http, f"/mpub?topic={topic}", "\n".join(bodies).encode()) == (200, b"OK")


def clients(daemon: Daemon, topic: str) -> list[dict[str, Any]]:
    """The connections that are subscribed, as nsqd shows them."""
    status, body = get(daemon.http, f"/stats?format=json&topic={topic}&channel=c")
    topics = json.loads(body)["topics"] if status == 200 else None
    channels = [channel for each in topics or () for channel in each["channels"] or ()]
    return [client for channel in channels for client in channel["clients"] or ()]


def subscribed(daemon: Daemon, topic: str) -> bool:
    return bool(clients(daemon, topic))


@pytest.mark.timeout(120)
def test_tls_codecs_and_a_secret(tmp_path: Path, forks: ForkServer) -> None:
    """Messages come through TLS with each codec, for who has the secret and trusts the server."""
    server = authority()
    server.write(tmp_path, "server", "localhost")
    (tmp_path / "ca.pem").write_bytes(server.pem)
    auth = StubServer([{"status": 200, "body": ALL}])
    bodies = [f"{number}-{'x' * 500}" for number in range(1000)]
    secure: dict[str, Any] = {
        "tls_v1": True,
        "tls_root_ca_file": str(tmp_path / "ca.pem"),
        "auth_secret": "s3cret",
    }
    codecs: list[dict[str, Any]] = [{"deflate": True}]
    if SNAPPY_AVAILABLE:
        codecs.append({"snappy": True})
    with ExitStack() as stack:
        daemon = stack.enter_context(
            Daemon(
                tmp_path / "data",
                f"--tls-cert={tmp_path}/server.pem",
                f"--tls-key={tmp_path}/server.key",
                "--tls-required=tcp-https",
                f"--auth-http-address={auth.address}",
                launch=forks.launch,
            )
        )
        address = f"localhost:{daemon.tcp_port}"
        readers = [
            stack.enter_context(
                ReaderProcess(f"t{number}", [address], max_in_flight=100, **secure, **codec)
            )
            for number, codec in enumerate([{}, *codecs])
        ]
        stranger = stack.enter_context(
            ReaderProcess("t0", [address], **{**secure, "tls_root_ca_file": ""})
        )
        careless = stack.enter_context(ReaderProcess("t0", [address], auth_secret="s3cret"))
        for number, reader in enumerate(readers):
            eventually(partial(subscribed, daemon, f"t{number}"), 20, "connected")
            publish(daemon, f"t{number}", bodies)
            eventually(partial(reader.has, len(bodies)), 20, "all came")
            assert sorted(reader.got) == sorted(bodies)
            (client,) = clients(daemon, f"t{number}")
            assert client["tls"]
            assert client["auth_identity"] == "me"
            assert client["deflate"] == bool(number and codecs[number - 1].get("deflate"))
            assert client["snappy"] == bool(number and codecs[number - 1].get("snappy"))
            assert reader.stop() == 0
            assert reader.lines[-1].startswith("drained")
        eventually(lambda: "certificate verify failed" in str(stranger.lines), 10, "refused")
        eventually(lambda: "E_INVALID" in str(careless.lines), 10, "refused")
        assert "s3cret" not in str(stranger.lines + careless.lines) + daemon.log
    auth.close()


@pytest.mark.timeout(240)
def test_whatever_is_killed(tmp_path: Path, forks: ForkServer) -> None:
    """Readers, nsqds and nsqlookupd are killed at random times and come back: every message is

    handled at least once, and in the end the Readers take as much as before.
    """
    chance = random.Random(3)
    settings: dict[str, Any] = {"max_in_flight": 20, "concurrency": 20, "heartbeat_interval": 1}
    with ExitStack() as stack:
        lookupd = stack.enter_context(Daemon(None, program="nsqlookupd", launch=forks.launch))
        tcp, http = f"127.0.0.1:{lookupd.tcp_port}", f"127.0.0.1:{lookupd.http_port}"

        def start_nsqd(number: int, port: int = 0) -> Daemon:
            return stack.enter_context(
                Daemon(
                    tmp_path / f"nsqd{number}",
                    f"--tcp-address=127.0.0.1:{port}",
                    f"--lookupd-tcp-address={tcp}",
                    "--broadcast-address=127.0.0.1",
                    "--msg-timeout=2s",
                    f"--node-id={number}",
                    launch=forks.launch,
                )
            )

        def start_reader(interval: float) -> ReaderProcess:
            polling: dict[str, Any] = {"lookupd_poll_interval": interval}
            return stack.enter_context(ReaderProcess("t", lookupds=[http], **settings, **polling))

        nsqds = [start_nsqd(1), start_nsqd(2)]
        readers = [start_reader(60), start_reader(2)]
        dead: list[ReaderProcess] = []
        sent: list[str] = []

        def send(count: int) -> None:
            for at, daemon in enumerate(nsqds):
                bodies = [f"{at}-{len(sent) + number} 0.005" for number in range(count)]
                publish(daemon, "t", bodies)
                sent.extend(bodies)

        def got() -> Counter[str]:
            return Counter(body for reader in readers + dead for body in reader.got)

        send(100)
        # Long before the next poll, too: nsqlookupd tells of the new topic.
        eventually(lambda: [len(clients(each, "t")) for each in nsqds] == [2, 2], 30, "found")
        eventually(lambda: not set(sent) - set(got()), 30, "the first messages came")
        send(300)
        time.sleep(chance.random() * 0.3)
        readers[0].kill()
        dead.append(readers.pop(0))
        readers.append(start_reader(2))
        send(300)
        time.sleep(chance.random() * 0.3)
        nsqds[0].kill()
        lookupd.kill()
        nsqds[0] = start_nsqd(1, nsqds[0].tcp_port)
        send(100)
        time.sleep(1)
        stack.enter_context(
            Daemon(
                None,
                f"--tcp-address={tcp}",
                f"--http-address={http}",
                program="nsqlookupd",
                launch=forks.launch,
            )
        )
        eventually(lambda: not set(sent) - set(got()), 60, "everything came")
        assert not set(got()) - set(sent)

        def ready() -> list[int]:
            return [sum(each["ready_count"] for each in clients(daemon, "t")) for daemon in nsqds]

        # Two Readers with 20 each, over both.
        eventually(lambda: ready() == [20, 20], 40, "full speed")
        for reader in readers:
            reader.process.send_signal(signal.SIGTERM)
        for reader in readers:
            assert reader.process.wait(20) == 0
