"""The replayer's TLS: handshakes that work and that fail, and HTTPS, against a scripted daemon."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.golden.certificates import make_certificates
from tests.golden.placeholders import Mismatch
from tests.golden.rawhttp import Request, exchange
from tests.golden.replay import replay
from tests.golden.scripted import Conversation, ScriptedDaemon, receive

OK = b"\0\0\0\x06\0\0\0\0OK"
RECORDED_OK = {"type": 0, "text": "OK"}
OPEN: dict[str, Any] = {"open": "A", "send": "  V2", "expect": [], "closed": False}
IDENTIFY: dict[str, Any] = {
    "conn": "A",
    "send": "IDENTIFY\n",
    "expect": [RECORDED_OK],
    "closed": False,
}
NOP: dict[str, Any] = {"conn": "A", "send": "NOP\n", "expect": [RECORDED_OK], "closed": False}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with certificates."""
    path = tmp_path_factory.mktemp("certificates")
    make_certificates(path)
    return path


def server_context(certificates: Path, require: bool) -> ssl.SSLContext:
    """The TLS of a daemon."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    if require:
        context.load_verify_locations(certificates / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def upgrading(context: ssl.SSLContext) -> Conversation:
    """OK in plain, then OK inside TLS, and OK to NOP."""

    def converse(sock: socket.socket) -> None:
        receive(sock, len(b"  V2IDENTIFY\n"))
        sock.sendall(OK)
        try:
            with context.wrap_socket(sock, server_side=True) as secure:
                secure.sendall(OK)
                if receive(secure, 4) == b"NOP\n":
                    secure.sendall(OK)
                secure.recv(1)
        except ssl.SSLError:
            sock.close()

    return converse


def run(work: Path, certificates: Path, require: bool, upgrade: dict[str, Any]) -> None:
    """Replay an upgrade, and a NOP when it succeeds."""
    daemon = ScriptedDaemon(upgrading(server_context(certificates, require)))
    after = [NOP] if upgrade["handshake"] == "ok" else []
    steps = [OPEN, IDENTIFY, {"conn": "A", "upgrade": "tls", **upgrade}, *after]
    daemons = [{"name": "nsqd", "program": "nsqd", "flags": []}]
    session = {"name": "s", "daemons": daemons, "steps": steps}
    replay(session, work, lambda: certificates, daemon.launch)


WORKS: dict[str, Any] = {"handshake": "ok", "expect": [RECORDED_OK], "closed": False}
FAILS: dict[str, Any] = {"handshake": "fails", "expect": [], "closed": True}


@pytest.mark.parametrize("version", ["TLS1.2", "TLS1.3"])
def test_handshake(certificates: Path, tmp_path: Path, version: str) -> None:
    """After the handshake frames go through TLS; a handshake that works is not one that fails."""
    settings = {"max": version}
    run(tmp_path / "1", certificates, False, {**WORKS, "tls": settings})
    with pytest.raises(Mismatch, match="handshake"):
        run(tmp_path / "2", certificates, False, {**FAILS, "tls": settings})


def test_client_certificates(certificates: Path, tmp_path: Path) -> None:
    """A client's certificate is shown when the recording says so, and a refusal is a failure."""
    settings = {"max": "TLS1.2", "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
    mine, stranger = {**settings, "client_cert": "client"}, {**settings, "client_cert": "stranger"}
    run(tmp_path / "1", certificates, True, {**WORKS, "tls": mine})
    run(tmp_path / "2", certificates, True, {**FAILS, "tls": settings})
    run(tmp_path / "3", certificates, True, {**FAILS, "tls": stranger})
    run(tmp_path / "4", certificates, False, {**FAILS, "tls": {"max": "TLS1.1"}})
    with pytest.raises(Mismatch, match="handshake"):
        run(tmp_path / "5", certificates, True, {**WORKS, "tls": stranger})


def test_https(certificates: Path) -> None:
    """An HTTP exchange may go through TLS."""
    context = server_context(certificates, False)

    def answer(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secure:
            secure.recv(1000)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(certificates / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        daemon = ScriptedDaemon(http=answer)
        daemon.serve(listener, answer)
        response = exchange(listener.getsockname(), Request("GET", "/", {}), client)
    assert (response.status, response.body) == (200, b"OK")
