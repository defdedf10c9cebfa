"""Other people's clients, unmodified, over TLS, snappy, deflate and each of these inside TLS, with
messages as large as nsqd takes.

What a client cannot do by itself is in `SMALL_ONLY`, with the reason, or told in its script.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.certificates import make_certificates
from tests.interop.clients.traffic import LARGEST, Task
from tests.interop.running import CLIENTS, run
from tests.support.daemon import Daemon

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

FEATURES = ("tls", "snappy", "deflate", "tls+snappy", "tls+deflate")
COUNT = 160
SINGLE = 40

#: Who cannot consume large messages over what, whatever the server, and why.
SMALL_ONLY = {
    ("pynsq", "snappy"): "a read without a whole chunk ends the connection (an OSError without an "
    "errno, which Tornado takes for a failure), and chunks of 64 KiB do not fit one read",
    ("pynsq", "tls+snappy"): "the same, and here a read is at most 16 KiB",
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the certificates are."""
    path = tmp_path_factory.mktemp("certificates")
    make_certificates(path)
    return path


@pytest.fixture(scope="module")
def nsqd(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One nsqd for all clients."""
    flags = [
        f"--tls-cert={certificates / 'server.pem'}",
        f"--tls-key={certificates / 'server.key'}",
    ]
    with Daemon(tmp_path_factory.mktemp("features"), *flags) as daemon:
        yield daemon


def granted(nsqd: Daemon, topic: str) -> list[str]:
    """What the publisher and the consumer of a topic have, as /stats shows it."""
    url = f"http://127.0.0.1:{nsqd.http_port}/stats?format=json&topic={topic}"
    with urllib.request.urlopen(url) as answer:
        stats: dict[str, Any] = json.load(answer)
    clients = stats["producers"] + stats["topics"][0]["channels"][0]["clients"]
    names = ("tls", "snappy", "deflate")
    return ["+".join(name for name in names if client[name]) for client in clients]


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("client", CLIENTS)
def test_features(client: str, features: str, nsqd: Daemon, certificates: Path) -> None:
    """A client publishes and consumes over what it asked for, and each message has its bytes."""
    topic = f"{client}_{features.replace('+', '_')}"
    asked = features.split("+")
    task = Task(
        f"127.0.0.1:{nsqd.tcp_port}",
        topic,
        SINGLE,
        COUNT,
        publish=True,
        channel="c",
        tls="tls" in asked,
        snappy="snappy" in asked,
        deflate="deflate" in asked,
        authority=str(certificates / "ca.pem"),
        largest=0 if (client, features) in SMALL_ONLY else LARGEST,
    )
    found: list[str] = []
    result = run(client, task, lambda: found.extend(granted(nsqd, topic)))
    assert found == [features, features]
    assert sorted(map(bytes.fromhex, result["bodies"])) == task.bodies()
    assert nsqd.log.count(" ERROR") == 0
