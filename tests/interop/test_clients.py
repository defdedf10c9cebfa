"""Other people's clients, unmodified, publish to our nsqd and consume from it and each other.

pynsq and gnsq come from PyPI (the extra ``interop``). nsqjs comes from npm: the environment
variable ``NSQTX_NODE_MODULES`` names the ``node_modules`` directory it was installed to. What is
not there fails; nothing is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.clients import traffic
from tests.support.certificates import authority
from tests.support.daemon import Daemon

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ("pynsq", "gnsq", "nsqjs")
COUNT = 2000
EXPECTED = sorted(traffic.body(number) for number in range(COUNT))


def command(client: str) -> list[str]:
    """How to run a client's script. Fails when the client is not installed."""
    if client != "nsqjs":
        return [sys.executable, "-m", f"tests.interop.clients.{client}_client"]
    node = shutil.which("node")
    if node is None:
        pytest.fail("nsqjs needs Node.js, and there is no `node` on the PATH")
    modules = os.environ.get("NSQTX_NODE_MODULES", "")
    if not Path(modules, "nsqjs").is_dir():
        pytest.fail(
            "NSQTX_NODE_MODULES must name a node_modules directory with nsqjs in it; "
            "`npm install --prefix DIR nsqjs` makes DIR/node_modules"
        )
    return [node, str(ROOT / "tests/interop/clients/nsqjs_client.js")]


def run(client: str, *arguments: str, features: str = "") -> str:
    """Run a client's script to its end; its standard output."""
    environment = {**os.environ, "NSQTX_FEATURES": features}
    environment["NODE_PATH"] = os.environ.get("NSQTX_NODE_MODULES", "")
    finished = subprocess.run(
        [*command(client), *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert finished.returncode == 0, f"{client} {arguments}: {finished.stderr}"
    return finished.stdout


def post(nsqd: Daemon, target: str) -> None:
    """POST without a body."""
    url = f"http://127.0.0.1:{nsqd.http_port}{target}"
    with urllib.request.urlopen(urllib.request.Request(url, b"", method="POST")) as answer:
        assert answer.status == 200


def channel_statistics(nsqd: Daemon, topic: str, channel: str) -> dict[str, Any]:
    """A channel as /stats shows it."""
    url = f"http://127.0.0.1:{nsqd.http_port}/stats?format=json&topic={topic}&channel={channel}"
    with urllib.request.urlopen(url) as answer:
        found: dict[str, Any] = json.load(answer)["topics"][0]["channels"][0]
        return found


@pytest.fixture(scope="module")
def nsqd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One nsqd for all clients."""
    path = tmp_path_factory.mktemp("interop")
    authority().write(path, "server", "localhost")
    flags = (f"--tls-cert={path}/server.pem", f"--tls-key={path}/server.key")
    with Daemon(path / "data", *flags) as daemon:
        yield daemon


@pytest.fixture(scope="module", params=CLIENTS)
def publisher(request: pytest.FixtureRequest, nsqd: Daemon) -> str:
    """A client that has published to its topic, which has a channel for every consumer."""
    client = str(request.param)
    post(nsqd, f"/topic/create?topic=by_{client}")
    for consumer in CLIENTS:
        post(nsqd, f"/channel/create?topic=by_{client}&channel=for_{consumer}")
    run(client, "publish", f"127.0.0.1:{nsqd.tcp_port}", f"by_{client}", str(COUNT))
    return client


@pytest.mark.parametrize("consumer", CLIENTS)
def test_published_by_one_consumed_by_another(publisher: str, consumer: str, nsqd: Daemon) -> None:
    """Each message arrives with its bytes, requeued ones again, and the channel is empty then."""
    topic, channel = f"by_{publisher}", f"for_{consumer}"
    output = run(consumer, "consume", f"127.0.0.1:{nsqd.tcp_port}", topic, channel, str(COUNT))
    result = json.loads(output)
    assert sorted(map(bytes.fromhex, result["bodies"])) == EXPECTED
    assert result["requeued"] == len([n for n in range(COUNT) if n % 50 == 7])
    assert result["touched"] == len([n for n in range(COUNT) if n % 30 == 3])
    counted = channel_statistics(nsqd, topic, channel)
    assert counted["message_count"] == COUNT
    assert counted["requeue_count"] == result["requeued"]
    assert counted["timeout_count"] == 0
    assert (counted["depth"], counted["in_flight_count"], counted["deferred_count"]) == (0, 0, 0)


# gnsq's producer takes the OK of an upgrade for that of a publish, whatever the nsqd.
@pytest.mark.parametrize("consumer", ["pynsq", "gnsq"])
@pytest.mark.parametrize("features", ["tls", "snappy", "deflate", "tls snappy", "tls deflate"])
def test_tls_and_compression(features: str, consumer: str, nsqd: Daemon) -> None:
    """Each message arrives with its bytes through TLS, compression and both."""
    address = f"127.0.0.1:{nsqd.tcp_port}"
    topic = f"{features.replace(' ', '_')}_to_{consumer}"
    run("pynsq", "publish", address, topic, str(COUNT), features=features)
    output = run(consumer, "consume", address, topic, "c", str(COUNT), features=features)
    assert sorted(map(bytes.fromhex, json.loads(output)["bodies"])) == EXPECTED
