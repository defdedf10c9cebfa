"""nsqd that may open few files, under more connections than it can have."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.support.blockinghttp import get
from tests.support.daemon import Daemon, run_in_process
from tests.support.waiting import eventually
from tests.support.wireclient import ClosedByPeer, WireClient

LIMIT = 96
TOPICS = 60
few = partial(run_in_process, before=["sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh"])


def serves(daemon: Daemon) -> bool:
    """Whether a new client is answered."""
    try:
        with WireClient(daemon.tcp, timeout=5) as client:
            client.identify()
            return True
    except (ClosedByPeer, OSError):
        return False


@pytest.mark.timeout(120)
def test_s2_more_connections_than_descriptors(tmp_path: Path) -> None:
    """Those that are there go on, segments can be opened, what is answered OK is kept over a kill,

    the log says once what is wrong, and new ones are served when others have gone.
    """
    sent: dict[str, list[bytes]] = {f"t{number}": [] for number in range(TOPICS)}
    with (
        ExitStack() as stack,
        Daemon(tmp_path, "--max-bytes-per-file=4096", launch=few) as daemon,
    ):
        publisher = stack.enter_context(WireClient(daemon.tcp))
        consumer = stack.enter_context(WireClient(daemon.tcp))
        consumer.subscribe("t0", "c", ready=1)
        crowd = stack.enter_context(ExitStack())
        for _ in range(3 * LIMIT):
            crowd.enter_context(socket.create_connection(daemon.tcp, 5))
        eventually(lambda: not serves(daemon))
        for turn in range(4):
            for topic, bodies in sent.items():
                body = b"%d %b" % (turn, b"x" * 3000)
                publisher.publish(topic, body)
                bodies.append(body)
            message = consumer.read_message()
            assert message.body == sent["t0"][turn]
            consumer.finish(message.id)
        assert len(re.findall("no room for more connections|EMFILE", daemon.log)) == 1
        crowd.close()
        eventually(lambda: serves(daemon))
        assert get(daemon.http, "/ping") == (200, b"OK")
        assert daemon.complaints == []
        daemon.kill()
    with Daemon(tmp_path) as daemon:
        for topic, bodies in list(sent.items())[1:]:
            with WireClient(daemon.tcp) as client:
                client.subscribe(topic, "c", ready=10)
                assert [each.body for each in client.read_messages(len(bodies))] == bodies


@pytest.mark.timeout(120)
def test_more_topics_than_descriptors(tmp_path: Path) -> None:
    """All of them are published to at the same moment, and each wants a sync."""
    topics = 5 * LIMIT
    with (
        Daemon(tmp_path, "--durability=fsync", launch=few) as daemon,
        WireClient(daemon.tcp, timeout=30) as client,
    ):
        for _ in range(3):
            client.send(b"".join(b"PUB t%d\n\0\0\0\1x" % number for number in range(topics)))
            for _ in range(topics):
                client.expect()
        assert daemon.complaints == []
