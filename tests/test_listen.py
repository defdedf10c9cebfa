"""Addresses: which are TCP, which are paths, and what happens when one is taken."""

from __future__ import annotations

import gc
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.selectreactor import SelectReactor
from twisted.logger import LogLevel, capturedLogs

from nsqtx.listen import (
    BACKLOG,
    ListenError,
    listen,
    listening_text,
    port_number,
    remote_address,
    split_address,
)
from nsqtx.ports import Ports
from tests.support.descriptors import FakeDescriptors


class OwnReactor:
    """A reactor that is not the global one, turned by hand; ports are closed in the end."""

    def __init__(self) -> None:
        self.reactor: Any = SelectReactor()
        self.ports: list[IListeningPort] = []
        self.factory = Factory.forProtocol(Greeter)

    def listen(self, address: str) -> IListeningPort:
        """Listen with a factory whose protocols say hello."""
        port = listen(self.reactor, address, self.factory)
        self.ports.append(port)
        return port

    def close(self) -> None:
        """Close all ports and what else is open."""
        for port in self.ports:
            port.stopListening()
        self.ports = []
        self.turn()

    def turn(self) -> None:
        """Some turns of the reactor."""
        for _ in range(5):
            self.reactor.iterate(0.01)

    def greeting(self, family: int, address: Any) -> bytes:
        """What a client that connects is told."""
        with socket.socket(family) as client:
            client.connect(address)
            self.turn()
            client.settimeout(5)
            return client.recv(100)


class Greeter(Protocol):
    """Says who connected."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        peer: Any = self.transport.getPeer()
        self.transport.write(getattr(peer, "host", "unix").encode())
        self.transport.loseConnection()


@pytest.fixture
def own() -> Iterator[OwnReactor]:
    """A reactor with nothing left in it afterwards."""
    made = OwnReactor()
    yield made
    made.close()
    for reader in made.reactor.removeAll():
        reader.connectionLost(None)
    for descriptor in (made.reactor.waker.i, made.reactor.waker.o):
        os.close(descriptor)


@pytest.mark.parametrize(
    ("address", "pair"),
    [
        ("127.0.0.1:4150", ("127.0.0.1", "4150")),
        (":4150", ("", "4150")),
        ("host:4150", ("host", "4150")),
        ("[::1]:4150", ("::1", "4150")),
        ("[::]:0", ("::", "0")),
        ("host:", ("host", "")),
        ("host:http", ("host", "http")),
        ("4150", None),
        ("/run/nsqd.sock", None),
        ("nsqd.sock", None),
        ("::1:4150", None),
        ("[::1]", None),
        ("[::1]4150", None),
        ("a[b:1", None),
        ("", None),
    ],
)
def test_what_is_host_and_port(address: str, pair: tuple[str, str] | None) -> None:
    """A host without colons, or with brackets, and a port; everything else is a path."""
    assert split_address(address) == pair


def test_tcp(own: OwnReactor) -> None:
    """An address of IPv4 is bound as it is, and the port is known when it was 0."""
    port = own.listen("127.0.0.1:0")
    number = port_number(port)
    assert number > 0
    assert listening_text(port) == f"127.0.0.1:{number}"
    assert own.greeting(socket.AF_INET, ("127.0.0.1", number)) == b"127.0.0.1"


def test_a_name(own: OwnReactor) -> None:
    """A name stands for its address, IPv4 first."""
    assert listening_text(own.listen("localhost:0")).startswith("127.0.0.1:")


@pytest.mark.parametrize("address", [":0", "0.0.0.0:0", "[::]:0"])
def test_all_addresses_are_those_of_ipv4_and_ipv6(own: OwnReactor, address: str) -> None:
    """As with the original, whichever of the two wildcards is written."""
    port = own.listen(address)
    number = port_number(port)
    assert listening_text(port) == f"[::]:{number}"
    assert own.greeting(socket.AF_INET6, ("::1", number)) == b"::1"
    assert own.greeting(socket.AF_INET, ("127.0.0.1", number)) == b"::ffff:127.0.0.1"


def test_one_address_of_ipv6_is_only_that(own: OwnReactor) -> None:
    """It does not take connections of IPv4."""
    port = own.listen("[::1]:0")
    assert listening_text(port) == f"[::1]:{port_number(port)}"
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", port_number(port)))


def test_many_clients_at_once(own: OwnReactor) -> None:
    """More clients than Twisted's usual backlog connect before the reactor turns once."""
    number = port_number(own.listen("127.0.0.1:0"))
    clients = [socket.create_connection(("127.0.0.1", number), timeout=0.5) for _ in range(200)]
    for client in clients:
        client.close()
    assert BACKLOG >= 1024


