"""The scenario NSQ was announced with, by the programs of doc/examples/, on real text.

A web service POSTs API events; a metrics consumer fails for a while and then catches up; an archive
consumer has everything all the time; nsqd is killed in between.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon

EXAMPLE = Path(__file__).parents[2] / "doc/examples/api_events.py"
#: The first of them one POST each, the others a hundred a request.
SINGLE, TOTAL = 2_000, 40_000


def events() -> Iterator[str]:
    """Lines of the standard library's sources, as a web service would log them."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines()):
            yield json.dumps({"path": f"/{path.stem}", "line": number, "text": line})


def run(daemon: Daemon, *arguments: str) -> subprocess.Popen[str]:
    ports = [f"--tcp-port={daemon.tcp_port}", f"--http-port={daemon.http_port}"]
    return subprocess.Popen(
        [sys.executable, str(EXAMPLE), *ports, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def channel(daemon: Daemon, name: str) -> dict[str, int]:
    status, body = get(daemon.http, f"/stats?format=json&topic=api_requests&channel={name}")
    assert status == 200
    found: dict[str, int] = json.loads(body)["topics"][0]["channels"][0]
    return found


def wait_until_drained(daemon: Daemon, name: str, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while True:
        now = channel(daemon, name)
        if not now["depth"] + now["in_flight_count"] + now["deferred_count"]:
            return
        assert time.monotonic() < until, now
        time.sleep(0.1)


def end(*processes: subprocess.Popen[str]) -> list[str]:
    """Stop consumers; what they printed."""
    texts = []
    for process in processes:
        process.terminate()
        texts.append(process.communicate(timeout=20)[0])
    return texts


@pytest.mark.timeout(300)
def test_api_events_reach_metrics_and_archive(tmp_path: Path) -> None:
    """Each channel gets every event, whatever happens to the other, and over a kill of nsqd."""
    lines = [line for line, _ in zip(events(), range(TOTAL), strict=False)]
    assert len(lines) == TOTAL
    first, rest = tmp_path / "first.jsonl", tmp_path / "rest.jsonl"
    first.write_text("\n".join(lines[:SINGLE]) + "\n")
    rest.write_text("\n".join(lines[SINGLE:]) + "\n")
    archived = tmp_path / "archive.log"
    data = tmp_path / "data"

    with Daemon(data) as daemon:
        assert post(daemon.http, "/topic/create?topic=api_requests")[0] == 200
        for name in ("metrics", "archive"):
            assert post(daemon.http, f"/channel/create?topic=api_requests&channel={name}")[0] == 200
        # The archive listens, metrics is in trouble: it gives 300 events back, forgets 200.
        archive = run(daemon, "archive", str(archived))
        failing = run(daemon, "metrics", "--fail=300", "--ignore=200", "--msg-timeout=1500")
        publisher = run(daemon, "publish", str(first))
        assert publisher.wait(120) == 0, publisher.communicate()[0]
        publisher.communicate()
        wait_until_drained(daemon, "archive")
        assert Counter(archived.read_text().splitlines()) == Counter(lines[:SINGLE])
        wait_until_drained(daemon, "metrics")
        troubled = channel(daemon, "metrics")
        assert troubled["requeue_count"] == 300
        assert troubled["timeout_count"] >= 200
        end(failing, archive)
        # Nobody consumes while the rest comes in, and then nsqd is killed.
        publisher = run(daemon, "publish", "--batch=100", str(rest))
        assert publisher.wait(120) == 0, publisher.communicate()[0]
        publisher.communicate()
        assert channel(daemon, "metrics")["depth"] == TOTAL - SINGLE
        daemon.kill()

    with Daemon(data) as daemon:
        archive = run(daemon, "archive", str(archived))
        metrics = run(daemon, "metrics")
        wait_until_drained(daemon, "archive")
        wait_until_drained(daemon, "metrics")
        _, report = end(archive, metrics)
        assert f"{TOTAL - SINGLE} events" in report
    # Complete; what was finished in the second before the kill may be there twice.
    kept = Counter(archived.read_text().splitlines())
    assert kept.keys() == set(lines)
    assert not Counter(lines) - kept
