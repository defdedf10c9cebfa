"""The examples of the client run, together, on one nsqd."""

from __future__ import annotations

import json
import resource
import runpy
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon

EXAMPLES = Path(__file__).parents[2] / "doc/examples"


def eventually(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def end(running: list[subprocess.Popen[str]]) -> None:
    for process in running:
        process.kill()


@pytest.mark.timeout(120)
def test_orders_and_caches(tmp_path: Path) -> None:
    """A web service takes orders, a worker stores each once, an archive has all that came; and

    every listener hears of what is out of date.
    """
    database, file = tmp_path / "orders.sqlite", tmp_path / "orders.log"
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(tmp_path / "data"))
        running: list[subprocess.Popen[str]] = []
        stack.callback(end, running)

        def run(name: str, *arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [
                    sys.executable,
                    str(EXAMPLES / f"{name}.py"),
                    f"--nsqd=127.0.0.1:{daemon.tcp_port}",
                    *arguments,
                ],
                stdout=subprocess.PIPE,
                text=True,
            )
            running.append(process)
            return process

        def said(process: subprocess.Popen[str]) -> str:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "it has ended"
            return line

        def subscribed(count: int) -> bool:
            topics = json.loads(get(daemon.http, "/stats?format=json")[1])["topics"] or []
            return sum(len(each["channels"] or []) for each in topics) == count

        run("worker", str(database))
        run("archiver", "orders", str(file))
        listeners = [run("fan_out", "listen"), run("fan_out", "listen")]
        web = "127.0.0.1", int(said(run("web_publisher", "0")).split()[-1])
        eventually(lambda: subscribed(4), "subscribed")

        teller = run("fan_out", "tell", "prices")
        assert teller.wait(20) == 0
        running.remove(teller)
        assert [said(each) for each in listeners] == ["left in the cache: names\n"] * 2

        orders = [json.dumps({"number": number, "of": "tea"}) for number in range(20)]
        # The last one twice, and one that is none.
        for body in [*orders, orders[-1], "tea, please"]:
            assert post(web, "/orders", body.encode()) == (202, b"thank you\n")
        assert post(web, "/orders", b"")[0] == 400
        lines = [*orders, orders[-1], "tea, please"]
        eventually(lambda: sorted(file.read_text().splitlines()) == sorted(lines), "archived")

        def stored() -> list[int]:
            with sqlite3.connect(database) as connection:
                return [row[0] for row in connection.execute("select number from orders")]

        eventually(lambda: stored() == list(range(20)), "stored")
        for process in running:
            process.terminate()
        assert [process.wait(20) for process in running] == [0] * 5
        for process in [*running, teller]:
            assert process.stdout is not None
            process.stdout.close()


def test_an_archive_on_a_full_disk(tmp_path: Path) -> None:
    """What fits in part is an error, and is taken out again: no line begins with half of one."""
    file = tmp_path / "orders.log"
    archive = runpy.run_path(str(EXAMPLES / "archiver.py"))["Archive"](file)
    archive._write(b"one\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            archive._write(b"x" * (2 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    archive._write(b"two\n")
    archive._file.close()
    assert file.read_bytes() == b"one\ntwo\n"
