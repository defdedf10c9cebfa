"""Auth servers in memory: what they are asked, and what they say, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

__all__ = ["ALL", "AskedServers", "Heard", "MemoryServers", "http"]

#: An answer that allows everything.
ALL: dict[str, Any] = {
    "ttl": 60,
    "identity": "me",
    "identity_url": "http://id.example/",
    "authorizations": [
        {"topic": ".*", "channels": [".*"], "permissions": ["subscribe", "publish"]}
    ],
}


def http(body: Any = ALL, status: int = 200, **headers: str) -> bytes:
    """An HTTP response; what is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


class Heard(StringTransport):
    """A connection: what came on it, and whether it was cut off."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    @property
    def request(self) -> tuple[str, str]:
        """The request line without the version, and the body."""
        head, _, body = self.value().partition(b"\r\n\r\n")
        return head.split(b"\r\n")[0].decode().removesuffix(" HTTP/1.1"), body.decode()


@implementer(IAgentEndpointFactory)
@attrs.define(eq=False)
class MemoryServers:
    """Says its ``answers`` one after the other, whoever is asked, a second after the connection.

    An answer of None is silence, False a connection that is refused, True one that never stands.
    """

    clock: Clock
    answers: list[bytes | bool | None]
    #: Host and port of every connection that was tried, with ``https`` where it was wanted.
    tried: list[str] = attrs.Factory(list)
    heard: list[Heard] = attrs.Factory(list)
    protocols: list[Any] = attrs.Factory(list)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        if uri.scheme not in (b"http", b"https"):
            raise SchemeNotSupported
        tls = "https " if uri.scheme == b"https" else ""
        self.tried.append(f"{tls}{uri.host.decode()}:{uri.port}")
        return _Endpoint(self)


@implementer(IStreamClientEndpoint)
@attrs.define(eq=False)
class _Endpoint:
    servers: MemoryServers

    def connect(self, protocolFactory: Any) -> Deferred[IProtocol]:
        servers = self.servers
        answer = servers.answers.pop(0)
        connected: Deferred[IProtocol] = Deferred()
        if answer is False:
            connected.errback(ConnectionRefusedError())
        elif answer is not True:
            protocol = protocolFactory.buildProtocol(None)
            heard = Heard()
            servers.protocols.append(protocol)
            servers.heard.append(heard)
            protocol.makeConnection(heard)
            connected.callback(protocol)
            if answer is not None:
                servers.clock.callLater(1, self._say, protocol, answer)
        return connected

    def _say(self, protocol: Any, answer: bytes) -> None:
        protocol.dataReceived(answer)
        protocol.connectionLost(Failure(ConnectionDone()))


@attrs.define(eq=False)
class AskedServers:
    """In the place of `AuthServers`: keeps what is asked; the test answers."""

    asked: list[tuple[Any, Deferred[Any]]] = attrs.Factory(list)

    def ask(self, client: Any) -> Deferred[Any]:
        """A Deferred for the test to fire."""
        answer: Deferred[Any] = Deferred()
        self.asked.append((client, answer))
        return answer
