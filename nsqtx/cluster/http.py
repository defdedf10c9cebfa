"""HTTP requests from one of NSQ's programs to another, or to an auth server.

What the original's programs have in common (nsqd-http section 12, nsqd-engine 10.4, nsqd-tcp 8.2):
they ask for version 1.0 of the API, take 200 for success and everything else for an error, and
when plain HTTP is answered 403 with an ``https_port``, ask again there.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import attrs
from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseDone, ResponseFailed
from twisted.web.error import SchemeNotSupported
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer
from zope.interface import implementer

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.reading import read
from nsqtx.cluster.urls import place_text
from nsqtx.wire import gojson

__all__ = [
    "ACCEPT",
    "Answer",
    "ApiClient",
    "BodyBytes",
    "at_https",
    "https_port",
    "pass_body",
    "read_body",
    "reason_of",
]

T = TypeVar("T")

ACCEPT = "application/vnd.nsq; version=1.0"
#: In what our nsqlookupd answers to a ``/lookup`` that waits.
INDEX_HEADER = "X-Nsqtx-Index"


class _Body(Protocol):
    """Gathers a response, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[bytes] = Deferred(self._cancel)
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._pieces.clear()
            self._finish(ApiError(f"the answer is larger than {self._limit} bytes"))
        elif not self.done.called:
            self._pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(reason)

    def _finish(self, error: Exception) -> None:
        if not self.done.called:
            self.done.errback(error)
            self._cut()

    def _cancel(self, _: Deferred[bytes]) -> None:
        self._cut()

    def _cut(self) -> None:
        """Let go of the connection, on which more would come."""
        if self.transport is not None:
            self.transport.loseConnection()


class _Passed(_Body):
    """Lets a response go by, however large it is."""

    def __init__(self) -> None:
        super().__init__(0)

    def dataReceived(self, data: bytes) -> None:
        """It is of no use."""


def pass_body(response: Any) -> Deferred[bytes]:
    """Fires at the end of a response's body, none of which is kept.

    Its connection can be used again then.
    """
    body = _Passed()
    response.deliverBody(body)
    return body.done


def read_body(response: Any, limit: int) -> Deferred[bytes]:
    """The body of a response.

    Fails with `ApiError` when it is larger than ``limit`` bytes.
    """
    body = _Body(limit)
    response.deliverBody(body)
    return body.done


@implementer(IBodyProducer)
@attrs.frozen
class BodyBytes:
    """The body of a request, written at once: it is small, and needs no reactor to be fed by."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is written."""

    def resumeProducing(self) -> None:
        """All is written."""

    def stopProducing(self) -> None:
        """All is written."""


