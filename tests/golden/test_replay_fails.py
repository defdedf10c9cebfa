"""The replayer accepts a daemon that keeps to the recording and finds one that does not."""

from __future__ import annotations

import socket
import zlib
from pathlib import Path
from typing import Any

import pytest
import snappy  # type: ignore[import-untyped]

from tests.golden import connection
from tests.golden.placeholders import Mismatch
from tests.golden.replay import replay
from tests.golden.scripted import Conversation, ScriptedDaemon, close_after, pause_then, say

OK = b"\0\0\0\x06\0\0\0\0OK"
ERROR = b"\0\0\0\x09\0\0\0\x01E_BAD"
MESSAGE = b"\0\0\0\x1f\0\0\0\x02" + b"\0\0\0\0\0\0\0\x05" + b"\0\x01" + b"0123456789abcdef" + b"x"

OPEN: dict[str, Any] = {"open": "A", "send": "  V2", "expect": [], "closed": False}
RECORDED_OK = {"type": 0, "text": "OK"}
RECORDED_MESSAGE = {
    "type": 2,
    "timestamp": "<timestamp>",
    "attempts": 1,
    "id": "<id:m1>",
    "body": "x",
}
PUB: dict[str, Any] = {
    "conn": "A",
    "send": "PUB t\n\0\0\0\x01x",
    "expect": [RECORDED_OK, RECORDED_MESSAGE],
    "closed": False,
}
MAGIC = (b"  V2", b"")
SENT = b"PUB t\n\0\0\0\x01x"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing tests must not take five seconds each."""
    monkeypatch.setattr(connection, "READ_SECONDS", 0.4)


def run(
    work: Path,
    steps: list[dict[str, Any]],
    tcp: Conversation | None = None,
    http: Conversation | None = None,
    exit_code: int = 0,
    **session: Any,
) -> None:
    """Replay these steps against a scripted daemon."""
    daemon = ScriptedDaemon(tcp, http, exit_code)
    daemons = [{"name": "nsqd", "program": "nsqd", "flags": []}]
    replay(
        {"name": "s", "daemons": daemons, "steps": steps, **session},
        work,
        lambda: work,
        daemon.launch,
    )


def test_as_recorded(tmp_path: Path) -> None:
    """The right answer passes, an id is learnt and sent, and the end is seen."""
    finish = {"conn": "A", "send": "FIN <id:m1>\n", "expect": [], "closed": True}
    turns = (MAGIC, (SENT, OK + MESSAGE), (b"FIN 0123456789abcdef\n", b""))
    run(tmp_path, [OPEN, PUB, finish], close_after(*turns))


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"OK", b"OJ") + MESSAGE,
        OK + MESSAGE.replace(b"x", b"y"),
        OK + MESSAGE.replace(b"\0\x01", b"\0\x02"),
        OK,
        b"",
        MESSAGE + OK,
        OK + MESSAGE + OK,
        OK + MESSAGE[:-1],
        OK + MESSAGE + b"\0",
        ERROR + MESSAGE,
    ],
    ids=[
        "wrong byte",
        "wrong body",
        "wrong attempts",
        "missing frame",
        "no answer",
        "wrong order",
        "frame too many",
        "half a frame",
        "byte too many",
        "error",
    ],
)
def test_a_wrong_answer(tmp_path: Path, answer: bytes) -> None:
    """Any difference in what is sent back fails the session and names the step."""
    with pytest.raises(Mismatch, match="step 1"):
        run(tmp_path, [OPEN, PUB], say(MAGIC, (SENT, answer)))


def test_a_connection_that_ends(tmp_path: Path) -> None:
    """A close where the connection should stay open fails."""
    with pytest.raises(Mismatch, match="closed"):
        run(tmp_path, [OPEN, PUB], close_after(MAGIC, (SENT, OK + MESSAGE)))


def test_a_connection_that_does_not_end(tmp_path: Path) -> None:
    """An open connection where it should be closed fails."""
    with pytest.raises(Mismatch, match="still open"):
        run(tmp_path, [OPEN, {**PUB, "closed": True}], say(MAGIC, (SENT, OK + MESSAGE)))


def test_a_frame_before_the_end(tmp_path: Path) -> None:
    """A frame too many before the expected close fails."""
    with pytest.raises(Mismatch, match="expected the end"):
        run(
            tmp_path,
            [OPEN, {**PUB, "closed": True}],
            close_after(MAGIC, (SENT, OK + MESSAGE + ERROR)),
        )


def test_waiting_collects_everything(tmp_path: Path) -> None:
    """What comes within the time must be exactly what was recorded."""
    wait = {"conn": "A", "wait_ms": 300, "closed": False}
    steps = [{**OPEN, "at_once": True}, {**wait, "expect": [RECORDED_OK]}]
    run(tmp_path / "1", steps, pause_then(0.1, OK))
    with pytest.raises(Mismatch, match="frames too many"):
        run(tmp_path / "2", steps, pause_then(0.1, OK + OK))
    with pytest.raises(Mismatch, match="missing"):
        run(tmp_path / "3", steps, pause_then(0.6, OK))


def test_any_order(tmp_path: Path) -> None:
    """Only where the recording allows it, the order does not matter."""
    run(tmp_path, [OPEN, {**PUB, "unordered": True}], say(MAGIC, (SENT, MESSAGE + OK)))


def compressing(kind: str) -> Conversation:
    """Answer a compressed PUB with a compressed OK that comes along with the JSON."""

    def converse(sock: socket.socket) -> None:
        sock.recv(4)
        sock.recv(100)
        if kind == "snappy":
            packer, unpacker = snappy.StreamCompressor(), snappy.StreamDecompressor()
            sock.sendall(OK + packer.add_chunk(OK))
            if unpacker.decompress(sock.recv(100)) != SENT:
                return
            sock.sendall(packer.add_chunk(OK + MESSAGE))
        else:
            deflater, inflater = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
            sock.sendall(OK + deflater.compress(OK) + deflater.flush(zlib.Z_SYNC_FLUSH))
            if inflater.decompress(sock.recv(100)) != SENT:
                return
            data = deflater.compress(OK + MESSAGE) + deflater.flush(zlib.Z_SYNC_FLUSH)
            sock.sendall(data + deflater.flush(zlib.Z_SYNC_FLUSH))
        sock.recv(1)

    return converse


@pytest.mark.parametrize("kind", ["snappy", "deflate"])
def test_compression(tmp_path: Path, kind: str) -> None:
    """After the upgrade both directions are compressed, bytes read ahead included."""
    identify = {
        "conn": "A",
        "send": "IDENTIFY\n",
        "expect": [RECORDED_OK],
        "closed": False,
    }
    upgrade = {"conn": "A", "upgrade": kind, "expect": [RECORDED_OK], "closed": False}
    run(tmp_path / "1", [OPEN, identify, upgrade, PUB], compressing(kind))
    other = {"snappy": "deflate", "deflate": "snappy"}[kind]
    with pytest.raises(Mismatch, match="step 2"):
        run(tmp_path / "2", [OPEN, identify, upgrade, PUB], compressing(other))


GET: dict[str, Any] = {
    "http": {"method": "GET", "target": "/ping"},
    "status": 200,
    "headers": {"Content-Type": "text/plain"},
    "body": "OK",
}
REQUEST = b"GET /ping HTTP/1.1\r\n"


def answering(response: bytes) -> Conversation:
    """Answer an HTTP request whatever it is."""

    def converse(sock: socket.socket) -> None:
        sock.recv(1 << 16)
        sock.sendall(response)

    return converse


def test_http(tmp_path: Path) -> None:
    """The right answer passes, chunked or with a length."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: x\r\n"
    run(tmp_path / "1", [GET], None, answering(head + b"Content-Length: 2\r\n\r\nOK"))
    chunks = b"Transfer-Encoding: chunked\r\n\r\n1\r\nO\r\n1\r\nK\r\n0\r\n\r\n"
    run(tmp_path / "2", [GET], None, answering(head + chunks))


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 404 No\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nAllow: GET\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nOK\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nOK",
        b"",
    ],
    ids=[
        "status",
        "version",
        "header",
        "header missing",
        "header too many",
        "body",
        "body breaks off",
        "nothing",
    ],
)
def test_a_wrong_http_answer(tmp_path: Path, response: bytes) -> None:
    """Status, version, recorded headers and body count."""
    with pytest.raises(Mismatch, match="step 0"):
        run(tmp_path, [GET], None, answering(response))


def test_exit_code(tmp_path: Path) -> None:
    """A daemon that ends with another code than recorded fails."""
    stop = {"stop": "nsqd", "exit_code": 0}
    run(tmp_path / "1", [stop])
    with pytest.raises(Mismatch, match="exit code"):
        run(tmp_path / "2", [stop], exit_code=1)


def test_a_stub_that_nobody_asks(tmp_path: Path) -> None:
    """A request that a stub should have got and did not get fails."""
    stub = {"responses": [{"status": 200, "body": "x"}], "requests": []}
    run(tmp_path / "1", [], stubs={"auth": stub})
    wanted = {"line": "GET / HTTP/1.1", "headers": {}, "body": ""}
    with pytest.raises(Mismatch, match="expected 1 requests"):
        run(tmp_path / "2", [], stubs={"auth": {**stub, "requests": [wanted]}})


def test_an_unknown_step(tmp_path: Path) -> None:
    """A step with a key that the replayer does not know fails instead of being passed over."""
    with pytest.raises(Mismatch, match="does not know"):
        run(tmp_path, [{"sleep_ms": 1, "shout": True}])
