"""S3: a full disk refuses messages and loses none; consumers drain it and it works again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.wireclient import ERROR, WireClient, sized


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A data path on a tmpfs of 2 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", os.fspath(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", os.fspath(path)], check=True)


def publish_until_refused(daemon: Daemon, start: int) -> list[bytes]:
    """PUB 1,000-byte messages one by one until nsqd says no; those answered OK."""
    kept: list[bytes] = []
    with WireClient(daemon.tcp) as client:
        for i in range(start, start + 10_000):
            body = b"%06d" % i + b"x" * 994
            client.send(b"PUB t\n" + sized(body))
            frame = client.read()
            if frame.type == ERROR:
                assert frame.data.startswith(b"E_PUB_FAILED PUB failed "), frame
                assert b"no space left on device" in frame.data.lower(), frame
                client.expect_closed()
                return kept
            kept.append(body)
    raise AssertionError("the disk never filled")


@pytest.mark.root
@pytest.mark.parametrize("durability", ["os", "fsync"])
def test_s3_full_disk(small_disk: Path, durability: str) -> None:
    """Every message answered OK is kept; the others are refused; drained, nsqd works again."""
    flag = f"--durability={durability}"
    with Daemon(small_disk, flag) as daemon:
        assert post(daemon.http, "/topic/create?topic=t")[0] == 200
        assert post(daemon.http, "/channel/create?topic=t&channel=c")[0] == 200
        kept = publish_until_refused(daemon, 0)
        assert len(kept) > 1_000
        status, text = get(daemon.http, "/ping")
        assert (status, text[:6]) == (500, b"NOK - ")
        assert post(daemon.http, "/pub?topic=t", b"y" * 1000) == (503, b'{"message":"EXITING"}')
        with WireClient(daemon.tcp) as client:
            bodies = [b"m" * 1000, b"n" * 1000]
            inner = (2).to_bytes(4, "big") + b"".join(map(sized, bodies))
            client.send(b"MPUB t\n" + sized(inner))
            client.expect_error(b"E_MPUB_FAILED MPUB failed ")
        with WireClient(daemon.tcp) as client:
            client.send(b"DPUB t 1000\n" + sized(b"d" * 1000))
            client.expect_error(b"E_DPUB_FAILED DPUB failed ")
        # A crash on the full disk loses nothing either.
        daemon.kill()
    with Daemon(small_disk, flag) as daemon:
        with WireClient(daemon.tcp) as client:
            client.subscribe("t", "c", ready=100)
            messages = []
            for _ in kept:
                messages.append(client.read_message())
                client.finish(messages[-1].id)
            assert {message.body for message in messages} == set(kept)
            assert client.silent(0.3)
            # All is finished: within a checkpoint or two there is room again.
            deadline = time.monotonic() + 10
            while post(daemon.http, "/pub?topic=t", b"z" * 1000)[0] != 200:
                assert time.monotonic() < deadline, daemon.log
                time.sleep(0.1)
            assert client.read_message().body == b"z" * 1000
        assert get(daemon.http, "/ping") == (200, b"OK")
        assert len(publish_until_refused(daemon, 50_000)) > 500
