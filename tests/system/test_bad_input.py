"""Garbage, half commands, huge sizes and wrong states against a live nsqd: it answers what the
specification says or closes, does not grow, and other clients notice nothing."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.daemon import Daemon
from tests.support.wireclient import ERROR, RESPONSE, ClosedByPeer, WireClient, sized

CODES = (
    b"E_INVALID", b"E_BAD_TOPIC", b"E_BAD_CHANNEL", b"E_BAD_MESSAGE", b"E_BAD_BODY",
    b"E_BAD_PROTOCOL", b"E_IDENTIFY_FAILED", b"E_SUB_FAILED", b"E_FIN_FAILED", b"E_REQ_FAILED",
    b"E_TOUCH_FAILED", b"E_AUTH_DISABLED",
)  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One nsqd for all of these: what one test does must not trouble the next."""
    with Daemon(tmp_path_factory.mktemp("nsqd")) as running:
        yield running


def memory(pid: int) -> int:
    """Resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def still_works(daemon: Daemon) -> None:
    """A new client can publish and consume."""
    with WireClient(daemon.tcp) as client:
        client.publish("alive#ephemeral", b"x")
        client.subscribe("alive#ephemeral", "c#ephemeral", ready=1)
        message = client.read_message()
        client.finish(message.id)


def outcome(daemon: Daemon, data: bytes, magic: bytes = b"  V2") -> list[bytes]:
    """Send bytes and end the sending side; the error frames until nsqd closes."""
    errors = []
    with WireClient(daemon.tcp, magic, timeout=5) as client:
        try:
            client.send(data)
            client.socket.shutdown(1)
            while True:
                frame = client.read()
                if frame.type == ERROR:
                    errors.append(frame.data)
                else:
                    assert frame.type == RESPONSE or frame.type == 2
        except (ClosedByPeer, BrokenPipeError, ConnectionResetError):
            pass
    return errors


NAMES = st.sampled_from([b"t", b"c", b"", b"a:b", b"x" * 64, b"x" * 65, b"t#ephemeral", b"\xff"])
NUMBERS = st.sampled_from([b"0", b"1", b"-1", b"", b"2500", b"99999999999999999999", b"1e3"])
WORDS = st.sampled_from(
    [b"PUB", b"MPUB", b"DPUB", b"SUB", b"RDY", b"FIN", b"REQ", b"TOUCH", b"CLS", b"NOP",
     b"IDENTIFY", b"AUTH", b"", b"pub", b"\x00"]
)  # fmt: skip
SIZES = st.sampled_from([0, 1, 2, 5, 100, -1, -(2**31), 2**31 - 1, 1048577, 5242881])
LINES = st.builds(
    lambda word, params: b" ".join([word, *params]) + b"\n",
    WORDS,
    st.lists(st.one_of(NAMES, NUMBERS, st.binary(min_size=16, max_size=16)), max_size=3),
)
BODIES = st.builds(lambda size, body: struct.pack(">i", size) + body, SIZES, st.binary(max_size=50))
STREAMS = st.lists(st.one_of(LINES, BODIES, st.binary(max_size=200)), max_size=12).map(b"".join)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=STREAMS)
def test_random_commands_get_an_error_or_a_clean_close(daemon: Daemon, data: bytes) -> None:
    """Whatever a client sends, nsqd answers with codes of the specification, then closes."""
    errors = outcome(daemon, data)
    for error in errors:
        assert error.startswith(CODES), error
    fatal = [e for e in errors if not e.startswith((b"E_FIN", b"E_REQ", b"E_TOUCH"))]
    assert len(fatal) <= 1


CORPUS = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls client hello": bytes.fromhex("16030100c8010000c40303") + b"\x07" * 200,
    "zeros": bytes(5000),
    "line without end": b"P" * 20000,
    "huge PUB": b"PUB t\n\x7f\xff\xff\xff",
    "negative PUB": b"PUB t\n\x80\x00\x00\x00",
    "huge count": b"MPUB t\n" + struct.pack(">ii", 1000, 2**31 - 1),
    "mpub of nothing": b"MPUB t\n" + struct.pack(">ii", 4, 0),
    "mpub short": b"MPUB t\n" + struct.pack(">iii", 12, 2, 100) + b"x",
    "mpub lies about its size": b"MPUB t\n" + struct.pack(">iii", 5242880, 1000000, 1) + b"x",
    "identify of no json": b"IDENTIFY\n" + sized(b"\x00" * 1000),
    "identify nested": b"IDENTIFY\n" + sized(b"[" * 100000),
    "fin before sub": b"FIN 0123456789abcdef\n" * 100,
    "sub twice": b"SUB t#ephemeral c#ephemeral\nSUB t#ephemeral c#ephemeral\n",
    "rdy beyond": b"SUB t#ephemeral c#ephemeral\nRDY 2501\n",
    "unknown": b"\xff\xfe\xfd\n",
    "half a command": b"PUB",
    "half a size": b"PUB t\n\x00\x00",
}


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(daemon: Daemon, name: str) -> None:
    """Each of the known nasties gets at most one fatal error, and nsqd goes on."""
    errors = outcome(daemon, CORPUS[name])
    for error in errors:
        assert error.startswith(CODES), error
    still_works(daemon)


def test_wrong_magic_gets_bad_protocol(daemon: Daemon) -> None:
    """Anything but the magic is answered once."""
    assert outcome(daemon, b"x" * 100, magic=b"GET ") == [b"E_BAD_PROTOCOL"]


def test_abuse_does_not_grow_nsqd_nor_disturb_others(daemon: Daemon) -> None:
    """Hundreds of bad connections later a bystander is still served and memory is as before."""
    chance = random.Random(7)
    with WireClient(daemon.tcp) as bystander:
        bystander.subscribe("calm#ephemeral", "c#ephemeral", ready=10)
        with WireClient(daemon.tcp) as publisher:
            for rounds in range(3):
                for i in range(100):
                    name = chance.choice(sorted(CORPUS))
                    outcome(daemon, CORPUS[name])
                    if i % 20 == 0:
                        publisher.publish("calm#ephemeral", b"%d" % i)
                        message = bystander.read_message()
                        assert message.body == b"%d" % i
                        bystander.finish(message.id)
                if rounds == 0:
                    before = memory(daemon.pid)
            assert memory(daemon.pid) < before + 8 * 1024 * 1024
    assert "Traceback" not in daemon.log


def test_s8_half_sent_bodies_are_bounded(daemon: Daemon) -> None:
    """Connections that announce bodies and never send them cost nothing like those bodies."""
    before = memory(daemon.pid)
    clients = [WireClient(daemon.tcp) for _ in range(100)]
    for client in clients:
        client.send(b"MPUB t#ephemeral\n" + struct.pack(">ii", 5_000_000, 1_000_000) + b"\x00")
    time.sleep(0.3)
    assert memory(daemon.pid) < before + 20 * 1024 * 1024
    for client in clients:
        client.close()
    still_works(daemon)


def test_s8_a_client_that_does_not_read_does_not_grow_nsqd(daemon: Daemon) -> None:
    """S8: messages for a consumer that never reads stay in the log, and OKs unread stop a flood."""
    with WireClient(daemon.tcp) as sleeper, WireClient(daemon.tcp) as publisher:
        sleeper.subscribe("flood", "c", ready=2500)
        publisher.publish("flood", b"first")
        before = memory(daemon.pid)
        body = b"x" * 100_000
        for _ in range(40):
            publisher.publish_many("flood", [body] * 25)
        assert memory(daemon.pid) < before + 80 * 1024 * 1024
        assert sleeper.read_message(20).body == b"first"
    still_works(daemon)
