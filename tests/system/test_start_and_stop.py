"""nsqd starts and stops: by signals, on Unix sockets, under twistd, and not twice on one path."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon, DaemonError, RunningProcess
from tests.support.wireclient import WireClient

ROOT = Path(__file__).parents[2]
TWISTD = "from twisted.scripts.twistd import run; run()"
#: What the original writes, with one topic.
ORIGINAL = '{"topics":[{"name":"t","paused":false,"channels":null}],"version":"1.3.0"}'


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it for each test."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def texts(log: str) -> list[str]:
    """What lines say, without prefix and time."""
    return [re.sub(r"^\[nsqd\] \S+ \S+ ", "", line) for line in log.splitlines()]


def run_twistd(module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
    """Start nsqd as ``twistd -n nsqd``, in a directory of its own."""
    assert module == "nsqtx.nsqd.tap"
    (data_path,) = [each for each in arguments if each.startswith("--data-path=")]
    return subprocess.Popen(
        [sys.executable, "-c", TWISTD, "-n", "nsqd", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stderr,
        stderr=stderr,
        cwd=data_path.partition("=")[2],
        start_new_session=True,
    )


# Signals.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_nsqd_whoever_is_connected(
    number: int, forks: ForkServer, tmp_path: Path
) -> None:
    """Exit code 0, soon: a consumer with a message, a silent client, one that speaks HTTP."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        assert post(nsqd.http, "/pub?topic=t", b"m")[0] == 200
        silent = socket.create_connection(nsqd.tcp, 10)
        web = http.client.HTTPConnection(*nsqd.http, timeout=10)
        with WireClient(nsqd.tcp) as consumer, closing(silent), closing(web):
            consumer.subscribe("t", "c", ready=1)
            message = consumer.read_message()
            web.request("GET", "/ping")
            assert web.getresponse().read() == b"OK"
            started = time.monotonic()
            assert nsqd.stop(number) == 0
            assert time.monotonic() - started < 5
            consumer.expect_closed()
            assert silent.recv(10) == b""
        said = texts(nsqd.log)
    assert said[-1] == "INFO: NSQ: bye"
    assert f"INFO: TCP: closing 127.0.0.1:{nsqd.tcp_port}" in said
    assert not [text for text in said if text.startswith(("WARNING", "ERROR", "FATAL"))]
    with Daemon(tmp_path, launch=forks.launch) as nsqd, WireClient(nsqd.tcp) as consumer:
        consumer.subscribe("t", "c", ready=1)
        again = consumer.read_message()
        assert (again.id, again.body, again.attempts) == (message.id, b"m", 2)


def test_a_client_that_does_not_read_does_not_hold_the_stop(
    forks: ForkServer, tmp_path: Path
) -> None:
    """It is cut off after a while."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd, WireClient(nsqd.tcp) as consumer:
        consumer.subscribe("t", "c")
        consumer.ready(2500)
        for _ in range(40):
            assert post(nsqd.http, "/pub?topic=t", bytes(1_000_000))[0] == 200
        assert nsqd.stop(timeout=20) == 0
        assert texts(nsqd.log)[-1] == "INFO: NSQ: bye"


def test_a_second_signal_does_no_harm(forks: ForkServer, tmp_path: Path) -> None:
    """An operator who presses Ctrl-C twice gets the same clean stop."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        nsqd.send_signal(signal.SIGINT)
        nsqd.send_signal(signal.SIGINT)
        assert nsqd.wait() == 0


def test_no_http_without_an_address(forks: ForkServer, tmp_path: Path) -> None:
    """An empty one turns HTTP off."""
    with Daemon(tmp_path, "--http-address=", launch=forks.launch) as nsqd:
        with WireClient(nsqd.tcp) as client:
            client.publish("t", b"m")
        assert nsqd.stop() == 0
        assert "HTTP:" not in nsqd.log


# One nsqd per data path.


def test_a_second_nsqd_on_a_data_path_does_not_start(forks: ForkServer, tmp_path: Path) -> None:
    """It says who may have it, and the first goes on."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        with pytest.raises(DaemonError) as caught:
            Daemon(tmp_path, launch=forks.launch)
        reason = (
            "FATAL: failed to instantiate nsqd - failed to lock data-path: cannot flock "
            f"directory {tmp_path} - resource temporarily unavailable (possibly in use by "
            "another instance of nsqd)"
        )
        assert "(exited with 1)" in str(caught.value)
        assert texts(str(caught.value))[-1] == reason
        assert get(nsqd.http, "/ping") == (200, b"OK")


def test_a_data_path_is_free_again_after_a_crash(forks: ForkServer, tmp_path: Path) -> None:
    """The lock goes with the process."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        nsqd.kill()
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        assert nsqd.stop() == 0


def files_of(path: Path) -> dict[str, bytes]:
    """All files below a directory."""
    found = [each for each in path.rglob("*") if each.is_file()]
    return {str(each.relative_to(path)): each.read_bytes() for each in found}


def fails_to_start(forks: ForkServer, data_path: Path) -> None:
    """Start nsqd with an HTTP address that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(DaemonError, match="address already in use"):
            Daemon(data_path, f"--http-address={address}", launch=forks.launch)


def test_a_start_that_fails_leaves_the_originals_metadata(
    forks: ForkServer, tmp_path: Path
) -> None:
    """What was not read is not overwritten, so that the next start finds the topics."""
    (tmp_path / "nsqd.dat").write_text(ORIGINAL)
    fails_to_start(forks, tmp_path)
    assert files_of(tmp_path) == {"nsqd.dat": ORIGINAL.encode()}


def test_a_start_that_fails_does_not_pass_for_a_clean_stop(
    forks: ForkServer, tmp_path: Path
) -> None:
    """After a crash the data path stays as the crash left it until a start recovers it."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        assert post(nsqd.http, "/pub?topic=t", b"m")[0] == 200
        nsqd.kill()
    before = files_of(tmp_path)
    fails_to_start(forks, tmp_path)
    assert files_of(tmp_path) == before


# twistd.


def test_twistd_runs_the_same_nsqd(tmp_path: Path) -> None:
    """The plugin is found, the log lines are nsqd's alone, and SIGTERM stops it cleanly."""
    with Daemon(tmp_path, launch=run_twistd) as nsqd:
        assert post(nsqd.http, "/pub?topic=t", b"m") == (200, b"OK")
        code = nsqd.stop()
        said = texts(nsqd.log)
    # Twistd ends itself by the signal that it got, when all is stopped.
    assert code == -signal.SIGTERM
    assert said[0].startswith("INFO: nsqd v1.3.0 (built w/nsqtx-")
    assert re.fullmatch(r"INFO: ID: \d+", said[1])
    assert "INFO: TOPIC(t): created" in said
    assert said[-1] == "INFO: NSQ: bye"
    assert all(re.match(r"\[nsqd\] \d{4}/", line) for line in nsqd.log.splitlines()), nsqd.log
    assert not (tmp_path / "twistd.pid").exists()


def test_twistd_says_why_nsqd_does_not_start(tmp_path: Path) -> None:
    """One line, exit code 1; a wrong flag gives the usage and exit code 2."""
    for flag, code, text in (
        (f"--data-path={tmp_path}/no", 1, "FATAL: failed to instantiate nsqd - failed to lock"),
        ("--node-id=-1", 1, "FATAL: failed to instantiate nsqd - --node-id must be [0,1024)"),
        ("--nope", 2, "flag provided but not defined: -nope"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", TWISTD, "-n", "nsqd", flag, "--tcp-address=127.0.0.1:0"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert texts(done.stderr)[0].startswith(text), done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert os.listdir(tmp_path) == []
