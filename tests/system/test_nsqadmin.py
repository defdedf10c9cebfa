"""nsqadmin as a process, beside a real nsqd and nsqlookupd: start, twistd, TLS, stop."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.certificates import Authority
from tests.support.daemon import Daemon, RunningProcess

TWISTD = "from twisted.scripts.twistd import run; run()"


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported the daemons and forks them when they are wanted."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def run_twistd(module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
    """Start nsqadmin as ``twistd -n nsqadmin``."""
    assert module == "nsqtx.nsqadmin.tap"
    return subprocess.Popen(
        [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "nsqadmin", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stderr,
        stderr=stderr,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )


def ask(daemon: Daemon, path: str) -> Any:
    """The JSON of an answer."""
    status, body = get(daemon.http, path)
    assert status == 200, body
    return json.loads(body)


def test_a_cluster(forks: ForkServer, tmp_path: Path) -> None:
    """What is published is seen through nsqlookupd; SIGTERM ends it with 0, and says so."""
    with Daemon(None, program="nsqlookupd", launch=forks.launch) as lookupd:
        told = f"--lookupd-tcp-address=127.0.0.1:{lookupd.tcp_port}"
        flags = ("--broadcast-address=127.0.0.1", told)
        asked = f"--lookupd-http-address=127.0.0.1:{lookupd.http_port}"
        with (
            Daemon(tmp_path / "n", *flags, launch=forks.launch) as nsqd,
            Daemon(None, asked, program="nsqadmin", launch=forks.launch) as admin,
        ):
            assert post(nsqd.http, "/pub?topic=t", b"x")[0] == 200
            deadline = time.monotonic() + 10
            while not ask(admin, "/api/topics")["topics"] and time.monotonic() < deadline:
                time.sleep(0.05)
            topic = ask(admin, "/api/topics/t")
            assert (topic["message_count"], topic["message"]) == (1, "")
            assert get(admin.http, "/")[0] == 200
            assert admin.stop() == 0
            assert "INFO: HTTP: closing " in admin.log
            assert "Traceback" not in admin.log


def test_twistd_and_tls(forks: ForkServer, tmp_path: Path) -> None:
    """The plugin is found; an nsqd that demands HTTPS is asked that way."""
    ours = Authority("ours")
    (tmp_path / "ca.pem").write_bytes(ours.pem)
    ours.write(tmp_path, "server", "localhost")
    files = (f"--tls-cert={tmp_path}/server.pem", f"--tls-key={tmp_path}/server.key")
    flags = (*files, "--tls-required=true", "--broadcast-address=localhost")
    with Daemon(tmp_path / "n", *flags, launch=forks.launch) as nsqd:
        asked = f"--nsqd-http-address=localhost:{nsqd.http_port}"
        trusted = f"--http-client-tls-root-ca-file={tmp_path}/ca.pem"
        with Daemon(None, asked, trusted, program="nsqadmin", launch=run_twistd) as admin:
            (node,) = ask(admin, "/api/nodes")["nodes"]
            assert node["http_port"] == nsqd.http_port
            assert all(line.startswith("[nsqadmin] ") for line in admin.log.splitlines())
        with Daemon(None, asked, program="nsqadmin", launch=forks.launch) as admin:
            status, body = get(admin.http, "/api/nodes")
            assert status == 502
            assert b"certificate verify failed" in body
