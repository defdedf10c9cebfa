"""Runs other people's clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.interop.clients.traffic import Task

__all__ = ["CLIENTS", "ROOT", "run"]

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ("pynsq", "gnsq", "nsqjs")
#: A client that has not done its task after so long (seconds) never will.
TIMEOUT = 120.0


def command(client: str) -> list[str]:
    """How to run a client's script. Fails when the client is not installed."""
    if client != "nsqjs":
        return [sys.executable, "-m", f"tests.interop.clients.{client}_client"]
    node = shutil.which("node")
    if node is None:
        pytest.fail("nsqjs needs Node.js, and there is no `node` on the PATH")
    modules = os.environ.get("NSQTX_NODE_MODULES", "")
    if not Path(modules, "nsqjs").is_dir():
        pytest.fail(
            "NSQTX_NODE_MODULES must name a node_modules directory with nsqjs in it; "
            "`npm install --prefix DIR nsqjs` makes DIR/node_modules"
        )
    return [node, str(ROOT / "tests/interop/clients/nsqjs_client.js")]


def run(client: str, task: Task, look: Callable[[], None] | None = None) -> dict[str, Any]:
    """Have a client do its task; what it says of the messages, nothing if it does not consume.

    ``look`` is called when it has done everything and its connections are still open.
    """
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [*command(client), json.dumps(attrs.asdict(task))],
            cwd=ROOT,
            env={**os.environ, "NODE_PATH": os.environ.get("NSQTX_NODE_MODULES", "")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(TIMEOUT, process.kill)
        timer.start()
        try:
            said = process.stdout.readline()
            if said and look:
                look()
            process.stdin.close()
            process.wait()
        finally:
            timer.cancel()
            process.kill()
        errors.seek(0)
        assert process.returncode == 0, f"{client} {task}: {errors.read()}"
    result: dict[str, Any] = json.loads(said) if said else {}
    return result
