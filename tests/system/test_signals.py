"""What an operator does to a running nsqd: SIGHUP, SIGTERM that drains, a log for programs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post, put
from tests.support.daemon import Daemon, RunningProcess
from tests.support.wireclient import ERROR, ClosedByPeer, Frame, WireClient

TWISTD = "from twisted.scripts.twistd import run; run()"


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it for each test."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def drain_the_rest(nsqd: Daemon) -> None:
    """A draining nsqd with two messages: publishers are refused, a new consumer empties it."""
    assert get(nsqd.http, "/ping") == (500, b"NOK - draining")
    assert post(nsqd.http, "/pub?topic=t", b"x") == (503, b'{"message":"DRAINING"}')
    with WireClient(nsqd.tcp) as publisher:
        publisher.send(b"PUB t\n\0\0\0\1x")
        assert publisher.read() == Frame(ERROR, b"E_PUB_FAILED PUB failed draining")
        with pytest.raises(ClosedByPeer):
            publisher.read()
    with WireClient(nsqd.tcp) as consumer:
        consumer.subscribe("t", "c", ready=1)
        first = consumer.read_message()
        time.sleep(0.5)
        assert nsqd.running
        consumer.finish(first.id)
        consumer.finish(consumer.read_message().id)
        consumer.expect_closed()


def test_sigterm_may_drain(forks: ForkServer, tmp_path: Path) -> None:
    """Nsqd ends, with exit code 0, when consumers have finished all."""
    with Daemon(tmp_path, "--sigterm-mode=drain", launch=forks.launch) as nsqd:
        for body in (b"1", b"2"):
            assert post(nsqd.http, "/pub?topic=t", body)[0] == 200
        assert post(nsqd.http, "/channel/create?topic=t&channel=c")[0] == 200
        nsqd.send_signal(signal.SIGTERM)
        nsqd.wait_for_log("INFO: DRAIN: SIGTERM, refusing publishes, waiting for 2 messages, 30 s")
        drain_the_rest(nsqd)
        assert nsqd.wait() == 0
        nsqd.wait_for_log("INFO: DRAIN: all is delivered and finished$")
        nsqd.wait_for_log("INFO: NSQ: bye$")


def test_a_second_sigterm_does_not_wait(forks: ForkServer, tmp_path: Path) -> None:
    """What was answered OK and not consumed comes after the next start."""
    flags = ["--sigterm-mode=drain", "--drain-timeout=0"]
    with Daemon(tmp_path, *flags, launch=forks.launch) as nsqd:
        assert post(nsqd.http, "/pub?topic=t", b"kept")[0] == 200
        nsqd.send_signal(signal.SIGTERM)
        nsqd.wait_for_log("DRAIN: SIGTERM, .* waiting for 1 messages, for any time$")
        assert nsqd.stop() == 0
    with Daemon(tmp_path, launch=forks.launch) as nsqd, WireClient(nsqd.tcp) as consumer:
        consumer.subscribe("t", "c", ready=1)
        assert consumer.read_message().body == b"kept"


def test_drain_by_http(forks: ForkServer, tmp_path: Path) -> None:
    """It can be called off; the deadline ends it with exit code 0 as well."""
    with Daemon(tmp_path, "--drain-timeout=1s", launch=forks.launch) as nsqd:
        assert post(nsqd.http, "/pub?topic=t", b"x")[0] == 200
        assert get(nsqd.http, "/config/drain") == (200, b"false")
        assert put(nsqd.http, "/config/drain", b"true") == (200, b"true")
        assert get(nsqd.http, "/ping")[0] == 500
        assert put(nsqd.http, "/config/drain", b"false") == (200, b"false")
        assert get(nsqd.http, "/ping") == (200, b"OK")
        assert post(nsqd.http, "/pub?topic=t", b"y")[0] == 200
        assert put(nsqd.http, "/config/drain", b"yes") == (400, b'{"message":"INVALID_VALUE"}')
        assert put(nsqd.http, "/config/drain", b"true") == (200, b"true")
        assert nsqd.wait() == 0
        nsqd.wait_for_log("WARNING: DRAIN: 2 messages are left for the next start$")


def test_sighup_reads_the_file_again(forks: ForkServer, tmp_path: Path) -> None:
    """A good file takes effect, a bad one changes nothing and says why."""
    file = tmp_path / "nsqd.toml"
    file.write_text('log_level = "info"\n')
    with Daemon(tmp_path / "data", f"--config={file}", launch=forks.launch) as nsqd:
        file.write_text('log_level = "debug"\nmax_rdy_count = 7\ndurability = "fsync"\n')
        nsqd.send_signal(signal.SIGHUP)
        nsqd.wait_for_log("WARNING: SIGHUP: only a restart changes --durability$")
        assert get(nsqd.http, "/config/log_level") == (200, b"1")
        with WireClient(nsqd.tcp) as client:
            assert client.identify()["max_rdy_count"] == 7
        file.write_text("log_level = 1\n")
        nsqd.send_signal(signal.SIGHUP)
        nsqd.wait_for_log("ERROR: SIGHUP: the options stay as they are - failed parsing log_level")
        assert get(nsqd.http, "/config/log_level") == (200, b"1")
        assert nsqd.stop() == 0


def test_a_log_of_json(forks: ForkServer, tmp_path: Path) -> None:
    """Every line of a run, its last one and that of a failed start included."""
    with Daemon(tmp_path, "--log-format=json", launch=forks.launch) as nsqd:
        assert get(nsqd.http, "/ping")[0] == 200
        assert nsqd.stop() == 0
        lines = [json.loads(line) for line in nsqd.log.splitlines()]
    assert {"ts", "level", "namespace", "message"} <= set.intersection(*map(set, lines))
    messages = [line["message"] for line in lines]
    assert messages[-1] == "NSQ: bye"
    (listening,) = [
        line for line in lines if line.get("kind") == "TCP" and "listening" in line["message"]
    ]
    assert listening["address"] == f"127.0.0.1:{nsqd.tcp_port}"


def test_twistd_hears_signals_too(tmp_path: Path) -> None:
    """SIGHUP begins a log file that was moved away anew; a drained nsqd ends with 0."""
    file = tmp_path / "log"

    def launch(module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
        command = [sys.executable, "-c", TWISTD, "-n", f"--logfile={file}", "nsqd", *arguments]
        return subprocess.Popen(command, stdout=stderr, stderr=stderr, cwd=tmp_path)

    process = launch(
        "",
        [
            "--tcp-address=127.0.0.1:0",
            "--http-address=",
            f"--data-path={tmp_path}",
            "--sigterm-mode=drain",
        ],
        subprocess.DEVNULL,
    )
    try:
        wait_for(file, "listening on")
        file.rename(tmp_path / "old")
        process.send_signal(signal.SIGHUP)
        wait_for(file, "SIGHUP: there is no configuration file")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "NSQ: bye" in file.read_text()
        assert "SIGHUP" not in (tmp_path / "old").read_text()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_for(file: Path, text: str) -> None:
    """Wait until a log file has that text."""
    deadline = time.monotonic() + 30
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < deadline, file.read_text() if file.exists() else "no log"
        time.sleep(0.05)
