"""S9: a real nsqd, killed while messages become dead letters and while they come back."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.wireclient import ClosedByPeer, WireClient

BODIES = {b"%d" % i for i in range(2000)}
DLQ = "t.c.dlq"


def figures(daemon: Daemon, topic: str) -> Any:
    """A topic in /stats."""
    topics = json.loads(get(daemon.http, f"/stats?format=json&topic={topic}")[1])["topics"]
    return topics[0] if topics else {"depth": 0}


def until_dead(daemon: Daemon, count: int) -> None:
    """Wait until the dead-letter topic has so many."""
    deadline = time.monotonic() + 30
    while figures(daemon, DLQ)["depth"] < count:
        assert time.monotonic() < deadline, f"no {count} dead letters"
        time.sleep(0.05)


def give_up(daemon: Daemon) -> None:
    """A consumer that gives everything back, until nsqd is gone or it has nothing more."""
    try:
        with WireClient(daemon.tcp, timeout=1) as client:
            client.subscribe("t", "c", ready=500)
            while True:
                client.requeue(client.read_message().id)
    except (ClosedByPeer, OSError):
        pass


def redrive(daemon: Daemon) -> None:
    """Ask for a redrive, which nsqd may not live to answer."""
    with contextlib.suppress(OSError, HTTPException):
        post(daemon.http, "/channel/redrive?topic=t&channel=c")


def consume(client: WireClient, count: int) -> set[bytes]:
    """So many messages, finished. They may be more than fit in flight."""
    found: set[bytes] = set()
    while count > 0:
        messages = client.read_messages(min(count, 500))
        client.finish_all(messages)
        found |= {message.body for message in messages}
        count -= len(messages)
    return found


@pytest.mark.timeout(120)
def test_s9_dead_letters_survive_sigkill(tmp_path: Path) -> None:
    """Killed on the way to the dead letters, then on the way back: every message is somewhere."""
    with Daemon(tmp_path) as daemon:
        post(daemon.http, "/topic/create?topic=t")
        assert post(daemon.http, "/channel/create?topic=t&channel=c&max_attempts=1")[0] == 200
        with WireClient(daemon.tcp) as client:
            bodies = sorted(BODIES)
            for start in range(0, len(bodies), 1000):
                client.publish_many("t", bodies[start : start + 1000])
        consumer = threading.Thread(target=give_up, args=(daemon,), daemon=True)
        consumer.start()
        until_dead(daemon, 500)
        daemon.kill()
        consumer.join()
    with Daemon(tmp_path) as daemon:
        channel = figures(daemon, "t")["channels"][0]
        dead = figures(daemon, DLQ)["depth"]
        assert channel["max_attempts"] == 1
        assert channel["depth"] + dead >= len(BODIES)
        consumer = threading.Thread(target=give_up, args=(daemon,), daemon=True)
        consumer.start()
        until_dead(daemon, len(BODIES))
        consumer.join()
        redriving = threading.Thread(target=redrive, args=(daemon,), daemon=True)
        redriving.start()
        while not figures(daemon, "t")["channels"][0]["depth"]:
            time.sleep(0.005)
        daemon.kill()
        redriving.join()
    with Daemon(tmp_path) as daemon:
        post(daemon.http, "/channel/dead_letter?topic=t&channel=c&max_attempts=0")
        depth = figures(daemon, "t")["channels"][0]["depth"]
        assert depth > 0
        with WireClient(daemon.tcp, timeout=30) as client:
            client.subscribe("t", "c", ready=2500)
            found = consume(client, depth)
            status, body = post(daemon.http, "/channel/redrive?topic=t&channel=c")
            assert status == 200
            found |= consume(client, json.loads(body)["count"])
        assert found == BODIES
        assert figures(daemon, DLQ)["depth"] == 0
