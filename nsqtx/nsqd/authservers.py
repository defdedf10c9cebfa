"""Asking the auth servers about a client (nsqd-tcp section 8.2).

Twisted's `Agent` is used as it is and not `ApiClient`, which takes compressed answers: the answer
must not grow behind the limit, and redirects are followed as Go's client does, which repeats a POST
at 307 and 308. What is asked has the client's secret in it, which is never logged;
nor is the rest of a server's address but its host, since there may be secrets in that, too.
"""

from __future__ import annotations

import random
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode, urljoin

import attrs
from OpenSSL.SSL import Error as SSLError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.http import ACCEPT, BodyBytes, at_https, https_port, read_body
from nsqtx.nsqd.auth import AuthError, AuthState, decode_answer
from nsqtx.wire import gojson

__all__ = ["AuthServers", "Client"]

log = Logger(namespace="nsqd.auth")

#: The largest answer, in bytes.
MAX_ANSWER = 1024 * 1024
#: The largest secret, in bytes: no server takes a longer URL.
MAX_SECRET = 64 * 1024
#: How many requests are sent where redirects lead on and on.
MAX_REQUESTS = 10
#: Where to go on with a GET, and with the same request again.
_SEE_OTHER, _REPEAT = (301, 302, 303), (307, 308)


@attrs.frozen
class Client:
    """What an auth server is told of a client. ``remote_ip`` is empty on a Unix socket."""

    secret: bytes = attrs.field(repr=False)
    remote_ip: str
    tls: bool
    common_name: str

    def fields(self) -> dict[str, bytes]:
        """In the order in which they are sent."""
        return {
            "common_name": self.common_name.encode("utf-8", "surrogateescape"),
            "remote_ip": self.remote_ip.encode(),
            "secret": self.secret,
            "tls": b"true" if self.tls else b"false",
        }


@attrs.define(eq=False)
class AuthServers:
    """The auth servers of nsqd: one is asked, and the others if it does not answer.

    ``addresses`` are URLs, or host and port; ``method`` is ``get`` or ``post``; ``timeout`` is in
    seconds and for all that asking one server takes; ``start`` chooses where to begin.
    """

    addresses: list[str]
    method: str
    endpoints: IAgentEndpointFactory
    clock: IReactorTime
    timeout: float
    start: Callable[[int], int] = random.randrange

    def ask(self, client: Client) -> Deferred[AuthState]:
        """What they say of the client. Cancelled, it lets go of the connection.

        It fails with `AuthError`, when no server answers.
        """
        return Deferred.fromCoroutine(self._ask(client))

    async def _ask(self, client: Client) -> AuthState:
        if len(client.secret) > MAX_SECRET:
            raise AuthError(f"the secret is larger than {MAX_SECRET} bytes")
        first = self.start(len(self.addresses))
        for address in self.addresses[first:] + self.addresses[:first]:
            url = address if "://" in address else f"http://{address}/auth"
            try:
                return await self._ask_one(url, client)
            except AuthError as error:
                log.error("auth server {host}: {error}", host=_host(url), error=error)
        raise AuthError("no auth server gave a valid answer")

    async def _ask_one(self, url: str, client: Client) -> AuthState:
        """:raises AuthError: whatever went wrong, but for being cancelled."""
        opened: list[IProtocol] = []
        asked = Deferred.fromCoroutine(self._request(url, client, opened))
        limit = self.clock.callLater(self.timeout, asked.cancel)
        try:
            return await asked
        except AuthError:
            raise
        except Exception as error:  # noqa: BLE001
            # What the server sends may make the client library fail in many ways.
            if not limit.active():
                raise AuthError("no answer in time") from None
            if _cancelled(error):
                raise CancelledError from None
            raise AuthError(_reason(error)) from None
        finally:
            if limit.active():
                limit.cancel()
            for protocol in opened:
                # Not `loseConnection`, which over TLS waits for the server to agree.
                protocol.transport.abortConnection()  # type: ignore[attr-defined]

    async def _request(self, url: str, client: Client, opened: list[IProtocol]) -> AuthState:
        agent = Agent.usingEndpointFactory(self.clock, _Noting(self.endpoints, opened))
        fields = client.fields()
        if self.method == "post":
            # An array for each, since the original sends its table of form values.
            form = {
                key: [value.decode("utf-8", "surrogateescape")] for key, value in fields.items()
            }
            exchange = _Exchange(agent, b"POST", url, gojson.encode(form))
        else:
            exchange = _Exchange(agent, b"GET", f"{url}?{urlencode(fields)}")
        code, body = await exchange.answer()
        port = https_port(body) if code == 403 and not url.startswith("https://") else 0
        if port:
            exchange.url = at_https(exchange.url, port)
            code, body = await exchange.answer()
        if code != 200:
            raise AuthError(f"status {code}")
        return decode_answer(body)


