"""A site behind TLS, and those who speak something else to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from nsqtx.tls import ServerTls, TlsSettings
from nsqtx.web.https import HttpsConnection, HttpsFactory
from tests.support.certificates import authority
from tests.support.http import TcpTransport, request_bytes
from tests.support.tlsclient import TlsClient, client_context
from tests.support.webapp import ShowApi


@pytest.fixture
def api() -> ShowApi:
    """An API with all kinds of endpoints."""
    return ShowApi()


def connect(api: ShowApi, path: Path) -> tuple[HttpsConnection, TcpTransport]:
    authority().write(path, "server", "server")
    tls = ServerTls(TlsSettings(cert=str(path / "server.pem"), key=str(path / "server.key")))
    connection = HttpsFactory(tls, api.site, api.clock).buildProtocol(None)
    assert isinstance(connection, HttpsConnection)
    transport = TcpTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
    connection.makeConnection(transport)
    return connection, transport


def test_requests_through_tls(api: ShowApi, tmp_path: Path) -> None:
    """They are answered as over plain HTTP, one after the other."""
    connection, transport = connect(api, tmp_path)
    client = TlsClient(client_context())
    while not client.secured:
        client.feed(b"")
        connection.dataReceived(client.output())
        client.feed(transport.value())
        transport.clear()
    connection.dataReceived(client.output())
    for _ in range(2):
        connection.dataReceived(client.encrypt(request_bytes("GET", "/value")))
        api.clock.advance(0)
        answer = client.feed(transport.value())
        transport.clear()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nOK")
    assert not transport.disconnecting


def test_plain_http_is_told(api: ShowApi, tmp_path: Path) -> None:
    """Whoever sends a plain request gets the answer of nsqd-http section 1, and the end."""
    connection, transport = connect(api, tmp_path)
    connection.dataReceived(b"GE")
    connection.dataReceived(b"T / HTTP/1.1\r\n\r\n")
    head, _, body = transport.value().partition(b"\r\n\r\n")
    assert head == b"HTTP/1.0 400 Bad Request"
    assert body == b"Client sent an HTTP request to an HTTPS server.\n"
    assert transport.disconnecting


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\x05hello", b"\x00" * 100, b"\x80\x01\x01"])
def test_what_is_no_tls_is_closed(api: ShowApi, tmp_path: Path, data: bytes) -> None:
    """There is no answer but an alert, and no line in the log."""
    connection, transport = connect(api, tmp_path)
    with capturedLogs() as logs:
        connection.dataReceived(data)
        connection.connectionLost(Failure(ConnectionDone()))
    assert transport.disconnecting or data == b"\x80\x01\x01"
    assert not transport.value() or transport.value()[:1] == b"\x15"
    assert not logs
