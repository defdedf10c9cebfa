"""TLS with a running nsqd: a certificate is replaced under load, and peers speak no TLS."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.certificates import authority
from tests.support.daemon import Daemon
from tests.support.tlsclient import client_context
from tests.support.wireclient import ClosedByPeer, WireClient


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nsqd's certificate is."""
    path = tmp_path_factory.mktemp("certificates")
    authority().write(path, "server", "first")
    return path


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Daemon]:
    """One nsqd with a certificate."""
    flags = (f"--tls-cert={certificates}/server.pem", f"--tls-key={certificates}/server.key")
    with Daemon(tmp_path_factory.mktemp("nsqd"), *flags) as running:
        yield running


def secured(daemon: Daemon) -> WireClient:
    """A client that has upgraded to TLS."""
    client = WireClient(daemon.tcp)
    assert client.identify(tls_v1=True)["tls_v1"]
    client.socket = client_context().wrap_socket(client.socket)
    client.expect()
    return client


def server_name(client: WireClient) -> str:
    """The common name that the server showed this client."""
    assert isinstance(client.socket, ssl.SSLSocket)
    der = client.socket.getpeercert(binary_form=True)
    assert der is not None
    subject = x509.load_der_x509_certificate(der).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_a_certificate_is_replaced_under_load(daemon: Daemon, certificates: Path) -> None:
    """Publishers and consumers that are connected go on; who connects after that sees the new one.
    Between certificate and key, the old pair serves."""
    stop = threading.Event()
    counts = [0, 0]
    failures: list[BaseException] = []

    def publish(number: int) -> None:
        try:
            with secured(daemon) as client:
                while not stop.is_set():
                    client.publish("load", b"x" * 200)
                    counts[number] += 1
        except BaseException as error:
            failures.append(error)

    with secured(daemon) as consumer:
        consumer.subscribe("load", "c", ready=100)
        publishers = [threading.Thread(target=publish, args=(number,)) for number in range(2)]
        for publisher in publishers:
            publisher.start()
        for name in ("second", "third"):
            consumer.finish_all(consumer.read_messages(50))
            certificate, key = authority().issue(name)
            (certificates / "server.pem").write_bytes(certificate)
            with secured(daemon) as between:
                assert server_name(between) not in ("third", name)
            (certificates / "server.key").write_bytes(key)
            with secured(daemon) as after:
                assert server_name(after) == name
        consumer.finish_all(consumer.read_messages(50))
        stop.set()
        for publisher in publishers:
            publisher.join(10)
        assert not failures
        consumer.finish_all(consumer.read_messages(sum(counts) - 150))
        assert server_name(consumer) == "first"
    daemon.wait_for_log("TLS: the certificate stays as it was - .*server.key")


def test_no_tls_at_all(daemon: Daemon) -> None:
    """Garbage in the place of a handshake, or inside TLS, ends that connection and no other."""
    with secured(daemon) as other:
        for data in (b"\x16\x03\x01\x02\x00" + os.urandom(512), os.urandom(300), b"\n" * 10):
            with WireClient(daemon.tcp) as client:
                client.identify(tls_v1=True)
                client.send(data)
                answer = b""
                while piece := client.socket.recv(1 << 16):
                    answer += piece
                assert b"E_IDENTIFY_FAILED IDENTIFY failed " in answer
        broken = secured(daemon)
        os.write(broken.socket.fileno(), b"\x17\x03\x03\x00\x20" + os.urandom(32))
        with pytest.raises((ClosedByPeer, ssl.SSLError)):
            broken.expect()
        broken.close()
        other.publish("alive#ephemeral", b"x")


def test_publishes_over_https(daemon: Daemon) -> None:
    """What is answered past Klein is answered inside TLS, too."""
    url = f"https://127.0.0.1:{daemon.https_port}"
    for target in ("/pub?topic=https", "/mpub?topic=https"):
        with urlopen(f"{url}{target}", b"one", context=client_context()) as answer:
            assert answer.read() == b"OK"
    with WireClient(daemon.tcp) as client:
        client.subscribe("https", "c", ready=2)
        assert [each.body for each in client.read_messages(2)] == [b"one", b"one"]
