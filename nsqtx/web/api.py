"""The forms of an answer (nsqd-http section 2): V1, plain, and errors as tokens.

An endpoint is a method of a class with a Klein ``app``. It returns a value, or a Deferred of one,
or is a coroutine, or raises `ApiError`; the decorators `v1` and `plain` make the response of it:

========================  ==========================================
value                     V1 response
========================  ==========================================
``str``, not empty        the text
``""``                    an empty body, no Content-Type
anything else             compact JSON (``None`` is ``null``)
========================  ==========================================
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial, wraps
from html import escape
from inspect import iscoroutine
from typing import Any
from urllib.parse import quote

from klein import Klein
from klein.resource import KleinResource
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, RequestRedirect

from nsqtx.web.args import MalformedQuery, parse_query
from nsqtx.web.lane import PUT_OFF, LaneEndpoint, LaneRequest, PutOff
from nsqtx.web.routing import Routes, clean_path
from nsqtx.web.site import ApiRequest
from nsqtx.wire import gojson

__all__ = [
    "AnyRequest",
    "ApiError",
    "ApiResource",
    "LeanResource",
    "TlsRequired",
    "answer_exception",
    "answer_json",
    "answer_text",
    "answer_unrouted",
    "answer_v1",
    "in_lane",
    "plain",
    "query_of",
    "routes_of",
    "unlogged",
    "v1",
]

JSON_TYPE = b"application/json; charset=utf-8"
TEXT_TYPE = b"text/plain; charset=utf-8"
#: Of how many methods and paths it is known which endpoint they are for. A client may well make up
#: long ones, so these are few.
MAX_FOUND = 64

_log = Logger()
_Endpoint = Callable[..., Any]
#: What an endpoint is called with that is in the lane, too.
AnyRequest = ApiRequest | LaneRequest


class ApiError(Exception):
    """An answer other than 200: an HTTP status and one of NSQ's tokens."""

    def __init__(self, status: int, token: str) -> None:
        super().__init__(status, token)
        self.status = status
        self.token = token


def answer_v1(request: AnyRequest, value: object) -> bytes:
    """Set the headers for a value in the V1 form, and give the body."""
    if isinstance(value, str):
        request.set_header(b"X-Nsq-Content-Type", b"nsq; version=1.0")
        body = value.encode("utf-8", "surrogateescape")
        if body:
            request.set_header(b"Content-Type", TEXT_TYPE)
        request.set_header(b"Content-Length", b"%d" % len(body))
        return body
    return answer_json(request, gojson.encode(value))


def answer_json(request: AnyRequest, body: bytes) -> bytes:
    """Set the headers for a body that is JSON already, and give it back."""
    request.set_header(b"X-Nsq-Content-Type", b"nsq; version=1.0")
    request.set_header(b"Content-Type", JSON_TYPE)
    request.set_header(b"Content-Length", b"%d" % len(body))
    return body


def answer_text(request: AnyRequest, text: str) -> bytes:
    """Set the headers for plain text, without NSQ's own header, and give the body."""
    body = text.encode("utf-8", "surrogateescape")
    request.set_header(b"Content-Type", TEXT_TYPE)
    request.set_header(b"Content-Length", b"%d" % len(body))
    return body


def _answer_error(request: AnyRequest, status: int, token: str) -> bytes:
    request.setResponseCode(status)
    return answer_v1(request, {"message": token})


def v1(endpoint: _Endpoint) -> _Endpoint:
    """Answer with what the endpoint returns, in the V1 form."""
    return _answering(endpoint, answer_v1)


def plain(endpoint: _Endpoint) -> _Endpoint:
    """Answer with the text that the endpoint returns, as plain text."""
    return _answering(endpoint, answer_text)


def _answering(endpoint: _Endpoint, form: Callable[[AnyRequest, Any], bytes]) -> _Endpoint:
    @wraps(endpoint)
    def answering(api: Any, request: AnyRequest, *args: Any, **kwargs: Any) -> Any:
        value = endpoint(api, request, *args, **kwargs)
        if iscoroutine(value):
            value = Deferred.fromCoroutine(value)
        if isinstance(value, Deferred):
            return value.addCallback(partial(form, request))
        return value if value is PUT_OFF else form(request, value)

    return answering


def unlogged(endpoint: _Endpoint) -> _Endpoint:
    """Write no line to the request log for this endpoint (nsqd-engine section 15)."""

    @wraps(endpoint)
    def silent(api: Any, request: AnyRequest, *args: Any, **kwargs: Any) -> Any:
        request.logged = False
        return endpoint(api, request, *args, **kwargs)

    return silent


def query_of(request: AnyRequest) -> dict[str, str]:
    """The parameters of a request.

    :raises ApiError: 400 ``INVALID_REQUEST``, the query is malformed.
    """
    try:
        return parse_query(request.query)
    except MalformedQuery:
        raise ApiError(400, "INVALID_REQUEST") from None


def answer_exception(failure: Failure, request: AnyRequest) -> bytes:
    """Answer what an endpoint has raised; a bug is logged."""
    error = failure.value
    if isinstance(error, ApiError):
        return _answer_error(request, error.status, error.token)
    if not isinstance(error, CancelledError):
        _log.failure("{line} failed", failure, line=request.request_line)
    return _answer_error(request, 500, "INTERNAL_ERROR")


