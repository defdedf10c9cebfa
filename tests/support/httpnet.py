"""Daemons that answer HTTP at addresses of a network in memory, and an agent that reaches them."""

# Twisted's own doubles have no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.web.client import URI, Agent
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

__all__ = ["HttpNet", "Scripted"]

T = TypeVar("T")


@implementer(IAgentEndpointFactory)
class HttpNet:
    """``sites`` are by ``host:port``; what has none refuses connections.

    ``asked`` has a line for each connection that was wanted: scheme, host and port.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = Clock() if clock is None else clock
        self.sites: dict[str, IProtocolFactory] = {}
        self.asked: list[str] = []
        self.agent: Any = Agent.usingEndpointFactory(self.clock, self)
        self._pumps: list[IOPump] = []

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Where the agent connects. HTTPS is taken for granted: what flows is plain."""
        # A URL need not say a port that its scheme has.
        host = uri.netloc.decode().removesuffix(f":{uri.port}")
        return _Endpoint(self, f"{uri.scheme.decode()}://{host}:{uri.port}")

    def connect(self, place: str, factory: IProtocolFactory) -> Deferred[Any]:
        """Connect a client's protocol, or refuse."""
        self.asked.append(place)
        site = self.sites.get(place.partition("://")[2])
        if site is None:
            return fail(ConnectionRefusedError())
        here, there = IPv4Address("TCP", "127.0.0.1", 50000), IPv4Address("TCP", "127.0.0.1", 80)
        client, server = factory.buildProtocol(there), site.buildProtocol(here)
        assert client is not None
        assert server is not None
        ends = FakeTransport(server, True, there, here), FakeTransport(client, False, here, there)
        self._pumps.append(connect(server, ends[0], client, ends[1], clock=self.clock))
        return succeed(client)

    def flush(self) -> None:
        """Let everything that is sent arrive, and what follows from it."""
        while any([pump.flush() for pump in list(self._pumps)]):
            continue

    def result(self, asking: Deferred[T]) -> T:
        """What a request comes to; raises what it fails with."""
        outcome: list[Any] = []
        asking.addBoth(outcome.append)
        self.flush()
        assert outcome, "there is no answer"
        (value,) = outcome
        if isinstance(value, Failure):
            value.raiseException()
        result: T = value
        return result

    def error(self, asking: Deferred[Any]) -> Any:
        """The exception that a request comes to."""
        outcome: list[Any] = []
        asking.addBoth(outcome.append)
        self.flush()
        (value,) = outcome
        assert isinstance(value, Failure), f"it did not fail but brought {value!r}"
        return value.value


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, net: HttpNet, place: str) -> None:
        self._net = net
        self._place = place

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        return self._net.connect(self._place, protocolFactory)


class Scripted(Site):
    """A daemon with set answers, which remembers what it was asked.

    ``answers`` is by method and path: status, body and headers. A path that has none is answered
    404 ``NOT_FOUND``; one whose answer is None is never answered.
    """

    noisy = False

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(_Page(self))
        self.answers = dict(answers)
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []


class _Page(Resource):
    isLeaf = True

    def __init__(self, site: Scripted) -> None:
        super().__init__()
        self._site = site

    def render(self, request: Any) -> Any:
        asked = f"{request.method.decode()} {request.uri.decode()}"
        self._site.requests.append(asked)
        given = request.requestHeaders.getAllRawHeaders()
        self._site.headers.append({k.decode().lower(): v[0].decode() for k, v in given})
        self._site.bodies.append(request.content.read())
        script = self._site.answers.get(asked.partition("?")[0], (404, b'{"message":"NOT_FOUND"}'))
        if script is None:
            return NOT_DONE_YET
        status, body, *headers = script
        request.setResponseCode(status)
        for name, value in (headers[0] if headers else {}).items():
            request.setHeader(name, value)
        return body
