"""Other people's clients stay connected while the nsqd behind an address is another one.

The first is an nsqd of ours without a message, the second one starts on what an original left. So
it is with a swap of the original for ours, as far as clients can see.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.running import ROOT, command
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.original import bodies_of, left_by_the_original
from tests.support.waiting import eventually

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


def free_port() -> int:
    """A port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def is_consumed(nsqd: Daemon, channel: str) -> bool:
    """Whether somebody is subscribed to a channel of the orders."""
    _, body = get(nsqd.http, f"/stats?format=json&topic=orders&channel={channel}")
    return b'"client_count":1' in body


def test_clients_go_on_where_another_nsqd_is(tmp_path: Path) -> None:
    """pynsq and nsqjs come back by themselves and get each message that the original had."""
    swapped = tmp_path / "swapped"
    original = left_by_the_original("clean-stop", swapped)
    address = f"127.0.0.1:{free_port()}"
    consumers = {
        "archive": [sys.executable, "-m", "tests.interop.clients.printing_pynsq"],
        "mail": [command("nsqjs")[0], str(ROOT / "tests/interop/clients/printing_nsqjs.js")],
    }
    with ExitStack() as stack:
        before = stack.enter_context(Daemon(tmp_path / "before", f"--tcp-address={address}"))
        for create in ("/topic/create?topic=orders", "/channel/create?topic=orders&channel=mail"):
            assert post(before.http, create)[0] == 200
        for channel, program in consumers.items():
            stream = stack.enter_context((tmp_path / channel).open("wb"))
            process = stack.enter_context(
                subprocess.Popen(
                    [*program, address, "orders", channel],
                    cwd=ROOT,
                    env={**os.environ, "NODE_PATH": os.environ["NSQTX_NODE_MODULES"]},
                    stdout=stream,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
        for channel in consumers:
            eventually(lambda channel=channel: is_consumed(before, channel))  # type: ignore[misc]
        assert before.stop() == 0
        after = stack.enter_context(Daemon(swapped, f"--tcp-address={address}"))
        for channel in consumers:
            wanted = bodies_of(original, "orders", channel)
            output = tmp_path / channel

            def is_complete(output: Path = output, wanted: Counter[bytes] = wanted) -> bool:
                return not wanted - Counter(output.read_bytes().splitlines())

            eventually(is_complete, seconds=60)
            assert Counter(output.read_bytes().splitlines()) == wanted
        for channel in consumers:
            assert is_consumed(after, channel)
