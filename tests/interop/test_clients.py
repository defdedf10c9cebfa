"""Other people's clients, unmodified, publish to our nsqd and consume from it and each other.

pynsq and gnsq come from PyPI (the extra ``interop``). nsqjs comes from npm: the environment
variable ``NSQTX_NODE_MODULES`` names the ``node_modules`` directory it was installed to. What is
not there fails; nothing is skipped. Two of the messages are as large as nsqd takes.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.clients.traffic import Task
from tests.interop.running import CLIENTS, run
from tests.support.daemon import Daemon

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

COUNT = 1000
SINGLE = 300


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
    with Daemon(tmp_path_factory.mktemp("interop")) as daemon:
        yield daemon


@pytest.fixture(scope="module", params=CLIENTS)
def publisher(request: pytest.FixtureRequest, nsqd: Daemon) -> str:
    """A client that has published to its topic, which has a channel for every consumer."""
    client = str(request.param)
    post(nsqd, f"/topic/create?topic=by_{client}")
    for consumer in CLIENTS:
        post(nsqd, f"/channel/create?topic=by_{client}&channel=for_{consumer}")
    run(client, Task(f"127.0.0.1:{nsqd.tcp_port}", f"by_{client}", SINGLE, COUNT, publish=True))
    return client


@pytest.mark.parametrize("consumer", CLIENTS)
def test_published_by_one_consumed_by_another(publisher: str, consumer: str, nsqd: Daemon) -> None:
    """Each message arrives with its bytes, requeued ones again, and the channel is empty then."""
    topic, channel = f"by_{publisher}", f"for_{consumer}"
    task = Task(f"127.0.0.1:{nsqd.tcp_port}", topic, SINGLE, COUNT, channel=channel)
    result = run(consumer, task)
    assert sorted(map(bytes.fromhex, result["bodies"])) == task.bodies()
    assert result["requeued"] == len([n for n in range(COUNT) if n % 50 == 7])
    assert result["touched"] == len([n for n in range(COUNT) if n % 30 == 3])
    counted = channel_statistics(nsqd, topic, channel)
    assert counted["message_count"] == COUNT
    assert counted["requeue_count"] == result["requeued"]
    assert counted["timeout_count"] == 0
    assert (counted["depth"], counted["in_flight_count"], counted["deferred_count"]) == (0, 0, 0)
