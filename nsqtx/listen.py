"""Addresses to listen on, as NSQ's options have them (nsqd-tcp section 1).

==========================================  =====================================================
address                                     listens on
==========================================  =====================================================
``127.0.0.1:4150``, ``[::1]:4150``          that address
``localhost:4150``                          the first address of that name, IPv4 if it has one
``:4150``, ``0.0.0.0:4150``, ``[::]:4150``  all addresses, IPv4 and IPv6, as the original does
``tcp:4150:interface=10.0.0.1``             a Twisted endpoint string (ours; see `ENDPOINTS`)
anything else: ``/run/nsqd.sock``, ``4150`` a Unix socket of that path
==========================================  =====================================================
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

__all__ = [
    "BACKLOG",
    "ENDPOINTS",
    "ListenError",
    "address_text",
    "listen",
    "listening_text",
    "port_number",
    "remote_address",
    "split_address",
]

#: Connections that may wait to be accepted. Twisted's default of 50 loses some when many clients
#: connect at once.
BACKLOG = 1024

#: What an address begins with that is a Twisted endpoint string.
ENDPOINTS = ("tcp:", "tcp6:", "unix:", "systemd:", "haproxy:")

_ANY = frozenset(["", "0.0.0.0", "::"])  # noqa: S104  # that is what was asked for


class ListenError(Exception):
    """The address cannot be listened on; the text names it and says why."""


def split_address(address: str) -> tuple[str, str] | None:
    """Host and port of ``host:port``, ``:port`` or ``[v6]:port``; None: it is something else."""
    host, colon, port = address.rpartition(":")
    if not colon or "[" in port or "]" in port:
        return None
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    return None if "[" in host or "]" in host else (host, port)


def listen(
    reactor: Any, address: str, factory: IProtocolFactory, unix: bool = True
) -> IListeningPort:
    """Listen, now, or not at all. Without ``unix``, a path is no address.

    :raises ListenError: the address is taken, or not ours, or none.
    """
    pair = None if address.startswith(ENDPOINTS) else split_address(address)
    try:
        if not address:
            # To the system that is a Unix socket with a name of its choice.
            raise ValueError("no address")
        if address.startswith(ENDPOINTS):
            port = _listen_endpoint(reactor, address, factory)
        elif pair is None and not unix:
            reason = f"listen tcp: address {address}: missing port in address"
            raise ListenError(f"listen ({address}) failed - {reason}")
        elif pair is None:
            port = reactor.listenUNIX(address, factory, backlog=BACKLOG, mode=_socket_mode())
        else:
            port = _listen_tcp(reactor, *pair, factory)
    except (CannotListenError, OSError, ValueError) as error:
        network = "tcp" if pair else "unix"
        reason = f"listen {network} {address}: bind: {_reason(error)}"
        raise ListenError(f"listen ({address}) failed - {reason}") from error
    assert IListeningPort.providedBy(port)
    return port


def _listen_tcp(reactor: Any, host: str, port: str, factory: IProtocolFactory) -> IListeningPort:
    family, place = _resolve(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Said always, since the system's default may be either.
            only = 0 if host in _ANY else 1
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        # Twisted makes a copy of the descriptor.
        adopted: IListeningPort = reactor.adoptStreamPort(listener.fileno(), family, factory)
    return adopted


def _resolve(host: str, port: str) -> tuple[socket.AddressFamily, Any]:
    """The family and the address to bind."""
    if port.isdigit() and int(port) > 65535:
        # Some resolvers would take it modulo 65536.
        raise ValueError("invalid port")
    if host in _ANY:
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104
    places = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # IPv4 first; the order of each family stays the resolver's.
    places.sort(key=lambda place: place[0] != socket.AF_INET)
    return places[0][0], places[0][4]


def _socket_mode() -> int:
    """``0777 & ~umask``, as the original has it."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o777 & ~mask


def _listen_endpoint(reactor: Any, text: str, factory: IProtocolFactory) -> IListeningPort:
    """Endpoints answer with a Deferred; those of `ENDPOINTS` answer at once."""
    results: list[Any] = []
    try:
        deferred: Deferred[Any] = serverFromString(reactor, text).listen(factory)
    except LookupError as error:
        # Its own text is a bare name or "list index out of range".
        raise ValueError("no such socket is inherited") from error
    except (TypeError, AssertionError) as error:
        # How endpoint strings say that they do not make sense.
        raise ValueError(str(error)) from error
    deferred.addBoth(results.append)
    if not results:
        deferred.cancel()
        raise ValueError("the endpoint does not answer at once")
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    port: IListeningPort = result
    return port


def _reason(error: BaseException) -> str:
    """Why, in the words of the system: ``address already in use``."""
    if isinstance(error, CannotListenError):
        cause = error.socketError
        error = cause if isinstance(cause, BaseException) else error
    if isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error)


def listening_text(port: IListeningPort) -> str:
    """The address of a port, for the log line that scripts look for."""
    host: Any = port.getHost()
    if isinstance(host, UNIXAddress):
        return os.fsdecode(host.name) if host.name else ""
    return address_text(host.host, host.port)


def address_text(host: str, port: int) -> str:
    """``host:port``, or ``[v6]:port``: what `split_address` takes apart."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def remote_address(peer: IAddress) -> tuple[str, str]:
    """A peer's host and ``host:port``; of a Unix socket, nothing and ``@`` (nsqd-tcp 1)."""
    if not isinstance(peer, (IPv4Address, IPv6Address)):
        return "", "@"
    host = peer.host.removeprefix("::ffff:")  # IPv4 on a socket that takes both
    return host, address_text(host, peer.port)


def port_number(port: IListeningPort) -> int:
    """The bound port; -1 for a Unix socket."""
    return int(getattr(port.getHost(), "port", -1))
