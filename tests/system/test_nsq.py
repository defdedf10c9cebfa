"""nsq: everything in one process."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.toolruns import ToolRun

PORTS = ("nsqd-tcp", "nsqd-http", "lookupd-tcp", "lookupd-http", "admin-http")
READY = re.compile(
    r"ready: nsqd 127\.0\.0\.1:(\d+), nsqlookupd 127\.0\.0\.1:(\d+), "
    r"nsqadmin http://127\.0\.0\.1:(\d+)/\n"
)


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsq and forks for each run."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def arguments(path: Path, *more: str) -> list[str]:
    """Free ports, unless others are given."""
    given = {each.partition("=")[0] for each in more}
    flags = [f"--{name}-address=127.0.0.1:0" for name in PORTS]
    return [
        *(each for each in flags if each.partition("=")[0] not in given),
        f"--data-path={path / 'made' / 'data'}",
        *more,
    ]


def test_all_of_it_in_one_process(forks: ForkServer, tmp_path: Path) -> None:
    """What is published to nsqd is found through nsqlookupd and shown by nsqadmin."""
    with ToolRun(forks, "nsq", arguments(tmp_path)) as nsq:
        end = time.monotonic() + 20
        while not (ready := READY.search(nsq.err)):
            assert time.monotonic() < end, nsq.err
            time.sleep(0.02)
        lookupd, admin = (("127.0.0.1", int(port)) for port in ready.groups()[1:])
        producers: list[dict[str, object]] = []
        while not producers:
            assert time.monotonic() < end, nsq.err
            time.sleep(0.02)
            producers = json.loads(get(lookupd, "/nodes")[1])["producers"]
        assert producers[0]["tcp_port"] == int(ready[1])
        nsqd = str(producers[0]["broadcast_address"]), int(str(producers[0]["http_port"]))
        assert post(nsqd, "/pub?topic=t", b"hello") == (200, b"OK")
        while b'"t"' not in get(admin, "/api/topics")[1]:
            assert time.monotonic() < end, nsq.err
            time.sleep(0.02)
        assert nsq.stop() == 0
        assert "NSQ: bye" in nsq.err
    assert (tmp_path / "made" / "data" / "nsqd.dat").exists()


def test_a_part_that_cannot_start_stops_the_others(forks: ForkServer, tmp_path: Path) -> None:
    """Exit code 1, and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flag = f"--admin-http-address=127.0.0.1:{taken.getsockname()[1]}"
        with ToolRun(forks, "nsq", arguments(tmp_path, flag)) as nsq:
            assert nsq.wait() == 1
            assert "NSQ: bye" in nsq.err
            assert re.search(r"FATAL: failed to instantiate nsqadmin - listen .*\n", nsq.err)


def test_sigint(forks: ForkServer, tmp_path: Path) -> None:
    """As SIGTERM."""
    with ToolRun(forks, "nsq", arguments(tmp_path)) as nsq:
        end = time.monotonic() + 20
        while not READY.search(nsq.err):
            assert time.monotonic() < end, nsq.err
            time.sleep(0.02)
        assert nsq.stop(signal.SIGINT) == 0
