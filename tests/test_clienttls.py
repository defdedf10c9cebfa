"""TLS of clients: whom they trust, what they show, and files that are no good."""

# Twisted's own doubles have no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from zope.interface import implementer

from nsqtx.clienttls import ClientTls
from nsqtx.tls import ServerTls, TlsError, TlsSettings, common_name
from tests.support.certificates import Authority


@implementer(IHandshakeListener)
class End(Protocol):
    """One end of a connection."""

    reason: Failure | None = None
    done = False

    def handshakeCompleted(self) -> None:
        """We know each other."""
        self.done = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note why."""
        self.reason = reason


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Certificates of ours, and of a stranger."""
    ours, others = Authority("ours"), Authority("others")
    (tmp_path / "ca.pem").write_bytes(ours.pem)
    (tmp_path / "other-ca.pem").write_bytes(others.pem)
    ours.write(tmp_path, "server", "nsq.example")
    ours.write(tmp_path, "client", "me")
    return tmp_path


def shake_hands(files: Path, client: ClientTls, host: str, **server: str) -> SSL.Connection:
    """The server's side of a connection after the handshake.

    :raises Exception: one of both refused.
    """
    given = TlsSettings(cert=str(files / "server.pem"), key=str(files / "server.key"), **server)
    clock = MemoryReactorClock()
    here = TLSMemoryBIOFactory(client.options(host), True, Factory.forProtocol(End), clock)
    there = TLSMemoryBIOFactory(ServerTls(given), False, Factory.forProtocol(End), clock)
    ends: list[Any] = [each.buildProtocol(IPv4Address("TCP", "h", 1)) for each in (here, there)]
    inner: list[End] = [end.wrappedProtocol for end in ends]
    transports = FakeTransport(ends[1], True), FakeTransport(ends[0], False)
    connect(ends[1], transports[0], ends[0], transports[1], clock=clock).flush()
    for end in inner:
        if end.reason is not None:
            end.reason.raiseException()
        assert end.done
    connection: SSL.Connection = ends[1]._tlsConnection
    return connection


def test_a_server_that_proves_its_name(files: Path) -> None:
    """By a certificate of whom we trust."""
    tls = ClientTls(root_ca=str(files / "ca.pem"))
    assert shake_hands(files, tls, "nsq.example").get_servername() == b"nsq.example"


def test_another_name(files: Path) -> None:
    """Is not whom we wanted."""
    tls = ClientTls(root_ca=str(files / "ca.pem"))
    with pytest.raises(VerificationError):
        shake_hands(files, tls, "other.example")


@pytest.mark.parametrize("root_ca", ["other-ca.pem", ""])
def test_a_stranger(files: Path, root_ca: str) -> None:
    """Nobody we trust, or the system trusts, says who that is."""
    tls = ClientTls(root_ca=str(files / root_ca) if root_ca else "")
    with pytest.raises(SSL.Error, match="certificate verify failed"):
        shake_hands(files, tls, "nsq.example")


@pytest.mark.parametrize("host", ["nsq.example", "other.example", "127.0.0.1", "::1"])
def test_anybody(files: Path, host: str) -> None:
    """If that is wanted; a name is told to the server, an address is not."""
    there = shake_hands(files, ClientTls(skip_verify=True), host)
    assert there.get_servername() == (None if host[-1] == "1" else host.encode())


def test_our_certificate(files: Path) -> None:
    """Is shown to a server that asks for it; without, it refuses."""
    asks = {"root_ca": str(files / "ca.pem"), "client_auth": "require-verify"}
    pair: dict[str, Any] = {"cert": str(files / "client.pem"), "key": str(files / "client.key")}
    tls = ClientTls(root_ca=str(files / "ca.pem"), **pair)
    assert common_name(shake_hands(files, tls, "nsq.example", **asks)) == "me"
    with pytest.raises(SSL.Error):
        shake_hands(files, ClientTls(root_ca=str(files / "ca.pem")), "nsq.example", **asks)


@pytest.mark.parametrize("version", ["tls1.0", "tls1.1", "tls1.2", "tls1.3"])
def test_versions(files: Path, version: str) -> None:
    """The lowest that is spoken; by default it is TLS 1.2."""
    tls = ClientTls(root_ca=str(files / "ca.pem"), min_version=version)
    assert shake_hands(files, tls, "nsq.example").get_protocol_version_name() == "TLSv1.3"
    assert ClientTls().min_version == "tls1.2"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"root_ca": "no.pem"}, "open {}/no.pem: no such file or directory"),
        ({"root_ca": "server.key"}, "{}/server.key: it is no usable PEM: there is no certificate"),
        ({"cert": "no.pem", "key": "server.key"}, "open {}/no.pem: no such file or directory"),
        ({"cert": "server.pem", "key": "server.pem"}, "{}/server.pem: it is no usable PEM: "),
    ],
)
def test_files_that_are_no_good(files: Path, given: dict[str, Any], reason: str) -> None:
    """The error names the file."""
    paths: dict[str, Any] = {name: str(files / path) for name, path in given.items()}
    tls = ClientTls(**paths)
    with pytest.raises(TlsError) as caught:
        tls.options("h")
    assert str(caught.value).startswith(reason.format(files))
