"""TLS and compression on a connection, from IDENTIFY on."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from nsqtx.connections import LINGER
from nsqtx.nsqd.upgrade import HANDSHAKE_TIMEOUT
from nsqtx.wire.codecs import Decoder, Encoder, make_deflate, make_snappy
from tests.support.certificates import authority
from tests.support.tlsclient import TlsClient, client_context
from tests.support.upgradepeer import (
    HEARTBEAT,
    OK,
    PUB,
    Peer,
    frame,
    identify,
    open_peer,
    sized,
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificates")
    authority().write(path, "server", "server")
    authority().write(path, "client", "the client")
    (path / "ca.pem").write_bytes(authority().pem)
    return path


Connect = Callable[..., Peer]


@pytest.fixture
def connect(certificates: Path) -> Connect:
    def connect(must_commit: bool = False, client_auth: str = "", **options: Any) -> Peer:
        return open_peer(certificates, must_commit, client_auth, **options)

    return connect


def codec_of(name: str) -> tuple[Encoder, Decoder]:
    return make_snappy() if name == "snappy" else make_deflate(6)


def test_tls_then_commands(connect: Connect) -> None:
    """After the JSON and the handshake comes OK, and then everything goes through TLS."""
    peer = connect(client_auth="require")
    client = TlsClient(client_context())
    assert peer.identify(tls_v1=True) == b""
    with pytest.raises(ssl.SSLError):
        peer.shake_hands(client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_stats_show(connect: Connect, certificates: Path, version: ssl.TLSVersion) -> None:
    """Of TLS they show version and suite; the certificate's name is there for authorization."""
    peer = connect(client_auth="require")
    session = peer.protocol.session
    assert (session.tls, session.common_name) == (False, "")
    peer.identify(tls_v1=True)
    client = TlsClient(client_context(certificates / "client.pem", version))
    assert peer.shake_hands(client) == OK
    assert (session.tls, session.common_name) == (True, "the client")
    stats = session.stats()
    assert stats["tls"]
    assert stats["tls_version"] == "TLS" + version.name[-3:].replace("_", ".")
    assert stats["tls_negotiated_protocol_is_mutual"]
    assert peer.talk(client, client.encrypt(PUB)) == OK


def test_commands_behind_the_handshake_are_kept(connect: Connect) -> None:
    """What a client sends before it has seen the OK is done after it."""
    peer = connect()
    peer.identify(tls_v1=True)
    client = TlsClient(client_context())
    assert peer.shake_hands(client, early=PUB * 3) == OK * 4


def test_the_beginning_of_the_handshake_may_come_with_identify(connect: Connect) -> None:
    """What was read behind IDENTIFY belongs to TLS."""
    peer = connect()
    client = TlsClient(client_context())
    client.feed(b"")
    answer = peer.send(identify(tls_v1=True) + client.output())
    peer.clock.advance(0)
    assert b'"tls_v1":true' in answer
    client.feed(peer.transport.take())
    assert peer.shake_hands(client) == OK


@pytest.mark.parametrize("name", ["snappy", "deflate"])
def test_compression_alone(connect: Connect, name: str) -> None:
    """OK comes compressed right behind the JSON; what came behind IDENTIFY is decompressed."""
    peer = connect()
    encoder, decoder = codec_of(name)
    answer = peer.send(identify(**{name: True}) + encoder.encode(PUB))
    peer.clock.advance(0)
    json_size = 4 + int.from_bytes(answer[:4], "big")
    assert f'"{name}":true'.encode() in answer[:json_size]
    assert decoder.feed(answer[json_size:] + peer.transport.take(), 1 << 20) == OK * 2
    assert decoder.feed(peer.send(encoder.encode(PUB)), 1 << 20) == OK
    assert peer.protocol.session.stats()[name]


@pytest.mark.parametrize("name", ["snappy", "deflate"])
def test_compression_is_inside_tls(connect: Connect, name: str) -> None:
    """Each has its own OK; a heartbeat goes through both."""
    peer = connect()
    encoder, decoder = codec_of(name)
    peer.identify(tls_v1=True, **{name: True})
    client = TlsClient(client_context())
    plain = peer.shake_hands(client)
    assert plain[: len(OK)] == OK
    assert decoder.feed(plain[len(OK) :], 1 << 20) == OK
    answer = peer.talk(client, client.encrypt(encoder.encode(PUB * 2)))
    assert decoder.feed(answer, 1 << 20) == OK * 2
    peer.clock.advance(30)
    assert decoder.feed(client.feed(peer.transport.take()), 1 << 20) == HEARTBEAT


