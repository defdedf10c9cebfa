"""Certificates from files, what is asked of clients, and what is said about a connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.logger import LogEvent, capturedLogs

from nsqtx import tls
from nsqtx.tls import ServerTls, TlsError, TlsSettings
from tests.support.certificates import Authority, authority
from tests.support.tlsclient import TlsClient, client_context


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with ``ca.pem``, and certificate and key of a server and of a client."""
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    authority().write(tmp_path, "server", "server one")
    authority().write(tmp_path, "client", "client one")
    return tmp_path


@pytest.fixture
def events() -> Iterator[Sequence[LogEvent]]:
    """What is logged."""
    with capturedLogs() as captured:
        yield captured


def formats(events: Sequence[LogEvent]) -> list[str]:
    return [str(event.get("log_format")) for event in events]


def server(files: Path, **settings: str) -> ServerTls:
    return ServerTls(
        TlsSettings(cert=str(files / "server.pem"), key=str(files / "server.key"), **settings)
    )


def shake_hands(server: ServerTls, client: TlsClient) -> SSL.Connection:
    """The server's side of a connection after the handshake.

    :raises SSL.Error: the server refused.
    """
    connection = server.connection()
    for _ in range(4):
        client.feed(b"")
        data = client.output()
        if data:
            connection.bio_write(data)
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            client.feed(connection.bio_read(1 << 16))
        except SSL.WantReadError:
            pass
    assert client.secured
    return connection


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (ssl.TLSVersion.TLSv1, "TLS1.0"),
        (ssl.TLSVersion.TLSv1_1, "TLS1.1"),
        (ssl.TLSVersion.TLSv1_2, "TLS1.2"),
        (ssl.TLSVersion.TLSv1_3, "TLS1.3"),
    ],
)
def test_every_version_is_spoken_and_refused(
    files: Path, version: ssl.TLSVersion, name: str
) -> None:
    """By default all from 1.0 on; with a minimum, those from there on."""
    client = TlsClient(client_context(version=version))
    assert tls.version_name(shake_hands(server(files), client)) == name
    for minimum in ("tls1.1", "tls1.2", "tls1.3"):
        client = TlsClient(client_context(version=version))
        if name.lower() >= minimum:
            shake_hands(server(files, min_version=minimum), client)
        else:
            with pytest.raises((SSL.Error, ssl.SSLError)):
                shake_hands(server(files, min_version=minimum), client)


@pytest.mark.parametrize(
    ("cipher", "shown"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-ECDSA-AES256-SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", f"Unknown {0xC02C}"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", f"Unknown {0xCCA9}"),
    ],
)
def test_cipher_suites_have_names_or_numbers(files: Path, cipher: str, shown: str) -> None:
    """Thirteen have names; the others are shown by their number (nsqd-tcp section 9)."""
    context = client_context(version=ssl.TLSVersion.TLSv1_2, ciphers=cipher)
    assert tls.cipher_suite(shake_hands(server(files), TlsClient(context))) == shown


