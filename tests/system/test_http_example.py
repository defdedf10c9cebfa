"""doc/examples/django_or_flask.py publishes from threads, over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon

EXAMPLE = Path(__file__).parents[2] / "doc/examples/django_or_flask.py"


@pytest.fixture
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def test_a_view_publishes(forks: ForkServer, tmp_path: Path) -> None:
    """202 when nsqd has it, also after a restart; 400 for what it refuses, 503 when it is gone."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        address = f"127.0.0.1:{nsqd.http_port}"
        with subprocess.Popen(
            [sys.executable, str(EXAMPLE), "0"],
            env={**os.environ, "NSQD_HTTP_ADDRESS": address},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as program:
            try:
                assert program.stdout is not None
                view = ("127.0.0.1", int(program.stdout.readline().split()[-1]))
                assert post(view, "/orders", b"one") == (202, b"thank you\n")
                assert post(view, "/orders", b"")[0] == 400
                nsqd.stop()
                assert post(view, "/orders", b"lost")[0] == 503
                again = Daemon(tmp_path, f"--http-address={address}", launch=forks.launch)
                with again as nsqd:
                    assert post(view, "/orders", b"two")[0] == 202
                    _, body = get(nsqd.http, "/stats?format=json&topic=orders")
                    assert json.loads(body)["topics"][0]["depth"] == 2
            finally:
                program.kill()