def test_large_messages_go_through_both(connect: Connect) -> None:
    """One that is many TLS records and many chunks arrives whole, and comes back whole."""
    peer = connect()
    body = random.Random(1).randbytes(300_000)
    encoder, decoder = make_snappy()
    peer.identify(tls_v1=True, snappy=True)
    client = TlsClient(client_context())
    decoder.feed(peer.shake_hands(client)[len(OK) :], 1 << 20)
    commands = b"PUB t\n" + sized(body) + b"SUB t c\nRDY 1\n"
    answer = peer.talk(client, client.encrypt(encoder.encode(commands)))
    plain = decoder.feed(answer, 1 << 20)
    assert plain.startswith(OK * 2)
    assert plain.endswith(body)


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_any_pieces_make_the_same(connect: Connect, size: int) -> None:
    """However the network cuts what is sent, the same commands come out of it."""
    peer = connect()
    encoder, decoder = make_deflate(6)
    peer.identify(tls_v1=True, deflate=True)
    client = TlsClient(client_context())
    decoder.feed(peer.shake_hands(client)[len(OK) :], 1 << 20)
    data = b"".join(client.encrypt(encoder.encode(PUB * 3 + b"NOP\n")) for _ in range(5))
    answers = b""
    for start in range(0, len(data), size):
        answers += peer.talk(client, data[start : start + size])
    assert decoder.feed(answers, 1 << 20) == OK * 15


def test_both_compressions_are_refused(connect: Connect) -> None:
    """Instead of the JSON there is an error."""
    answer = connect().send(identify(snappy=True, deflate=True))
    text = b"E_IDENTIFY_FAILED cannot enable both deflate and snappy compression"
    assert answer == frame(text, 1)


def test_what_is_switched_off_is_not_granted(connect: Connect) -> None:
    """Then there is neither a layer nor an OK for it."""
    peer = connect(snappy=False, deflate=False)
    assert peer.identify(snappy=True, deflate=True) == b""
    assert peer.send(PUB) == OK


