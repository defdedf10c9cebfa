"""nsqd whose auth server is killed under load, and comes back."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.golden.forked import ForkServer
from tests.golden.stubs import StubServer
from tests.support.authservers import ALL
from tests.support.daemon import Daemon
from tests.support.wireclient import WireClient, sized


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it for each test."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def answers(ttl: int) -> list[dict[str, Any]]:
    return [{"status": 200, "body": {**ALL, "ttl": ttl}}]


@contextmanager
def authed(daemon: Daemon) -> Iterator[WireClient]:
    """A client that has done its AUTH."""
    with WireClient(daemon.tcp) as client:
        client.send(b"AUTH\n" + sized(b"s3cret"))
        assert b'"identity":"me"' in client.read().data
        yield client


class Load(threading.Thread):
    """Publishes, one message after the other, until it is told to stop or refused."""

    def __init__(self, client: WireClient) -> None:
        super().__init__(daemon=True)
        self._client = client
        self.count = 0
        self.stopping = False
        self.refusal = b""

    def run(self) -> None:
        while not self.stopping:
            self._client.send(b"PUB t\n" + sized(b"%d" % self.count))
            frame = self._client.read()
            if frame.data != b"OK":
                self.refusal = frame.data
                return
            self.count += 1

    def grow(self, consumer: WireClient) -> None:
        """Until some more messages were published, consumed and finished."""
        wanted = self.count + 50
        while self.count < wanted:
            assert self.is_alive(), self.refusal
            consumer.finish(consumer.read_message().id)


def test_the_auth_server_dies_under_load(tmp_path: Path, forks: ForkServer) -> None:
    """Who is subscribed or within its ttl goes on; beyond it AUTH fails; then all is well again."""
    server = StubServer(answers(3600))
    port = int(server.address.rpartition(":")[2])
    with (
        Daemon(
            tmp_path / "data", f"--auth-http-address={server.address}", launch=forks.launch
        ) as daemon,
        authed(daemon) as consumer,
        authed(daemon) as publisher,
    ):
        consumer.subscribe("t", "c", ready=10)
        load = Load(publisher)
        load.start()
        load.grow(consumer)
        server.close()
        server = StubServer(answers(1), port)
        with authed(daemon) as short:
            short.publish("t", b"short")
            server.close()
            load.grow(consumer)
            with WireClient(daemon.tcp) as stranger:
                stranger.send(b"AUTH\n" + sized(b"s3cret"))
                assert stranger.expect_error(b"E_AUTH_FAILED") == b"E_AUTH_FAILED AUTH failed"
                stranger.expect_closed()
            deadline = time.monotonic() + 10
            refused = Load(short)
            refused.start()
            while refused.is_alive() and time.monotonic() < deadline:
                load.grow(consumer)
            assert refused.refusal == b"E_AUTH_FAILED AUTH failed"
        load.grow(consumer)
        server = StubServer(answers(3600), port)
        with authed(daemon) as again:
            again.publish("u", b"x")
        load.stopping = True
        while load.is_alive():
            try:
                consumer.finish(consumer.read_message(0.2).id)
            except TimeoutError:
                pass
        load.join()
        assert load.refusal == b""
        assert "s3cret" not in daemon.log
        server.close()
        assert daemon.stop() == 0


def test_slow_auth_server_and_shutdown(tmp_path: Path, forks: ForkServer) -> None:
    """nsqd stops at once though a client waits for an auth server that says nothing."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Daemon(
            tmp_path / "data",
            f"--auth-http-address=127.0.0.1:{silent.getsockname()[1]}",
            launch=forks.launch,
        ) as daemon,
        WireClient(daemon.tcp) as client,
    ):
        client.send(b"AUTH\n" + sized(b"s3cret") + b"PUB t\n" + sized(b"x"))
        connection, _ = silent.accept()
        with connection:
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 4
            client.expect_closed()


def self_signed(name: str) -> bytes:
    """A certificate that signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_https(tmp_path: Path, forks: ForkServer) -> None:
    """An auth server by https must have its name in a certificate of one of the authorities."""
    known = tmp_path / "server.pem"
    known.write_bytes(self_signed("localhost"))
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(self_signed("other.example") + known.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(known)
    server = StubServer(answers(60), tls=context)
    port = server.address.rpartition(":")[2]
    asked = (
        # By an address that is not in the certificate, and without knowing the authority.
        ("127.0.0.1", f"--tls-root-ca-file={authorities}", False),
        ("localhost", "--tls-root-ca-file=", False),
        ("localhost", f"--tls-root-ca-file={authorities}", True),
    )
    for number, (host, flag, trusted) in enumerate(asked):
        url = f"--auth-http-address=https://{host}:{port}/auth"
        flags = (url, flag, "--tls-min-version=tls1.3")
        with (
            Daemon(tmp_path / str(number), *flags, launch=forks.launch) as daemon,
            WireClient(daemon.tcp) as client,
        ):
            client.send(b"AUTH\n" + sized(b"s3cret"))
            assert (b'"identity":"me"' in client.read().data) is trusted
            if not trusted:
                daemon.wait_for_log("ERROR: auth server .*certificate|VerificationError")
    server.close()
