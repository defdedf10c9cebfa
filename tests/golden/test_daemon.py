"""Daemons started for tests: real processes that are known, watched and always ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, DaemonError, daemon_arguments
from tests.support.wireclient import WireClient


def test_arguments_that_are_added(tmp_path: Path) -> None:
    """Addresses and the data path are added where the flags do not give them."""
    flags = ["-http-address=127.0.0.1:7", "--tls-cert=x"]
    assert daemon_arguments("nsqd", flags, tmp_path) == [
        "--tcp-address=127.0.0.1:0",
        "--https-address=127.0.0.1:0",
        f"--data-path={tmp_path}",
        *flags,
    ]
    assert daemon_arguments("nsqadmin", [], None) == ["--http-address=127.0.0.1:0"]


def test_start_and_stop(tmp_path: Path) -> None:
    """A daemon says its ports, serves, and ends with 0 when asked to."""
    with Daemon(tmp_path / "data") as nsqd:
        with WireClient(nsqd.tcp) as client:
            assert client.identify()["version"] == "1.3.0"
        assert nsqd.running
        assert nsqd.http_port not in (0, nsqd.tcp_port)
        nsqd.wait_for_log("TCP: new client")
        assert nsqd.stop() == 0
        assert not nsqd.running


def test_leaving_kills(tmp_path: Path) -> None:
    """Whatever happens inside, no process is left behind."""
    with pytest.raises(ZeroDivisionError), Daemon(tmp_path / "data") as nsqd:
        raise ZeroDivisionError
    assert not nsqd.running
    assert nsqd.wait() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(nsqd.pid, 0)


def test_a_daemon_that_does_not_start(tmp_path: Path) -> None:
    """The error holds the exit code and what the daemon said."""
    with pytest.raises(DaemonError, match=r"exited with 2(?s:.)*no-such-flag"):
        Daemon(tmp_path / "data", "--no-such-flag")


def test_a_line_that_never_comes(tmp_path: Path) -> None:
    """Waiting for a log line ends with the log that there was."""
    with Daemon(tmp_path / "data") as nsqd, pytest.raises(DaemonError, match="listening on"):
        nsqd.wait_for_log("no such line", timeout=0.1)