def test_snappy_without_its_library_is_not_granted(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes on uncompressed."""
    monkeypatch.setattr("nsqtx.nsqd.upgrade.SNAPPY_AVAILABLE", False)
    peer = connect()
    assert b'"snappy":false' in peer.send(identify(snappy=True))
    assert peer.send(PUB) == OK


def test_upgrades_are_not_made_twice(connect: Connect) -> None:
    """A later IDENTIFY is granted what is there, without another OK, and may add compression."""
    peer = connect()
    peer.identify(tls_v1=True)
    client = TlsClient(client_context())
    peer.shake_hands(client)
    answer = peer.talk(client, client.encrypt(identify(tls_v1=True)))
    assert b'"tls_v1":true' in answer
    assert answer[4 + int.from_bytes(answer[:4], "big") :] == b""
    encoder, decoder = make_snappy()
    behind = client.encrypt(identify(tls_v1=True, snappy=True) + encoder.encode(PUB))
    answer = peer.talk(client, behind)
    answer = answer[4 + int.from_bytes(answer[:4], "big") :]
    assert decoder.feed(answer, 1 << 20) == OK * 2
    again = peer.talk(client, client.encrypt(encoder.encode(identify(deflate=True))))
    assert b"E_IDENTIFY_FAILED cannot enable both" in decoder.feed(again, 1 << 20)


def test_tls_does_not_go_below_compression(connect: Connect) -> None:
    """Who compresses already can have no TLS any more."""
    peer = connect()
    encoder, decoder = make_snappy()
    decoder.feed(peer.identify(snappy=True), 1 << 20)
    answer = decoder.feed(peer.send(encoder.encode(identify(tls_v1=True))), 1 << 20)
    assert answer == frame(b"E_IDENTIFY_FAILED IDENTIFY failed TLS must precede compression", 1)


def test_an_upgrade_waits_for_the_answers_before_it(connect: Connect) -> None:
    """OK of a PUB that waits for its commit, and the JSON, go out before the layer is there."""
    peer = connect(must_commit=True)
    encoder, decoder = make_snappy()
    assert peer.send(PUB + identify(snappy=True)) == b""
    assert peer.transport.producerState == "paused"
    # Read all the same: it was under way.
    assert peer.send(encoder.encode(b"NOP\nNO")) == b""
    peer.store.logs["t"].commits.pop()(None)
    peer.clock.advance(0)
    answer = peer.transport.take()
    assert answer.startswith(OK)
    answer = answer[len(OK) :]
    assert decoder.feed(answer[4 + int.from_bytes(answer[:4], "big") :], 1 << 20) == OK
    assert peer.transport.producerState == "producing"
    assert peer.send(encoder.encode(b"P\n")) == b""
    assert not peer.protocol.session.closed


# When things go wrong.


def test_a_late_handshake_is_refused_in_plain_text(connect: Connect) -> None:
    """Five seconds for all of it; the deadline of commands and heartbeats wait meanwhile."""
    peer = connect()
    peer.identify(tls_v1=True, heartbeat_interval=1000)
    client = TlsClient(client_context())
    client.feed(b"")
    peer.send(client.output())
    for _ in range(5):
        assert peer.transport.take() == b""
        peer.clock.advance(HANDSHAKE_TIMEOUT / 5)
    text = b"E_IDENTIFY_FAILED IDENTIFY failed TLS handshake timed out"
    assert peer.transport.take() == frame(text, 1)
    assert peer.transport.write_closed
    peer.clock.advance(LINGER)
    assert peer.transport.aborted


def test_no_handshake_at_all(connect: Connect) -> None:
    """Plain commands in its place are told so; nothing of them is done."""
    peer = connect()
    peer.identify(tls_v1=True)
    answer = peer.send(PUB)
    assert b"E_IDENTIFY_FAILED IDENTIFY failed " in answer
    assert answer[-4:] != OK
    assert peer.transport.write_closed
    assert "t" not in peer.store.logs


def test_the_alert_comes_first(connect: Connect) -> None:
    """A client whose handshake fails gets the alert, then the error frame in plain text."""
    peer = connect(client_auth="require")
    peer.identify(tls_v1=True)
    client = TlsClient(client_context(version=ssl.TLSVersion.TLSv1_2))
    client.feed(b"")
    client.feed(peer.send(client.output()))
    answer = peer.send(client.output())
    alert, text = answer[:7], answer[7:]
    assert alert[:1] == b"\x15"
    assert text[4:].startswith(b"\x00\x00\x00\x01E_IDENTIFY_FAILED IDENTIFY failed ")
    with pytest.raises(ssl.SSLError, match="ALERT_HANDSHAKE_FAILURE"):
        client.feed(alert)


def test_the_client_hangs_up_in_the_handshake(connect: Connect) -> None:
    """There is an end to the connection, and no timer is left."""
    peer = connect()
    peer.identify(tls_v1=True)
    peer.protocol.readConnectionLost()
    assert b"E_IDENTIFY_FAILED IDENTIFY failed EOF" in peer.transport.take()
    assert peer.transport.disconnecting
    peer.protocol.connectionLost()
    assert not peer.clock.getDelayedCalls()


def test_what_cannot_be_encrypted_costs_the_connection(connect: Connect) -> None:
    """Whoever writes, maybe on behalf of another client, sees no error."""
    peer = connect()
    peer.identify(tls_v1=True)
    peer.protocol.write(OK)
    assert peer.transport.aborted
    assert OK not in peer.transport.take()


def test_nsqd_stops_in_the_handshake(connect: Connect) -> None:
    """The connection is closed without a frame."""
    peer = connect()
    peer.identify(tls_v1=True)
    peer.protocol.session.dropped()
    assert peer.transport.take() == b""
    assert peer.transport.write_closed
    peer.protocol.connectionLost()
    assert not peer.clock.getDelayedCalls()


def test_damaged_records_close_the_connection(connect: Connect) -> None:
    """There is an alert, and no frame."""
    peer = connect()
    peer.identify(tls_v1=True)
    client = TlsClient(client_context(version=ssl.TLSVersion.TLSv1_2))
    peer.shake_hands(client)
    record = client.encrypt(PUB)
    answer = peer.send(record[:-1] + bytes([record[-1] ^ 1]))
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        client.feed(answer)
    assert peer.transport.write_closed


@pytest.mark.parametrize("name", ["snappy", "deflate"])
def test_damaged_compression_closes_the_connection(connect: Connect, name: str) -> None:
    """There is no frame (nsqd-tcp section 7.5)."""
    peer = connect()
    peer.identify(**{name: True})
    assert peer.send(b"\xff" * 20) == b""
    assert peer.transport.write_closed


def test_the_client_says_goodbye(connect: Connect) -> None:
    """Its commands are done, then we say goodbye as well and close."""
    peer = connect()
    peer.identify(tls_v1=True)
    client = TlsClient(client_context())
    peer.shake_hands(client)
    assert peer.talk(client, client.encrypt(PUB) + client.goodbye()) == OK
    assert client.ended
    assert peer.transport.write_closed


def test_renegotiation_is_refused(connect: Connect) -> None:
    """It is expensive and good for nothing; the connection goes on."""
    peer = connect()
    peer.identify(tls_v1=True)
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    answer = b""
    for _ in range(3):
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            connection.bio_write(peer.send(connection.bio_read(1 << 16)))
    assert connection.recv(100) == OK
    assert connection.renegotiate()
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        answer = peer.send(connection.bio_read(1 << 16))
    assert answer[:1] == b"\x15"
    assert not peer.transport.write_closed


@pytest.mark.parametrize("tls", [False, True])
def test_a_bomb_is_decoded_in_pieces(connect: Connect, tls: bool) -> None:
    """A few bytes that stand for very many are done a piece a turn, and no others are read
    meanwhile; that the client does not read its answers stops that."""
    peer = connect()
    encoder, _ = make_deflate(9)
    client = TlsClient(client_context())
    fields = {"deflate": True, "tls_v1": True} if tls else {"deflate": True}
    peer.identify(**fields)
    if tls:
        peer.shake_hands(client)
    bomb = encoder.encode(PUB * 80_000)
    assert len(bomb) < 5_000
    peer.protocol.dataReceived(client.encrypt(bomb) if tls else bomb)
    assert peer.transport.producerState == "paused"
    published = peer.protocol.session.published
    first = published["t"]
    assert first < 30_000
    # The client does not read: Twisted's buffer is full, and then we hold back.
    peer.protocol.link.pauseProducing()
    peer.protocol.link.hold("unread", True)
    peer.clock.advance(0)
    assert published["t"] == first
    assert peer.transport.producerState == "paused"
    peer.protocol.link.resumeProducing()
    peer.clock.advance(0)
    assert published["t"] == 80_000
    assert peer.transport.producerState == "producing"


def test_a_client_that_never_reads_is_cut_off(connect: Connect) -> None:
    """Through TLS as without: a heartbeat interval of a full buffer, and the connection ends."""
    peer = connect()
    peer.identify(tls_v1=True, heartbeat_interval=1000)
    client = TlsClient(client_context())
    peer.shake_hands(client)
    peer.protocol.link.pauseProducing()
    peer.send(client.encrypt(b"NOP\n"))
    peer.clock.advance(1.1)
    peer.clock.advance(1.1)
    assert peer.transport.aborted


def test_the_end_comes_after_what_is_left(connect: Connect) -> None:
    """A client that closes its side behind a bomb has all of it done."""
    peer = connect()
    encoder, _ = make_deflate(9)
    peer.identify(deflate=True)
    peer.protocol.dataReceived(encoder.encode(PUB * 40_000))
    peer.protocol.readConnectionLost()
    assert not peer.transport.disconnecting
    peer.clock.advance(0)
    assert peer.protocol.session.published["t"] == 40_000
    assert peer.transport.disconnecting


# TLS required.


@pytest.mark.parametrize("line", [b"PUB t", b"NOP", b"FOO", b"SUB t c", b"", b"FIN " + b"0" * 16])
def test_tls_required(connect: Connect, line: bytes) -> None:
    """Whatever it is but IDENTIFY is refused, known or not."""
    peer = connect(tls_required="tcp-https")
    word = line.split(b" ")[0]
    text = b"E_INVALID cannot " + word + b" in current state (TLS required)"
    assert peer.send(line + b"\n") == frame(text, 1)
    assert peer.transport.write_closed


def test_tls_required_and_there(connect: Connect) -> None:
    """Behind the handshake every command is allowed; without one IDENTIFY still is."""
    peer = connect(tls_required="true")
    assert b"OK" in peer.send(b"IDENTIFY\n" + sized(b"{}"))
    peer.identify(tls_v1=True)
    client = TlsClient(client_context())
    peer.shake_hands(client)
    assert peer.talk(client, client.encrypt(PUB)) == OK
