"""doc/examples/node_worker.js finds our nsqd by our nsqlookupd, and does what its head says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.clientrun import ClientRun
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
        example = ROOT / "doc/examples/node_worker.js"
        lookup = f"127.0.0.1:{lookupd.http_port}"
        with ClientRun(tmp_path / "worker", [node, example, lookup, "orders", "node"]) as worker:
            eventually(lambda: "attempt 2" in worker.log, lambda: worker.log)
            assert worker.stop() == 0, worker.log
            assert {b"order 1", b"order 2"} <= set(worker.lines)
