"""Addresses of nsqd, in all their forms."""

from __future__ import annotations

import pytest
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)

from nsqtx.client.addresses import endpoint_for, host_of, valid_address
from nsqtx.client.errors import ConfigError
from nsqtx.testing import MemoryReactor


@pytest.mark.parametrize(
    ("address", "kind", "host"),
    [
        ("10.0.0.1:4150", TCP4ClientEndpoint, "10.0.0.1"),
        ("[::1]:4150", TCP6ClientEndpoint, "::1"),
        ("nsqd.example:4150", HostnameEndpoint, "nsqd.example"),
        ("tcp:4150", HostnameEndpoint, "tcp"),
        ("/run/nsqd.sock", UNIXClientEndpoint, "localhost"),
        ("unix:/run/nsqd.sock", UNIXClientEndpoint, "localhost"),
        ("tcp:host=10.0.0.1:port=4150:timeout=2", TCP4ClientEndpoint, "10.0.0.1"),
        ("tcp:10.0.0.1:4150", TCP4ClientEndpoint, "10.0.0.1"),
    ],
)
def test_what_can_be_connected_to(address: str, kind: type[object], host: str) -> None:
    """Each form has its endpoint, and the name that TLS verifies."""
    assert valid_address(address) == address
    assert isinstance(endpoint_for(MemoryReactor(), address, 1.0), kind)
    assert host_of(address) == host


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        ":4150",
        "h:0",
        "h:65536",
        "h:x",
        "h:4150 ",
        "h:0x10",
        "h:４１５０",
        "a b:4150",
        "a\n:4150",
        "::1:4150",
        "http://h:4150",
        "nothing:h:4150",
        "tcp:",
    ],
)
def test_what_cannot(address: str) -> None:
    """What is no address is refused before anything is dialled."""
    with pytest.raises(ConfigError, match="no address"):
        valid_address(address)


def test_an_endpoint_with_bad_arguments() -> None:
    """Endpoint strings are looked at by Twisted, when they are dialled."""
    with pytest.raises(ConfigError, match="no address"):
        endpoint_for(MemoryReactor(), "tcp:host=h", 1.0)
