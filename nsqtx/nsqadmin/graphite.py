"""Graphite: a figure of it for the API, and requests that are handed on (nsqadmin 9.3 and 9.4)."""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from nsqtx.cluster.errors import ApiError as RequestError
from nsqtx.cluster.http import ApiClient
from nsqtx.cluster.urls import authorization_of, query_text
from nsqtx.listen import remote_address
from nsqtx.nsqadmin.graphs import render_url
from nsqtx.web.api import ApiError, query_of, v1
from nsqtx.web.site import ApiRequest

if TYPE_CHECKING:
    from nsqtx.nsqadmin.http import AdminApi

__all__ = ["add_graphite_routes"]

log = Logger(namespace="nsqadmin.graphite")

#: What is not handed on: what is between two programs only, and what lets somebody in here.
_OURS = frozenset(
    [
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"keep-alive",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
    ]
)
#: What comes back of an answer's headers.
_BACK = ("Content-Type", "Content-Length", "Content-Encoding", "Cache-Control", "Expires",
         "Last-Modified", "ETag")  # fmt: skip


def add_graphite_routes(app: Klein) -> None:
    """Add the endpoints to the app of an `AdminApi`."""

    @app.route("/api/graphite", methods=["GET"], endpoint="api_graphite")
    @v1
    async def rate(api: AdminApi, request: ApiRequest) -> dict[str, Any]:
        args = query_of(request)
        if args.get("metric") != "rate":
            raise ApiError(400, "INVALID_ARG_METRIC")
        if "target" not in args:
            raise ApiError(400, "INVALID_ARG_TARGET")
        try:
            value = await _first_value(api, args["target"])
        except (RequestError, LookupError, TypeError, ValueError) as error:
            log.error("graphite: {error}", error=error)
            raise ApiError(500, "INTERNAL_ERROR") from None
        seconds = api.admin.options.statsd_interval / 1e9
        return {"rate": "N/A" if value < 0 else f"{value / seconds:.2f}"}

    @app.route("/render", methods=["GET"], endpoint="render")
    def render(api: AdminApi, request: ApiRequest) -> Deferred[bytes | None]:
        asking: Deferred[bytes | None] = Deferred.fromCoroutine(_hand_on(api, request))
        return asking.addErrback(_failed, request)


async def _first_value(api: AdminApi, target: str) -> float:
    """The first figure of a series, of the last whole interval."""
    options = api.admin.options
    if not options.graphite_url:
        raise ValueError("there is no --graphite-url")
    seconds = options.statsd_interval // 10**9
    fields = {
        "format": "json",
        "from": f"-{2 * seconds}sec",
        "target": target,
        "until": f"-{seconds}sec",
    }
    headers = {}
    authorization = authorization_of(urlsplit(options.graphite_url))
    if authorization:
        headers["Authorization"] = authorization
    client = ApiClient(
        api.admin.agent, api.clock, options.http_client_request_timeout / 1e9, headers=headers
    )
    url = f"{render_url(options.graphite_url)}?{query_text(fields)}"
    series = await client.get_json(url)
    value = series[0]["datapoints"][0][0]
    if type(value) not in (int, float):
        raise ValueError("no value")
    return float(value)


async def _hand_on(api: AdminApi, request: ApiRequest) -> bytes | None:
    """Ask graphite the same, and send what it answers as it comes.

    The path is that of ``--graphite-url`` and ``/render``, whatever the base path is here.
    """
    options = api.admin.options
    authorization = authorization_of(urlsplit(options.graphite_url))
    headers = Headers()
    for name, values in request.requestHeaders.getAllRawHeaders():
        if name.lower() not in _OURS:
            headers.setRawHeaders(name, values)
    before = request.requestHeaders.getRawHeaders(b"X-Forwarded-For") or []
    peer = remote_address(request.getClientAddress())[0].encode()
    headers.setRawHeaders(b"X-Forwarded-For", [b", ".join([*before, peer])])
    if authorization:
        headers.setRawHeaders(b"Authorization", [authorization.encode()])
    url = render_url(options.graphite_url).encode()
    url += b"?" + request.query if request.query else b""
    asking = api.admin.agent.request(b"GET", url, headers)
    asking.addTimeout(options.http_client_request_timeout / 1e9, api.clock)
    response = await asking
    request.setResponseCode(response.code)
    for back in _BACK:
        found = response.headers.getRawHeaders(back)
        if found:
            request.responseHeaders.setRawHeaders(back, found)
    passing = _Passing(request)
    response.deliverBody(passing)
    await passing.done
    return None


class _Passing(Protocol):
    """Passes the body of an answer on, no faster than it is taken."""

    def __init__(self, request: ApiRequest) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._cut())
        self._request = request

    def connectionMade(self) -> None:
        self._request.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        self._request.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        self._request.unregisterProducer()
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(None)
        else:
            # What breaks off must not look whole. The end of the connection ends the rest.
            self._request.loseConnection()

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


def _failed(failure: Failure, request: ApiRequest) -> bytes:
    """Nothing came of it."""
    if failure.check(CancelledError):
        # The browser has left.
        failure.raiseException()
    log.error("graphite: {error}", error=failure.getErrorMessage())
    request.setResponseCode(502)
    request.set_header(b"Content-Length", b"0")
    return b""