@attrs.frozen
class Answer:
    """What came with status 200, and what was asked for (for the text of errors)."""

    body: bytes
    headers: Headers = attrs.field(factory=Headers)
    method: str = ""
    url: str = ""

    def header(self, name: str) -> str:
        """The value of a header; empty if there is none."""
        return (self.headers.getRawHeaders(name) or [""])[0]

    @property
    def index(self) -> int | None:
        """Which state of a topic's producers this is; None: the nsqlookupd does not count them."""
        return _index(self.headers)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The value of the body, without the wrapping that it has before version 1.0 of the API.

        Nothing at all stands for an empty object.

        :raises ApiError: it is no JSON, or says inside that it is an error.
        """
        try:
            value = gojson.decode(self.body) if self.body.strip() else {}
        except ValueError as error:
            raise self.nonsense(error) from error
        is_first = not self.header("X-Nsq-Content-Type")
        if is_first and isinstance(value, dict) and "data" in value and "status_code" in value:
            status = value["status_code"]
            if type(status) is int and status != 200:
                raise status_error(self.method, self.url, status, "", self.body)
            return {} if value["data"] is None else value["data"]
        return value

    def read(self, cls: type[T]) -> T:
        """The body as an object of a class (`nsqtx.cluster.reading`).

        :raises ApiError: it is none.
        """
        value = self.json()
        try:
            return read(cls, value)
        except ValueError as error:
            raise self.nonsense(error) from error

    def nonsense(self, reason: object) -> ApiError:
        """The error for an answer that cannot be understood."""
        return failed(self.method, self.url, str(reason), self.body)


class _EncodedUrl(EncodedURL):
    """A URL for treq that is as it is to be sent. treq would encode its host as a name, again,
    which an IPv6 address is not."""

    def to_uri(self) -> _EncodedUrl:
        return self


class ApiClient:
    """Asks daemons.

    ``timeout`` is in seconds and for all of a request, redirects and the body included, as
    ``--http-client-request-timeout`` is; ``max_size`` is the largest answer in bytes. ``headers``
    go with each request.
    """

    def __init__(
        self,
        agent: IAgent,
        clock: IReactorTime,
        timeout: float,
        max_size: int = 16 * 1024 * 1024,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # Daemons give no cookies, and whoever stands before them shall get none back.
        cookies: Any = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._http = HTTPClient(agent, cookies)
        self._clock: Any = clock
        self._timeout = timeout
        self._max_size = max_size
        self._headers = {"Accept": ACCEPT, **(headers or {})}

    def get_json(self, url: str) -> Deferred[Any]:
        """GET; the value of the JSON that 200 came with. Fails with `ApiError`."""
        return self.request_json("GET", url)

    def request_json(
        self,
        method: str,
        url: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Deferred[Any]:
        """As `get_json`, with any method and body."""
        return self.request(method, url, data, headers).addCallback(Answer.json)

    def request(
        self,
        method: str,
        url: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 0.0,
    ) -> Deferred[Answer]:
        """The answer, if its status is 200. Fails with `ApiError`.

        ``timeout``: another than this client's, in seconds.
        """
        seconds = timeout or self._timeout
        every = {**self._headers, **(headers or {})}
        asking = Deferred.fromCoroutine(self._ask(method, url, data, every))

        def too_late(result: Any, _: float) -> Any:
            raise failed(method, url, f"no answer within {seconds:g} s")

        return asking.addTimeout(seconds, self._clock, onTimeoutCancel=too_late)

    async def _ask(
        self, method: str, url: str, data: bytes | None, headers: dict[str, str]
    ) -> Answer:
        response, body = await self._exchange(method, url, data, headers)
        if response.code == 403 and not url.startswith("https:"):
            port = https_port(body)
            if port:
                url = at_https(url, port)
                response, body = await self._exchange(method, url, data, headers)
        if response.code != 200:
            reason = bytes(response.phrase).decode("latin-1")
            error = status_error(method, url, response.code, reason, body)
            error.index = _index(response.headers)
            raise error
        return Answer(body, response.headers, method, url)

    async def _exchange(
        self, method: str, url: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[Any, bytes]:
        every = Headers()
        for name, value in headers.items():
            every.setRawHeaders(name, [value])
        body = None if data is None else BodyBytes(data)
        try:
            response = await self._http.request(
                method, _EncodedUrl.from_text(url), headers=every, data=body, reactor=self._clock
            )
            return response, await read_body(response, self._max_size)
        except ApiError as error:
            raise failed(method, url, str(error)) from None
        except ConnectingCancelledError as error:
            # Twisted's word for it while a connection is being made.
            raise CancelledError from error
        except _CONNECTION as error:
            if any(each.check(CancelledError) for each in getattr(error, "reasons", ())):
                raise CancelledError from error
            raise failed(method, url, reason_of(error)) from error


#: What Twisted says of a connection that is not made, or does not bring an answer.
_CONNECTION = (
    ConnectError,
    ConnectionClosed,
    RequestTransmissionFailed,
    ResponseFailed,
    SchemeNotSupported,
    OSError,
    # A name of a host that can be none: too long, or not to be written in a request.
    ValueError,
)


def reason_of(error: BaseException) -> str:
    """Why a connection failed, in one line."""
    reasons: list[Failure] = getattr(error, "reasons", [])
    if reasons:
        return ", ".join(reason_of(each.value) for each in reasons if each.value)
    return str(error).removesuffix(".") or type(error).__name__


def failed(method: str, url: str, reason: str, body: bytes = b"") -> ApiError:
    """The error for a request without an answer, or with one that makes no sense."""
    url, _, query = url.partition("?")
    return ApiError(f"{method} {url}: {reason}", method=method, url=url, query=query, body=body)


def status_error(method: str, url: str, status: int, reason: str, body: bytes) -> ApiError:
    """The error for an answer other than 200.

    NSQ's word for it is the ``message`` of a JSON body, before version 1.0 of the API its
    ``status_txt``.
    """
    url, _, query = url.partition("?")
    try:
        fields = gojson.decode(body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        fields = {}
    code = fields.get("message") or fields.get("status_txt")
    code = code if isinstance(code, str) else ""
    text = code or (body[:200].decode("utf-8", "replace") if body else reason)
    return ApiError(
        f"{method} {url}: answered {status} {text}",
        status=status,
        code=code,
        https_port=https_port(body) if status == 403 else 0,
        method=method,
        url=url,
        query=query,
        body=body,
    )


def _index(headers: Headers) -> int | None:
    text = (headers.getRawHeaders(INDEX_HEADER) or [""])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def https_port(body: bytes) -> int:
    """The port that an answer ``TLS_REQUIRED`` names; 0: none (nsqd-http section 1)."""
    try:
        fields = gojson.decode(body)
    except ValueError:
        return 0
    port = fields.get("https_port") if isinstance(fields, dict) else None
    return port if type(port) is int and 0 < port < 65536 else 0


def at_https(url: str, port: int) -> str:
    """The same at that port by HTTPS."""
    parts = urlsplit(url)
    place = place_text(parts.hostname or "", port)
    return urlunsplit(("https", place, parts.path, parts.query, ""))
