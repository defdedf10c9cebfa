"""Other people's clients, unmodified, find the nsqd of a topic through our nsqlookupd."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.interop.clients.traffic import Task
from tests.interop.running import CLIENTS, ROOT, run
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.v1client import V1Client

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

#: Messages of each nsqd; those that clients requeue or touch are among them.
COUNT = 100


def task(client: str, address: str) -> Task:
    """Consume the messages of both nsqd."""
    return Task(address, f"for_{client}", 0, 2 * COUNT, channel="c", largest=0, lookup=True)


@pytest.fixture(scope="module")
def lookupd() -> Iterator[Daemon]:
    """One nsqlookupd for all clients."""
    with Daemon(None, program="nsqlookupd") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def cluster(
    lookupd: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Daemon, Daemon]]:
    """Two nsqd that have registered there, with one half each of a topic for each client."""
    flags = (f"--lookupd-tcp-address=127.0.0.1:{lookupd.tcp_port}", "--broadcast-address=127.0.0.1")
    with (
        Daemon(tmp_path_factory.mktemp("a"), *flags) as a,
        Daemon(tmp_path_factory.mktemp("b"), *flags) as b,
    ):
        for client in CLIENTS:
            for first, nsqd in ((0, a), (COUNT, b)):
                for number in range(first, first + COUNT):
                    body = task(client, "").body(number)
                    assert post(nsqd.http, f"/pub?topic=for_{client}", body)[0] == 200
        deadline = time.monotonic() + 20
        while len(found(lookupd, f"for_{CLIENTS[-1]}")) < 2:
            assert time.monotonic() < deadline, lookupd.log
            time.sleep(0.1)
        yield a, b


def found(lookupd: Daemon, topic: str) -> list[object]:
    """The nsqd that /lookup names."""
    status, body = get(lookupd.http, f"/lookup?topic={topic}")
    producers: list[object] = json.loads(body)["producers"] if status == 200 else []
    return producers


@pytest.mark.parametrize("client", CLIENTS)
def test_consumers_find_all_nsqd_of_a_topic(
    client: str, lookupd: Daemon, cluster: tuple[Daemon, Daemon]
) -> None:
    """Told of nothing but nsqlookupd, a client gets the messages of both."""
    found_by_lookup = task(client, f"127.0.0.1:{lookupd.http_port}")
    result = run(client, found_by_lookup)
    assert sorted(map(bytes.fromhex, result["bodies"])) == found_by_lookup.bodies()


def test_every_call_of_gnsqs_client_works() -> None:
    """Reading and administration, with an nsqd that has two topics."""
    with Daemon(None, program="nsqlookupd") as lookupd, V1Client(lookupd.tcp) as nsqd:
        nsqd.identify()
        nsqd.register("here")
        nsqd.register("hidden")
        script = "tests.interop.clients.gnsq_directory"
        done = subprocess.run(
            [sys.executable, "-m", script, f"127.0.0.1:{lookupd.http_port}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert answers["ping"] == "OK"
    assert answers["info"] == {"version": "1.3.0"}
    assert answers["topics"] == ["here", "hidden", "made"]
    assert answers["channels"] == ["c"]
    assert answers["hidden"] == []
    assert [each["tcp_port"] for each in answers["here"]] == [4150]