def test_numbers_of_cipher_suites_are_right() -> None:
    """Those of the table are those that another OpenSSL has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    numbers = {each["name"]: each["id"] & 0xFFFF for each in context.get_ciphers()}
    assert {name: number for name, (number, _) in tls._SUITES.items()} == {
        name: numbers[name] for name in tls._SUITES
    }


def test_tls_1_3_prefers_the_suite_of_the_original(files: Path) -> None:
    """Clients of TLS 1.3 get AES-128-GCM, which has no name."""
    assert tls.cipher_suite(shake_hands(server(files), TlsClient(client_context()))) == (
        "Unknown 4865"
    )


def test_no_policy_asks_for_no_certificate(files: Path) -> None:
    """A client that has one is not asked for it, so there is no common name."""
    for policy in ("", "whatever"):
        client = TlsClient(client_context(files / "client.pem"))
        assert tls.common_name(shake_hands(server(files, client_auth=policy), client)) == ""


@pytest.mark.parametrize("policy", ["require", "require-verify"])
def test_a_required_certificate_must_be_there(files: Path, policy: str) -> None:
    """Without one the handshake fails; with one there is a common name."""
    asking = server(files, client_auth=policy, root_ca=str(files / "ca.pem"))
    with pytest.raises((SSL.Error, ssl.SSLError)):
        shake_hands(asking, TlsClient(client_context()))
    client = TlsClient(client_context(files / "client.pem"))
    assert tls.common_name(shake_hands(asking, client)) == "client one"


def test_only_require_verify_verifies(files: Path) -> None:
    """A certificate of an unknown authority is enough for one policy, and not for the other."""
    Authority("another CA").write(files, "stranger", "stranger")
    root_ca = str(files / "ca.pem")
    client = TlsClient(client_context(files / "stranger.pem"))
    connection = shake_hands(server(files, client_auth="require", root_ca=root_ca), client)
    assert tls.common_name(connection) == "stranger"
    for settings in ({"root_ca": root_ca}, {}):
        client = TlsClient(client_context(files / "stranger.pem"))
        with pytest.raises((SSL.Error, ssl.SSLError)):
            shake_hands(server(files, client_auth="require-verify", **settings), client)


def test_a_replaced_certificate_is_used_by_the_next_handshake(
    files: Path, events: Sequence[LogEvent]
) -> None:
    """Connections that are open go on with theirs."""
    replaced = server(files)
    old = TlsClient(client_context())
    connection = shake_hands(replaced, old)
    authority().write(files, "server", "server two")
    new = TlsClient(client_context())
    shake_hands(replaced, new)
    assert (old.common_name(), new.common_name()) == ("server one", "server two")
    connection.send(b"still here")
    assert old.feed(connection.bio_read(1 << 16)) == b"still here"
    assert formats(events) == ["TLS: certificate re-read from {path}"]


def _half_written(files: Path) -> None:
    (files / "server.pem").write_bytes(authority().pem[:100])


def _without_key(files: Path) -> None:
    (files / "server.pem").write_bytes(authority().issue("server two")[0])


def _gone(files: Path) -> None:
    (files / "server.key").unlink()


@pytest.mark.parametrize("spoil", [_half_written, _without_key, _gone])
def test_a_bad_replacement_is_not_used(
    files: Path, events: Sequence[LogEvent], spoil: Callable[[Path], None]
) -> None:
    """The old certificate stays, the log says so once, and a good one is taken when it comes."""
    replaced = server(files)
    spoil(files)
    for _ in range(2):
        client = TlsClient(client_context())
        shake_hands(replaced, client)
        assert client.common_name() == "server one"
    assert formats(events) == ["TLS: the certificate stays as it was - {error}"]
    authority().write(files, "server", "server three")
    client = TlsClient(client_context())
    shake_hands(replaced, client)
    assert client.common_name() == "server three"


def test_sessions_are_not_resumed(files: Path) -> None:
    """A client that comes back is asked for its certificate again; its old session does no harm."""
    asking = server(files, client_auth="require-verify", root_ca=str(files / "ca.pem"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(files / "client.pem", version=version)
        first = TlsClient(context)
        shake_hands(asking, first)
        again = TlsClient(context, session=first.tls.session)
        assert tls.common_name(shake_hands(asking, again)) == "client one"
        assert not again.tls.session_reused


def test_what_cannot_be_read_is_named(files: Path) -> None:
    """A file that is missing or no certificate, and a key of another certificate, are refused."""
    with pytest.raises(TlsError, match=r"^open .*/no\.pem: no such file or directory$"):
        server(files, root_ca=str(files / "no.pem"))
    (files / "ca.pem").write_bytes(b"no certificate")
    with pytest.raises(TlsError, match=r"/ca\.pem: "):
        server(files, root_ca=str(files / "ca.pem"))
    (files / "server.key").write_bytes((files / "client.key").read_bytes())
    with pytest.raises(TlsError, match=r"/server\.key: .*mismatch"):
        server(files)
    (files / "server.pem").write_bytes(b"")
    with pytest.raises(TlsError, match=r"/server\.pem: "):
        server(files)


def test_an_encrypted_key_is_refused(files: Path) -> None:
    """There is nobody to ask for its passphrase."""
    authority().write(files, "server", "server", password=b"secret")
    with pytest.raises(TlsError, match=r"/server\.key: "):
        server(files)
