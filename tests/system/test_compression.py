"""Compressed connections to a live nsqd: long streams, and streams that are meant to hurt."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import authority
from tests.support.daemon import Daemon
from tests.support.upgradedclient import UpgradedClient
from tests.support.wireclient import WireClient, sized

MiB = 1024 * 1024
IDENTIFIER = b"\xff\x06\x00\x00sNaPpY"
LAYERS = ("snappy", "deflate", "tls+snappy", "tls+deflate")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One nsqd for all of these: what one test does must not trouble the next."""
    path = tmp_path_factory.mktemp("nsqd")
    authority().write(path, "server", "localhost")
    flags = (f"--tls-cert={path / 'server.pem'}", f"--tls-key={path / 'server.key'}")
    with Daemon(path / "data", *flags) as running:
        yield running


def connect(daemon: Daemon, layers: str) -> UpgradedClient:
    """A client with these layers."""
    return UpgradedClient(daemon.tcp, layers.split("+"), deflate_level=1)


def memory(daemon: Daemon) -> int:
    """Resident memory in bytes."""
    pages = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1])
    return pages * 4096


def still_works(daemon: Daemon, layers: str = "") -> None:
    """A new client can publish and consume."""
    with connect(daemon, layers) if layers else WireClient(daemon.tcp) as client:
        client.publish("alive#ephemeral", b"x")
        client.subscribe("alive#ephemeral", "c#ephemeral", ready=1)
        client.finish(client.read_message().id)


def carry(daemon: Daemon, layers: str, megabytes: int) -> None:
    """Publish and consume so many MiB, half of it noise, one MPUB of 1 MiB after the other."""
    noise = random.Random(1)
    topic = f"{layers.replace('+', '_')}#ephemeral"
    with connect(daemon, layers) as consumer, connect(daemon, layers) as publisher:
        consumer.subscribe(topic, "c#ephemeral", ready=100)
        for number in range(megabytes):
            bodies = [noise.randbytes(16384) + b"%d" % number * (16384 // 3) for _ in range(32)]
            publisher.publish_many(topic, bodies)
            messages = consumer.read_messages(len(bodies))
            consumer.finish_all(messages)
            assert [message.body for message in messages] == bodies


@pytest.mark.parametrize(
    "megabytes", [10, pytest.param(100, marks=[pytest.mark.interop, pytest.mark.timeout(300)])]
)
@pytest.mark.parametrize("layers", ["snappy", "deflate", "tls+snappy"])
def test_a_long_stream(daemon: Daemon, layers: str, megabytes: int) -> None:
    """A long stream through a codec in and out leaves nsqd no larger than a short one does.

    100 MiB are carried where other people's clients are tested, since that takes its time.
    """
    carry(daemon, layers, 4)
    before = memory(daemon)
    carry(daemon, layers, megabytes)
    assert memory(daemon) - before < 4 * MiB


# -- bombs ---------------------------------------------------------------------------------------


def deflate_bomb(start: bytes, plain: bytes, times: int) -> bytes:
    """A raw deflate stream of ``start`` and then ``plain`` over and over; made in no time."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = compressor.compress(start) + compressor.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers to what was before, so that the piece can be repeated.
    return head + (compressor.compress(plain) + compressor.flush(zlib.Z_FULL_FLUSH)) * times


BOMBS = {
    "a line without end": (b"", b"P" * MiB),
    "a body beyond the limit": (b"PUB t#ephemeral\n\x7f\xff\xff\xff", bytes(MiB)),
    "an IDENTIFY": (b"IDENTIFY\n\x7f\xff\xff\xff", b"[" * MiB),
    "an MPUB of very many": (b"MPUB t#ephemeral\n\x00\x4f\xff\xff\x7f\xff\xff\xff", bytes(MiB)),
}


@pytest.mark.parametrize("tls", ["", "tls+"], ids=["", "tls"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_cut_off(daemon: Daemon, name: str, tls: str) -> None:
    """1 GiB in 1 MB ends at the limit that it breaks, and costs nsqd nothing to speak of."""
    start, plain = BOMBS[name]
    bomb = deflate_bomb(start, plain, 1024)
    assert len(bomb) < 1.1 * MiB
    still_works(daemon, f"{tls}deflate")
    before = memory(daemon)
    started = time.monotonic()
    with WireClient(daemon.tcp) as bystander:
        with connect(daemon, f"{tls}deflate") as client:
            try:
                client.send_raw(bomb)
            except (BrokenPipeError, ConnectionResetError):
                pass
            else:
                while client.socket.recv(65536):
                    pass
        bystander.publish("calm#ephemeral", b"x")
    assert time.monotonic() - started < 10
    assert memory(daemon) - before < 8 * MiB
    still_works(daemon, f"{tls}deflate")


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("end", ["garbage", "truncated"])
def test_a_stream_that_ends_badly(daemon: Daemon, layers: str, end: str) -> None:
    """What cannot be decompressed closes its connection, without an error frame; so does a stream
    that stops in the middle of a command. Nobody else notices."""
    with WireClient(daemon.tcp) as bystander, connect(daemon, layers) as client:
        whole = client._encode(b"PUB t#ephemeral\n" + sized(b"x" * 1000))
        if end == "garbage":
            client.send_raw(b"\x07\x07 this is neither of them \xff" * 100)
        else:
            client.send_raw(whole[: len(whole) // 2])
            client.socket.close()
        if end == "garbage":
            client.expect_closed()
        bystander.publish("calm#ephemeral", b"x")
    still_works(daemon, layers)
