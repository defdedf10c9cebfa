"""nsq_to_file as people run it: every line at least once, whatever ends it; tools in trouble."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.toolruns import ToolRun
from tests.support.waiting import eventually
from tests.support.wireclient import WireClient, sized

#: Lines of the test with kills, which take some seconds to be published; 1,000,000 a few minutes.
LINES = int(os.environ.get("NSQTX_ARCHIVE_LINES", "20000"))
PAUSE = 0.05


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported the tools and forks for each run."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


@pytest.fixture
def nsqd(forks: ForkServer, tmp_path: Path) -> Iterator[Daemon]:
    """One nsqd."""
    with Daemon(tmp_path / "data", launch=forks.launch) as daemon:
        yield daemon


def address(nsqd: Daemon) -> str:
    """Where clients find it."""
    host, port = nsqd.tcp
    return f"--nsqd-tcp-address={host}:{port}"


def line(number: int) -> bytes:
    """One that is like no other, and some 200 bytes long."""
    return b'{"request":%d,"path":"/api/%d"}' % (number, number % 97) + b"." * (150 + number % 23)


def publish(nsqd: Daemon, topic: str, lines: int, pause: float = 0.0) -> None:
    """Publish these lines, in batches."""
    with WireClient(nsqd.tcp) as client:
        for start in range(0, lines, 500):
            bodies = [line(number) for number in range(start, min(start + 500, lines))]
            batch = len(bodies).to_bytes(4, "big") + b"".join(map(sized, bodies))
            client.send(b"MPUB %b\n" % topic.encode() + sized(batch))
            assert client.read().data == b"OK"
            time.sleep(pause)


def channel(nsqd: Daemon, topic: str, name: str) -> dict[str, Any]:
    """Its figures."""
    _, body = get(nsqd.http, f"/stats?format=json&topic={topic}&channel={name}")
    found: dict[str, Any] = json.loads(body)["topics"][0]["channels"][0]
    return found


def create(nsqd: Daemon, topic: str, name: str) -> None:
    """Make topic and channel, so that what is published waits there."""
    post(nsqd.http, f"/topic/create?topic={topic}")
    post(nsqd.http, f"/channel/create?topic={topic}&channel={name}")


def drained(nsqd: Daemon, topic: str, name: str) -> bool:
    """Whether nothing of a channel is left to be finished."""
    figures = channel(nsqd, topic, name)
    return not (figures["depth"] or figures["in_flight_count"] or figures["deferred_count"])


def test_the_line_of_the_announcement(forks: ForkServer, nsqd: Daemon, tmp_path: Path) -> None:
    """What goes in comes out, byte for byte and in order."""
    create(nsqd, "api_requests", "archive")
    publish(nsqd, "api_requests", 5000)
    arguments = [address(nsqd), "--topic=api_requests", "--channel=archive"]
    with ToolRun(forks, "nsq_to_file", [*arguments, f"--output-dir={tmp_path / 'out'}"]) as tool:
        eventually(lambda: channel(nsqd, "api_requests", "archive")["depth"] == 0, lambda: tool.err)
        assert tool.stop() == 0
    (file,) = (tmp_path / "out").iterdir()
    assert file.read_bytes() == b"".join(line(number) + b"\n" for number in range(5000))
    assert drained(nsqd, "api_requests", "archive")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("work_dir", [False, True])
def test_killed_at_random_no_line_is_lost(
    forks: ForkServer, nsqd: Daemon, tmp_path: Path, work_dir: bool
) -> None:
    """With gzip and rotation, and every file can be read to its end."""
    out, work = tmp_path / "out", tmp_path / "work"
    create(nsqd, "t", "c")
    publisher = threading.Thread(target=publish, args=(nsqd, "t", LINES, PAUSE))
    arguments = [
        *(address(nsqd), "--topic=t", "--channel=c", "--gzip", "--gzip-level=1"),
        *(f"--output-dir={out}", "--rotate-size=300000", "--max-in-flight=1000"),
        # What a consumer that was killed had in flight comes again after that time.
        *("--sync-interval=200ms", "--consumer-opt=msg_timeout,1s"),
    ]
    if work_dir:
        arguments.append(f"--work-dir={work}")
    kills = 0
    publisher.start()
    randomly = random.Random(LINES)
    while publisher.is_alive():
        with ToolRun(forks, "nsq_to_file", arguments) as tool:
            time.sleep(randomly.uniform(0.1, 0.7))
            assert tool.poll() is None, tool.err
            tool.kill()
            kills += 1
    publisher.join()
    with ToolRun(forks, "nsq_to_file", arguments) as tool:
        # All may be finished already; it must have begun before it can be stopped.
        eventually(lambda: "connected" in tool.err, lambda: tool.err)
        eventually(lambda: drained(nsqd, "t", "c"), lambda: tool.err, 600)
        assert tool.stop() == 0
    assert kills > 1
    assert not work_dir or not list(work.glob("*.gz"))
    files = sorted(out.iterdir())
    lines = [each for file in files for each in gzip.decompress(file.read_bytes()).splitlines()]
    assert set(lines) == {line(number) for number in range(LINES)}
    done = subprocess.run(["gzip", "-t", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    print(f"{LINES} lines, {kills} kills, {len(files)} files, {len(lines) - LINES} lines twice")


def test_an_unwritable_directory(forks: ForkServer, nsqd: Daemon, tmp_path: Path) -> None:
    """Messages go back and stay with nsqd, the log says why; when it can be written they come."""
    create(nsqd, "t", "c")
    publish(nsqd, "t", 3)
    out = tmp_path / "out"
    out.write_text("a file")
    arguments = [
        *(address(nsqd), "--topic=t", "--channel=c", f"--output-dir={out}"),
        *("--consumer-opt=default_requeue_delay,100ms", "--consumer-opt=backoff_multiplier,50ms"),
        "--sync-interval=100ms",
    ]
    with ToolRun(forks, "nsq_to_file", arguments) as tool:
        eventually(lambda: "requeueing" in tool.err, lambda: tool.err)
        assert re.search(rf"ERROR: \[t/c\] could not write: {out}\S*: ", tool.err)
        eventually(lambda: channel(nsqd, "t", "c")["requeue_count"] >= 3, lambda: tool.err)
        out.unlink()
        eventually(lambda: drained(nsqd, "t", "c"), lambda: (channel(nsqd, "t", "c"), tool.err))
        assert tool.stop() == 0
    (file,) = out.iterdir()
    assert sorted(file.read_bytes().splitlines()) == sorted(map(line, range(3)))


@pytest.mark.root
def test_a_full_disk(forks: ForkServer, nsqd: Daemon, tmp_path: Path) -> None:
    """Nothing that is not in a file is finished; with room again all of it comes."""
    create(nsqd, "t", "c")
    publish(nsqd, "t", 2000)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", out], check=True)
    try:
        arguments = [
            *(address(nsqd), "--topic=t", "--channel=c", f"--output-dir={out}"),
            *("--consumer-opt=default_requeue_delay,50ms", "--sync-interval=100ms"),
            *("--consumer-opt=backoff_multiplier,20ms", "--consumer-opt=max_backoff_duration,50ms"),
        ]
        with ToolRun(forks, "nsq_to_file", arguments) as tool:
            eventually(lambda: "No space left on device" in tool.err, lambda: tool.err)
            time.sleep(0.3)
            (file,) = out.iterdir()
            written = file.read_bytes().splitlines()
            left = channel(nsqd, "t", "c")
            unfinished = left["depth"] + left["in_flight_count"] + left["deferred_count"]
            assert 0 < unfinished < 2000
            assert len(written) >= 2000 - unfinished
            subprocess.run(["mount", "-o", "remount,size=4m", out], check=True)
            eventually(lambda: drained(nsqd, "t", "c"), lambda: tool.err)
            assert tool.stop() == 0
        assert set(file.read_bytes().splitlines()) == set(map(line, range(2000)))
    finally:
        subprocess.run(["umount", out], check=True)


def test_an_endpoint_that_hangs(forks: ForkServer, nsqd: Daemon) -> None:
    """The request is given up, the message requeued; a stop does not wait for the endpoint."""
    create(nsqd, "t", "c")
    publish(nsqd, "t", 3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        arguments = [
            *(address(nsqd), "--topic=t", "--channel=c", f"--post={url}"),
            "--http-client-request-timeout=200ms",
        ]
        with ToolRun(forks, "nsq_to_http", arguments) as tool:
            eventually(
                lambda: channel(nsqd, "t", "c")["requeue_count"] >= 3,
                lambda: (tool.err, channel(nsqd, "t", "c")),
            )
            assert f"ERROR: {url}: no answer within 0.2 s" in tool.err
            assert tool.stop() == 0
    assert not drained(nsqd, "t", "c")


def test_a_destination_that_is_down(forks: ForkServer, nsqd: Daemon, tmp_path: Path) -> None:
    """Messages stay at the source until it is there."""
    create(nsqd, "t", "c")
    publish(nsqd, "t", 3)
    with Daemon(tmp_path / "other", launch=forks.launch) as other:
        host, port = other.tcp
    arguments = [
        *(address(nsqd), "--topic=t", "--channel=c"),
        *(f"--destination-nsqd-tcp-address={host}:{port}", "--destination-topic=out"),
        *("--consumer-opt=default_requeue_delay,100ms", "--consumer-opt=backoff_multiplier,50ms"),
        "--producer-opt=max_reconnect_delay,100ms",
    ]
    with ToolRun(forks, "nsq_to_nsq", arguments) as tool:
        eventually(lambda: channel(nsqd, "t", "c")["requeue_count"] >= 3, lambda: tool.err)
        assert re.search(rf"ERROR: {host}:{port}: .*refused", tool.err)
        assert not drained(nsqd, "t", "c")
        flags = [f"--tcp-address={host}:{port}"]
        with Daemon(tmp_path / "other", *flags, launch=forks.launch) as other:
            eventually(lambda: drained(nsqd, "t", "c"), lambda: tool.err)
            assert b'"depth":3' in get(other.http, "/stats?format=json&topic=out")[1]
            assert tool.stop(signal.SIGINT) == 0