def test_unix(own: OwnReactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is a Unix socket with the mode that the umask leaves, gone after a clean stop."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o027)
    try:
        port = own.listen("4150")
    finally:
        os.umask(before)
    assert (listening_text(port), port_number(port)) == ("4150", -1)
    assert stat.S_IMODE(Path("4150").stat().st_mode) == 0o750
    assert own.greeting(socket.AF_UNIX, "4150") == b"unix"
    own.close()
    assert not Path("4150").exists()


@pytest.mark.parametrize("text", ["tcp:0:interface=127.0.0.1", "tcp:port=0:interface=127.0.0.1"])
def test_endpoint_strings(own: OwnReactor, text: str) -> None:
    """What begins like an endpoint of Twisted is one."""
    assert listening_text(own.listen(text)).startswith("127.0.0.1:")


def test_endpoint_string_of_a_unix_socket(own: OwnReactor, tmp_path: Path) -> None:
    """Its options are Twisted's."""
    port = own.listen(f"unix:{tmp_path}/s:mode=600")
    assert listening_text(port) == f"{tmp_path}/s"
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_a_taken_port_is_an_error(own: OwnReactor) -> None:
    """It says which, in the words of the original."""
    taken = listening_text(own.listen("127.0.0.1:0"))
    with pytest.raises(ListenError) as caught:
        own.listen(taken)
    assert str(caught.value) == (
        f"listen ({taken}) failed - listen tcp {taken}: bind: address already in use"
    )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.1:0", "cannot assign requested address"),
        ("127.0.0.1:65536", "invalid port"),
        ("no-such-host.invalid:0", ""),
        ("127.0.0.1:no-such-service", ""),
        ("", "no address"),
        ("tcp:", ""),
        ("tcp:x", ""),
        ("tcp:0:nope=1", ""),
        ("tcp:0:interface=192.0.2.1", "cannot assign requested address"),
        ("systemd:domain=INET:index=7", "no such socket is inherited"),
    ],
)
def test_what_cannot_be_listened_on(own: OwnReactor, address: str, reason: str) -> None:
    """Every failure is a ListenError that names the address."""
    with pytest.raises(ListenError) as caught:
        own.listen(address)
    assert str(caught.value).startswith(f"listen ({address}) failed - listen ")
    assert reason in str(caught.value)


def said_of(own: OwnReactor, path: str) -> str:
    """Why a path cannot be listened on.

    Twisted leaves the socket of such a port to the garbage collector, which complains.
    """
    said = ""
    try:
        own.listen(path)
    except ListenError as error:
        said = str(error)
    gc.collect()
    return said


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_taken_path_is_an_error(own: OwnReactor, tmp_path: Path) -> None:
    """Also when nobody listens there any more; what is there stays."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    assert said_of(own, path) == (
        f"listen ({path}) failed - listen unix {path}: bind: address already in use"
    )
    assert Path(path).exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/nonexistent/directory/s", "no such file or directory"),
        ("unix:/nonexistent/directory/s", "no such file or directory"),
        ("/" + "x" * 200, "path too long"),
    ],
)
def test_a_path_that_cannot_be_made(own: OwnReactor, address: str, reason: str) -> None:
    """It is named with the reason of the system."""
    said = said_of(own, address)
    assert said.startswith(f"listen ({address}) failed - listen unix {address}: bind: ")
    assert reason in said


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (IPv4Address("TCP", "10.0.0.1", 5), "10.0.0.1:5"),
        (IPv6Address("TCP", "::1", 5), "[::1]:5"),
        (IPv6Address("TCP", "::ffff:10.0.0.1", 5), "10.0.0.1:5"),
        (UNIXAddress(b"/tmp/x"), "@"),
    ],
)
def test_remote_address(address: IAddress, text: str) -> None:
    """Peers are written as NSQ does, also IPv4 ones of a socket that takes both."""
    assert remote_address(address)[1] == text


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:0", "tcp:0:interface=127.0.0.1", "haproxy:tcp:0:interface=127.0.0.1"],
)
def test_no_room(own: OwnReactor, address: str) -> None:
    """Without room a connection is closed at once, whatever stands between port and factory."""
    descriptors = FakeDescriptors(100, 90)
    ports = Ports(own.reactor, descriptors, 40)
    number = ports.listen("TCP", address, own.factory)
    with capturedLogs() as events:
        assert own.greeting(socket.AF_INET, ("127.0.0.1", number)) == b""
    assert [event["log_level"] for event in events if "log_level" in event] == [LogLevel.warn]
    ports.drop()
