"""Where a nsqd is, from an address as NSQ's options have them.

=====================================  ==========================================================
address                                connects to
=====================================  ==========================================================
``10.0.0.1:4150``, ``[::1]:4150``      that address
``nsqd.example:4150``                  whatever of that name answers first, IPv6 or IPv4
``/run/nsqd.sock``                     a Unix socket
``tcp:host=h:port=4150:timeout=2``     a Twisted endpoint string: ``tcp:``, ``tls:``, ``unix:`` ...
=====================================  ==========================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    clientFromString,
)
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
)
from twisted.plugin import getPlugins

from nsqtx.client.errors import ConfigError
from nsqtx.listen import split_address

__all__ = ["endpoint_for", "host_of", "is_host_and_port", "listed", "valid_address"]

_HOST = re.compile(r"[0-9A-Za-z._:%-]{1,255}")
_PORT = re.compile(r"[0-9]{1,5}")
#: Endpoints that Twisted knows without a plugin.
_BUILT_IN = frozenset(["tcp", "ssl", "unix"])


def _place(address: str) -> tuple[str, int] | None:
    host, port = split_address(address) or ("", "")
    if _HOST.fullmatch(host) and _PORT.fullmatch(port) and 0 < int(port) < 65536:
        return host, int(port)
    return None


def is_host_and_port(address: str) -> bool:
    """Whether it is ``host:port``, and neither a path nor an endpoint string."""
    return _place(address) is not None


def _is_endpoint(address: str) -> bool:
    name, _, arguments = address.partition(":")
    name = name.lower()
    if not arguments:
        return False
    plugins = getPlugins(IStreamClientEndpointStringParserWithReactor)
    return name in _BUILT_IN or any(name == each.prefix for each in plugins)


def listed(addresses: Iterable[str]) -> Iterable[str]:
    """The same addresses.

    :raises ConfigError: it is one address, whose letters would be taken for addresses.
    """
    if isinstance(addresses, str):
        raise ConfigError(f"{addresses!r} must be in a list of addresses")
    return addresses


def valid_address(address: str) -> str:
    """The same address.

    :raises ConfigError: nothing can be connected to by it.
    """
    if address.startswith("/") or _place(address) or _is_endpoint(address):
        return address
    raise ConfigError(f"{address!r} is no address of a nsqd: it is host:port, or /path, or tcp:...")


def endpoint_for(
    reactor: Any, address: str, timeout: float, local_address: str = ""
) -> IStreamClientEndpoint:
    """What connects there; ``timeout`` is in seconds.

    :raises ConfigError: nothing can be connected to by that address.
    """
    place = _place(address)
    bind = (local_address, 0) if local_address else None
    if place is None:
        if address.startswith("/"):
            return UNIXClientEndpoint(reactor, address, timeout=timeout)
        try:
            where: IStreamClientEndpoint = clientFromString(reactor, valid_address(address))
            return where
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{address!r} is no address of a nsqd: {error}") from None
    host, port = place
    # Names are looked up in a thread; addresses need none.
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, port, timeout=timeout, bindAddress=bind)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, port, timeout=timeout, bindAddress=bind)
    return HostnameEndpoint(reactor, host, port, timeout=timeout, bindAddress=bind)


def host_of(address: str) -> str:
    """The host, to be verified by TLS; for what has none, ``localhost``."""
    place = _place(address)
    if place is not None:
        return place[0]
    named = re.search(r"(?:^|:)host=([^:]+)", address) or re.match(
        r"(?:tcp6?|tls):([^:=]+):", address
    )
    return named.group(1) if named else "localhost"