def in_lane(api: object, endpoint: _Endpoint) -> LaneEndpoint:
    """An endpoint of ``api``, with its decorators, as `nsqtx.web.lane` calls it."""

    def answer(request: LaneRequest) -> bytes | Deferred[bytes] | PutOff:
        try:
            value: bytes | Deferred[bytes] | PutOff = endpoint(api, request)
        except Exception:  # noqa: BLE001  # a bug costs this request, not the connection
            return answer_exception(Failure(), request)
        if isinstance(value, Deferred):
            value.addErrback(answer_exception, request)
        return value

    return answer


def answer_unrouted(request: ApiRequest, routes: Routes) -> bytes:
    """Answer a request that no route is for: redirect, OPTIONS, 405 or 404."""
    method, path = request.method.decode("ascii"), request.path_text
    target = routes.redirect(method, path)
    if target is not None:
        return _answer_redirect(request, method, target)
    allowed = routes.allowed(path)
    if not allowed:
        return _answer_error(request, 404, "NOT_FOUND")
    request.set_header(b"Allow", ", ".join(allowed).encode())
    if method == "OPTIONS":
        request.logged = False
        request.set_header(b"Content-Length", b"0")
        return b""
    return _answer_error(request, 405, "METHOD_NOT_ALLOWED")


def _answer_redirect(request: ApiRequest, method: str, path: str) -> bytes:
    request.logged = False
    location = quote(path, safe="/:@!$&'()*+,=~")
    if request.query:
        location += "?" + request.query.decode("latin-1")
    request.set_header(b"Location", location.encode("latin-1"))
    body = b""
    if method == "GET":
        request.setResponseCode(301)
        request.set_header(b"Content-Type", b"text/html; charset=utf-8")
        body = f'<a href="{escape(location)}">Moved Permanently</a>.\n\n'.encode("latin-1")
    else:
        # 307 keeps the method and has the client send the body again.
        request.setResponseCode(307)
    request.set_header(b"Content-Length", b"%d" % len(body))
    return body


def routes_of(app: Klein) -> Routes:
    """The routes of an app. Call it once all are there."""
    rules = list(app.url_map.iter_rules())
    for rule in rules:
        # Werkzeug adds HEAD to every GET; NSQ answers it with 405.
        rule.methods = set(rule.methods or ()) - {"HEAD"}
    return Routes((rule.rule, rule.methods or ()) for rule in rules)


class LeanResource(KleinResource):
    """A Klein app as a resource, which calls the endpoint that a request is for.

    What an endpoint raises, and what there is no route for, is answered as by NSQ. Whatever is no
    `ApiError` is a bug: it is logged with its traceback and answered with 500 ``INTERNAL_ERROR``.

    Klein's own `render` looks for the route in each request anew, and leaves forty objects behind
    which only the garbage collector frees, since functions in it refer to themselves.
    """

    def __init__(self, app: Klein, routes: Routes) -> None:
        super().__init__(app)
        self._routes = routes
        self._find = lru_cache(MAX_FOUND)(partial(_find, app.url_map))

    def answer(self, request: ApiRequest, path: str) -> Any:
        """Answer a request for a path of the app, now or later; what `Resource.render` returns."""
        found = self._find(request.method.decode("ascii"), path)
        if found is None:
            _send(answer_unrouted(request, self._routes), request)
            return NOT_DONE_YET
        endpoint, arguments = found
        try:
            value: Any = self._app.execute_endpoint(endpoint, request, **arguments)
        except Exception:  # noqa: BLE001  # a bug costs this request
            value = answer_exception(Failure(), request)
        if isinstance(value, Deferred):
            value.addErrback(answer_exception, request)
            request.notifyFinish().addErrback(_client_left, value)
            value.addCallback(_send, request).addErrback(request.processingFailed)
        else:
            _send(value, request)
        return NOT_DONE_YET


def _find(url_map: Map, method: str, path: str) -> tuple[str, Mapping[str, Any]] | None:
    """An endpoint's name, and what of the path it is given; None: there is no route."""
    try:
        return url_map.bind("nsq").match(path, method)
    except (NotFound, MethodNotAllowed, RequestRedirect):
        return None


def _client_left(_: Failure, answer: Deferred[Any]) -> None:
    """Nobody waits for this answer any more."""
    answer.cancel()


def _send(body: bytes | None, request: ApiRequest) -> None:
    """Send a body, or None if there is nothing to be added to what was written."""
    if request._disconnected:
        return
    if body is not None:
        request.write(body)
    request.finish()


class ApiResource(LeanResource):
    """The root of a site: an app behind the part of routing that Klein would get wrong."""

    def render(self, request: Any) -> Any:
        """Answer, or let an endpoint do it."""
        path = request.path_text
        unclean = ("//" in path or "/." in path) and clean_path(path) != path
        # Klein takes ``//x`` for ``/x`` and ``get`` for ``GET``.
        if unclean or not path.startswith("/") or not request.method.isupper():
            return answer_unrouted(request, self._routes)
        return self.answer(request, path)


class TlsRequired(Resource):
    """Plain HTTP where TLS is required: every request is sent to the HTTPS port (section 1).

    :param https_port: gives the port, which may not be known yet; 0 for none.
    """

    isLeaf = True

    def __init__(self, https_port: Callable[[], int]) -> None:
        super().__init__()
        self._https_port = https_port

    def render(self, request: ApiRequest) -> bytes:
        """Refuse, with the port in the form that NSQ's tools look for, spaces included."""
        request.logged = False
        request.setResponseCode(403)
        text = '{"message": "TLS_REQUIRED", "https_port": %d}'
        return answer_json(request, (text % self._https_port()).encode())