@attrs.define
class _Exchange:
    """A request, and all that it takes to get its answer."""

    agent: IAgent
    method: bytes
    url: str
    body: bytes | None = None

    async def answer(self) -> tuple[int, bytes]:
        """Status and body, behind all redirects.

        :raises AuthError: too many of them.
        """
        method, url, body = self.method, self.url, self.body
        for _ in range(MAX_REQUESTS):
            headers = Headers({"Accept": [ACCEPT]})
            url, credentials = _split_credentials(url)
            if credentials:
                headers.addRawHeader(b"Authorization", b"Basic " + b64encode(credentials))
            if body is not None:
                headers.addRawHeader("Content-Type", "application/json")
            producer = None if body is None else BodyBytes(body)
            response: IResponse = await self.agent.request(
                method, url.encode("ascii"), headers, producer
            )
            content = await read_body(response, MAX_ANSWER)
            location = response.headers.getRawHeaders(b"location")
            if response.code not in _SEE_OTHER + _REPEAT or not location:
                return response.code, content
            url = urljoin(url, location[0].decode("ascii"))
            if response.code in _SEE_OTHER:
                method, body = b"GET", None
        raise AuthError("too many redirects")


def _authority(url: str) -> str:
    return re.split("[/?#]", url.partition("://")[2])[0]


def _host(url: str) -> str:
    """The part of a server's address that can be logged."""
    return _authority(url).rpartition("@")[2]


def _split_credentials(url: str) -> tuple[str, bytes]:
    """The URL without ``user:password@``, and what that says."""
    user, at, _ = _authority(url).rpartition("@")
    return url.replace(user + at, "", 1) if at else url, unquote_to_bytes(user)


def _reasons(error: Exception) -> list[Failure]:
    """What is behind an error of the client library."""
    return list(getattr(error, "reasons", ()))


def _cancelled(error: Exception) -> bool:
    within = any(failure.check(CancelledError) for failure in _reasons(error))
    return within or isinstance(error, CancelledError)


def _reason(error: Exception) -> str:
    """Why, for the log. Not the text of any exception: some have the URL in it."""
    if isinstance(error, (ConnectError, DNSLookupError, ApiError)):
        return str(error)
    names = [type(error).__name__]
    for failure in _reasons(error):
        value = failure.value
        names.append(str(value) if isinstance(value, SSLError) else type(value).__name__)
    return " ".join(names)


@implementer(IAgentEndpointFactory)
@attrs.frozen
class _Noting:
    """Notes what is connected, so that it can be cut off."""

    endpoints: IAgentEndpointFactory
    opened: list[IProtocol]

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return _NotingEndpoint(self.endpoints.endpointForURI(uri), self.opened)


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _NotingEndpoint:
    endpoint: IStreamClientEndpoint
    opened: list[IProtocol]

    def connect(self, protocolFactory: Any) -> Deferred[IProtocol]:
        return self.endpoint.connect(protocolFactory).addCallback(self._note)

    def _note(self, protocol: IProtocol) -> IProtocol:
        self.opened.append(protocol)
        return protocol
