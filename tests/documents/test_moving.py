"""The rehearsal of doc/moving.md: from the original, and back, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.original import bodies_of, left_by_the_original
from tests.support.waiting import eventually
from tests.support.wireclient import WireClient

TOOL = "import sys; from nsqtx.tools.nsq_to_nsq.command import main; sys.exit(main())"


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it for each test."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def files(directory: Path) -> dict[str, bytes]:
    """The files of the original and what is in them."""
    return {path.name: path.read_bytes() for path in directory.glob("*.diskqueue.*")}


def depths(nsqd: Daemon) -> list[dict[str, Any]]:
    """Topics and channels, in the form of the recordings."""
    status, body = get(nsqd.http, "/stats?format=json&include_clients=false")
    assert status == 200
    return [
        {
            "name": topic["topic_name"],
            "paused": topic["paused"],
            "depth": topic["depth"],
            "channels": [
                {"name": each["channel_name"], "paused": each["paused"], "depth": each["depth"]}
                for each in topic["channels"]
            ],
        }
        for topic in json.loads(body)["topics"]
    ]


def consumed(nsqd: Daemon, topic: str, channel: str, count: int) -> Counter[bytes]:
    """That many messages of a channel, finished."""
    bodies: Counter[bytes] = Counter()
    with WireClient(nsqd.tcp) as consumer:
        consumer.subscribe(topic, channel, ready=count)
        for _ in range(count):
            message = consumer.read_message()
            bodies[message.body] += 1
            consumer.finish(message.id)
        eventually(lambda: depth(nsqd, topic, channel) == 0)
    return bodies


def depth(nsqd: Daemon, topic: str, channel: str) -> int:
    """What a channel has not finished."""
    _, body = get(nsqd.http, f"/stats?format=json&topic={topic}&channel={channel}")
    (found,) = json.loads(body)["topics"]
    (each,) = found["channels"]
    return int(each["depth"] + each["in_flight_count"] + each["deferred_count"])


def names_of(topic: dict[str, Any]) -> list[str]:
    """The channels of a topic; none is null in ``nsqd.dat``."""
    return [each["name"] for each in topic["channels"] or []]


def test_there_and_back(forks: ForkServer, tmp_path: Path) -> None:
    """Started on the original's data path nsqd has all of it; nsq_to_nsq takes the rest away."""
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    original = left_by_the_original("clean-stop", data)
    with (
        Daemon(data, launch=forks.launch) as nsqd,
        Daemon(elsewhere, launch=forks.launch) as target,
    ):
        assert depths(nsqd) == original["topics"]
        archive = bodies_of(original, "orders", "archive")
        assert consumed(nsqd, "orders", "archive", archive.total()) == archive
        # One channel is left. The nsqd that takes it stands for one of the original's.
        mail = bodies_of(original, "orders", "mail")
        assert depth(nsqd, "orders", "mail") == mail.total() > 0
        for create in ("/topic/create?topic=orders", "/channel/create?topic=orders&channel=mail"):
            assert post(target.http, create)[0] == 200
        command = [
            *(f"--nsqd-tcp-address=127.0.0.1:{nsqd.tcp_port}", "--topic=orders", "--channel=mail"),
            f"--destination-nsqd-tcp-address=127.0.0.1:{target.tcp_port}",
            "--consumer-opt=max_attempts,0",
        ]
        with subprocess.Popen(
            [sys.executable, "-c", TOOL, *command], stderr=subprocess.PIPE
        ) as tool:
            try:
                eventually(lambda: depth(nsqd, "orders", "mail") == 0)
                tool.send_signal(signal.SIGTERM)
                _, said = tool.communicate(timeout=20)
            finally:
                tool.kill()
        assert tool.returncode == 0, said
        assert consumed(target, "orders", "mail", mail.total()) == mail
        assert nsqd.stop() == 0
    # What the original would find: its metadata, and no queue but those that are done with.
    listed = json.loads((data / "nsqd.dat").read_text())["topics"]
    assert {each["name"]: names_of(each) for each in listed} == {
        each["name"]: names_of(each) for each in original["topics"]
    }
    left = {name for name in files(data) if not name.endswith(".imported")}
    assert all(name.startswith("gone#ephemeral") for name in left)


@pytest.mark.parametrize("name", ["clean-stop", "paused", "kill9-synced"])
def test_nothing_was_consumed_so_the_old_files_will_do(
    name: str, forks: ForkServer, tmp_path: Path
) -> None:
    """With our directory away and the names put back, everything is as the original left it."""
    data = tmp_path / "data"
    original = left_by_the_original(name, data)
    before = files(data)
    with Daemon(data, launch=forks.launch) as nsqd:
        assert depths(nsqd) == original["topics"]
        assert nsqd.stop() == 0
    shutil.move(data / "nsqd.topics", tmp_path / "away")
    for path in data.glob("*.imported"):
        path.rename(path.with_name(path.name.removesuffix(".imported")))
    assert files(data) == before
    metadata = json.loads((data / "nsqd.dat").read_text())
    # The original knows nothing of this key, by which ours sees that its own logs say the same.
    del metadata["nsqtx"]
    (data / "nsqd.dat").write_text(json.dumps(metadata))
    with Daemon(data, launch=forks.launch) as nsqd:
        assert depths(nsqd) == original["topics"]
