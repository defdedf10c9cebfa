"""Real daemons have as many objects after many connections as before, without a collection."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.blockinghttp import get, post
from tests.support.certificates import authority
from tests.support.daemon import Daemon
from tests.support.upgradedclient import UpgradedClient
from tests.support.v1client import V1Client
from tests.support.waiting import eventually
from tests.support.wireclient import WireClient, sized

#: So many connections, requests or topics.
TIMES = 60
#: So many objects may come, of caches and statistics. One that stays for each connection is more.
MORE = 55

PEER = sized(b'{"broadcast_address":"h","tcp_port":1,"http_port":2,"version":"1.3.0"}')


@pytest.fixture(scope="module")
def nsqd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    path: Path = tmp_path_factory.mktemp("nsqd")
    authority().write(path, "server", "server")
    keys = (f"--tls-cert={path}/server.pem", f"--tls-key={path}/server.key")
    # Without syncs, since a new thread for one of them would bring some fifty objects.
    with Daemon(path / "data", *keys, "--sync-timeout=1h") as running:
        yield running


@pytest.fixture(scope="module")
def nsqlookupd() -> Iterator[Daemon]:
    with Daemon(None, program="nsqlookupd") as running:
        yield running


def heap(daemon: Daemon, collect: bool = False) -> str:
    """What there is, by type."""
    status, text = get(daemon.http, f"/debug/pprof/heap?gc={collect:d}")
    assert status == 200
    return text.decode()


def objects(text: str) -> int:
    """How many, but for timers and the two methods that each refers to: Twisted keeps dozens that
    were cancelled.
    """
    found = re.search(r"objects the garbage collector knows: (\d+)", text)
    assert found is not None
    timers = re.search(r"(\d+) DelayedCall\n", text)
    return int(found[1]) - 3 * (int(timers[1]) if timers else 0)


def check(daemon: Daemon, come_and_go: Callable[[], object]) -> None:
    """Do it many times, and count."""
    come_and_go()
    before = heap(daemon, collect=True)
    limit = objects(before) + MORE
    for _ in range(TIMES):
        come_and_go()
    eventually(
        lambda: objects(heap(daemon)) < limit, lambda: f"{before}\n\n{heap(daemon)}", seconds=5
    )


def publishes(nsqd: Daemon) -> None:
    with WireClient(nsqd.tcp) as client:
        client.identify()
        client.publish("p", b"x")


def consumes(nsqd: Daemon) -> None:
    with WireClient(nsqd.tcp) as client, WireClient(nsqd.tcp) as publisher:
        client.subscribe("t", "c", ready=1)
        publisher.publish("t", b"x")
        client.finish(client.read_message().id)
        client.close_wait()


def is_refused(nsqd: Daemon) -> None:
    with WireClient(nsqd.tcp) as client:
        client.send(b"WHAT\n")
        client.expect_error(b"E_INVALID")


def upgrades(*features: str) -> Callable[[Daemon], None]:
    def connects(nsqd: Daemon) -> None:
        with UpgradedClient(nsqd.tcp, features) as client:
            client.publish("p", b"x")

    connects.__name__ = "-".join(features)
    return connects


def has_an_ephemeral_channel(nsqd: Daemon) -> None:
    with WireClient(nsqd.tcp) as client:
        client.subscribe("t", "c#ephemeral")


def asks_by_http(nsqd: Daemon) -> None:
    assert get(nsqd.http, "/stats?format=json")[0] == 200


def publishes_by_http(nsqd: Daemon) -> None:
    assert post(nsqd.http, "/pub?topic=p", b"x")[0] == 200


def makes_and_deletes_a_channel(nsqd: Daemon) -> None:
    for verb in ("create", "delete"):
        assert post(nsqd.http, f"/channel/{verb}?topic=t&channel=passing")[0] == 200


@pytest.mark.parametrize(
    "client",
    [
        publishes,
        consumes,
        is_refused,
        upgrades("tls"),
        upgrades("snappy"),
        upgrades("deflate"),
        upgrades("tls", "snappy"),
        has_an_ephemeral_channel,
        asks_by_http,
        publishes_by_http,
        makes_and_deletes_a_channel,
    ],
)
def test_clients_of_nsqd(nsqd: Daemon, client: Callable[[Daemon], None]) -> None:
    """By TCP, in all its forms, and by HTTP."""
    check(nsqd, lambda: client(nsqd))


def test_clients_of_nsqlookupd(nsqlookupd: Daemon) -> None:
    """An nsqd that comes and goes, and who asks."""

    def come_and_go() -> None:
        with V1Client(nsqlookupd.tcp) as client:
            client.send(b"IDENTIFY\n" + PEER)
            client.read()
            client.send(b"REGISTER t c\nUNREGISTER t c\nPING\n")
            for _ in range(3):
                assert client.read() == b"OK"
        assert get(nsqlookupd.http, "/lookup?topic=t")[0] == 200

    check(nsqlookupd, come_and_go)
