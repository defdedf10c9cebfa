"""Addresses to listen on, as NSQ's options have them (nsqd-tcp section 1)."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

__all__ = ["BACKLOG", "ListenError", "listen", "listening_text", "port_number", "split_address"]

#: Connections that may wait to be accepted. Twisted's default of 50 loses some when many clients
#: connect at once.
BACKLOG = 1024

#: What an address begins with that is a Twisted endpoint string.
_ENDPOINTS = ("tcp:", "tcp6:", "unix:", "systemd:", "fd:")


class ListenError(Exception):
    """The address cannot be listened on; the text names it and says why."""


def split_address(address: str) -> tuple[str, int] | None:
    """Host and port of ``host:port``, ``:port`` or ``[v6]:port``; None: it is something else."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        return None
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    if ":" in host or "/" in host:
        return None
    return host, int(port)


def listen(reactor: Any, address: str, factory: IProtocolFactory) -> IListeningPort:
    """Listen, now.

    ``host:port`` is TCP, an empty host all addresses of IPv4 and IPv6; what begins like a Twisted
    endpoint string is one; anything else is the path of a Unix socket.

    :raises ListenError: the address is taken, or not ours.
    """
    try:
        if address.startswith(_ENDPOINTS):
            return _listen_endpoint(reactor, address, factory)
        pair = split_address(address)
        if pair is None:
            return _listen_unix(reactor, address, factory)
        host, port = pair
        # A port of the IPv6 wildcard takes IPv4 connections as well.
        interface = host or ("::" if socket.has_dualstack_ipv6() else "")
        port_object = reactor.listenTCP(port, factory, backlog=BACKLOG, interface=interface)
    except CannotListenError as error:
        raise ListenError(_text(address, error.socketError)) from error
    except (OSError, ValueError) as error:
        raise ListenError(_text(address, error)) from error
    assert IListeningPort.providedBy(port_object)
    return port_object


def _listen_unix(reactor: Any, path: str, factory: IProtocolFactory) -> IListeningPort:
    mask = os.umask(0)
    os.umask(mask)
    port: IListeningPort = reactor.listenUNIX(
        path, factory, backlog=BACKLOG, mode=0o777 & ~mask, wantPID=False
    )
    return port


def _listen_endpoint(reactor: Any, text: str, factory: IProtocolFactory) -> IListeningPort:
    """Endpoints answer with a Deferred; those that we take answer at once."""
    results: list[Any] = []
    deferred: Deferred[Any] = serverFromString(reactor, text).listen(factory)
    deferred.addBoth(results.append)
    if not results:
        deferred.cancel()
        raise ListenError(f"listen ({text}) failed - it does not answer at once")
    (result,) = results
    if isinstance(result, Failure):
        result.raiseException()
    assert IListeningPort.providedBy(result)
    return result


def _text(address: str, error: Any) -> str:
    reason = str(error)
    if isinstance(error, OSError) and error.errno:
        reason = os.strerror(error.errno)
        reason = reason[:1].lower() + reason[1:]
    pair = split_address(address)
    return f"listen ({address}) failed - listen {'tcp' if pair else 'unix'} {address}: bind: {reason}"


def listening_text(port: IListeningPort) -> str:
    """The address of a port, for the log line that scripts look for."""
    host = port.getHost()
    if isinstance(host, UNIXAddress):
        name = host.name
        return name.decode() if isinstance(name, bytes) else str(name)
    name = host.host  # type: ignore[attr-defined]
    number = host.port  # type: ignore[attr-defined]
    return f"[{name}]:{number}" if ":" in name else f"{name}:{number}"


def port_number(port: IListeningPort) -> int:
    """The bound port; -1 for a Unix socket."""
    return int(getattr(port.getHost(), "port", -1))
