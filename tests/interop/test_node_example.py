"""doc/examples/node_worker.js finds our nsqd by our nsqlookupd, and does what its head says."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.interop.running import ROOT, command
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.waiting import eventually

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]


def test_a_worker_in_node(tmp_path: Path) -> None:
    """It gets what is published, and once more what it could not read."""
    node = command("nsqjs")[0]
    with (
        Daemon(None, program="nsqlookupd") as lookupd,
        Daemon(
            tmp_path / "data",
            f"--lookupd-tcp-address=127.0.0.1:{lookupd.tcp_port}",
            "--broadcast-address=127.0.0.1",
        ) as nsqd,
    ):
        for body in (b'{"number": 1}', b"no JSON", b'{"number": 2}'):
            assert post(nsqd.http, "/pub?topic=orders", body)[0] == 200
        eventually(lambda: b"127.0.0.1" in get(lookupd.http, "/lookup?topic=orders")[1])
        output = tmp_path / "output"
        with (
            output.open("wb") as stream,
            subprocess.Popen(
                [
                    node,
                    str(ROOT / "doc/examples/node_worker.js"),
                    f"127.0.0.1:{lookupd.http_port}",
                    "orders",
                    "node",
                ],
                env={**os.environ, "NODE_PATH": os.environ["NSQTX_NODE_MODULES"]},
                stdout=stream,
                stderr=subprocess.STDOUT,
            ) as worker,
        ):
            try:
                eventually(lambda: b"attempt 2" in output.read_bytes())
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(20) == 0
            finally:
                worker.kill()
        said = output.read_text().splitlines()
        assert {"order 1", "order 2"} <= set(said)
