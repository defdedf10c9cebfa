"""nsqlookupd over HTTP: who has what, and administration (nsqlookupd section 5).

Each endpoint checks in the order that its table in the specification gives, since clients and
tests see which error comes first. A POST takes its parameters from the query, too.
"""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nsqtx.durations import parse_duration
from nsqtx.nsqlookupd.answers import (
    channels_json,
    debug_json,
    lookup_json,
    nodes_json,
    topics_json,
)
from nsqtx.nsqlookupd.entries import Full
from nsqtx.nsqlookupd.openapi import OPERATIONS
from nsqtx.version import NSQ_VERSION
from nsqtx.web.api import (
    ApiError,
    ApiResource,
    answer_json,
    plain,
    query_of,
    routes_of,
    v1,
)
from nsqtx.web.debug import add_pprof_routes
from nsqtx.web.metrics import Exposition, add_metrics_route
from nsqtx.web.openapi import add_openapi_route
from nsqtx.web.site import ApiRequest, ApiSite
from nsqtx.wire.names import valid_name

if TYPE_CHECKING:
    from nsqtx.nsqlookupd.node import Node

__all__ = ["MAX_WAIT", "LookupApi"]

log = Logger(namespace="nsqlookupd.http")

#: The longest that a ``/lookup`` waits for news (seconds).
MAX_WAIT = 60.0
#: Which state of a topic's producers an answer shows: to be given back as ``index``.
INDEX_HEADER = b"X-Nsqtx-Index"

_INDEX = re.compile("[0-9]{1,19}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class LookupApi:
    """The endpoints of one nsqlookupd."""

    app = Klein()

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def clock(self) -> IReactorTime:
        """The clock that ``/debug/pprof`` goes by."""
        return self.node.clock

    @property
    def exposition(self) -> Exposition:
        """What ``/metrics`` says."""
        return self.node.exposition

    def site(self) -> ApiSite:
        """A site that serves this, for an endpoint to listen with. No body is ever read."""
        return ApiSite(ApiResource(self.app, self.routes), self.clock)

    # Who has what.

    @app.route("/ping", methods=["GET"])
    @plain
    def ping(self, _request: ApiRequest) -> str:
        """``OK``, always."""
        return "OK"

    @app.route("/info", methods=["GET"])
    @v1
    def info(self, _request: ApiRequest) -> dict[str, Any]:
        """The version."""
        return {"version": NSQ_VERSION}

    @app.route("/topics", methods=["GET"])
    def topics(self, request: ApiRequest) -> bytes:
        """All topics."""
        return answer_json(request, topics_json(self.node.registry))

    @app.route("/channels", methods=["GET"])
    def channels(self, request: ApiRequest) -> bytes:
        """The channels of a topic, none if it is unknown."""
        topic = _given(query_of(request), "topic")
        return answer_json(request, channels_json(self.node.registry, topic))

    @app.route("/lookup", methods=["GET"])
    def lookup(self, request: ApiRequest) -> Any:
        """The channels and producers of a topic; with ``wait``, as soon as there is news."""
        args = query_of(request)
        topic = _given(args, "topic")
        if "wait" not in args and "index" not in args:
            return self._answer_lookup(request, topic)
        seconds = _wait(args)
        index = _index(args)
        if index != self.node.registry.index(topic) or not seconds:
            return self._answer_indexed(request, topic)
        waiters = self.node.waiters
        if waiters.full:
            raise ApiError(503, "TOO_MANY_WAITING")
        news = waiters.wait(topic, seconds)
        return news.addCallback(lambda _: self._answer_indexed(request, topic))

    def _answer_indexed(self, request: ApiRequest, topic: str) -> bytes:
        request.set_header(INDEX_HEADER, b"%d" % self.node.registry.index(topic))
        return self._answer_lookup(request, topic)

    def _answer_lookup(self, request: ApiRequest, topic: str) -> bytes:
        body = lookup_json(self.node.registry, topic)
        if body is None:
            raise ApiError(404, "TOPIC_NOT_FOUND")
        return answer_json(request, body)

    @app.route("/nodes", methods=["GET"])
    def nodes(self, request: ApiRequest) -> bytes:
        """All nsqd, with their topics."""
        return answer_json(request, nodes_json(self.node.registry))

    @app.route("/debug", methods=["GET"])
    def debug(self, request: ApiRequest) -> bytes:
        """Everything."""
        return answer_json(request, debug_json(self.node.registry))

    # Administration.

    @app.route("/topic/create", methods=["POST"])
    @v1
    def create_topic(self, request: ApiRequest) -> str:
        """Make a topic known."""
        topic = _valid(query_of(request), "topic")
        log.info("DB: adding topic({topic})", topic=topic)
        _unless_full(partial(self.node.registry.create_topic, topic))
        return ""

    @app.route("/topic/delete", methods=["POST"])
    @v1
    def delete_topic(self, request: ApiRequest) -> str:
        """Forget a topic and its channels; ``*``: all of them. Nsqd that have it are not told."""
        topic = _given(query_of(request), "topic")
        log.info("DB: removing topic({topic})", topic=topic)
        self.node.registry.delete_topic(topic)
        return ""

    @app.route("/topic/tombstone", methods=["POST"])
    @v1
    def tombstone_topic(self, request: ApiRequest) -> str:
        """Hide a node from a topic for a while."""
        args = query_of(request)
        topic, node = _given(args, "topic"), _given(args, "node")
        log.info(
            "DB: setting tombstone for producer@{node} of topic({topic})", node=node, topic=topic
        )
        self.node.registry.tombstone(topic, node)
        return ""

    @app.route("/channel/create", methods=["POST"])
    @v1
    def create_channel(self, request: ApiRequest) -> str:
        """Make a channel and its topic known."""
        args = query_of(request)
        topic, channel = _valid(args, "topic"), _valid(args, "channel")
        log.info("DB: adding channel({channel}) in topic({topic})", channel=channel, topic=topic)
        _unless_full(partial(self.node.registry.create_channel, topic, channel))
        return ""

    @app.route("/channel/delete", methods=["POST"])
    @v1
    def delete_channel(self, request: ApiRequest) -> str:
        """Forget a channel."""
        args = query_of(request)
        topic, channel = _valid(args, "topic"), _valid(args, "channel")
        if not self.node.registry.delete_channel(topic, channel):
            raise ApiError(404, "CHANNEL_NOT_FOUND")
        log.info(
            "DB: removing channel({channel}) from topic({topic})", channel=channel, topic=topic
        )
        return ""

    add_metrics_route(app)
    add_pprof_routes(app, index="/debug/pprof")
    add_openapi_route(app, "nsqlookupd", OPERATIONS)
    routes = routes_of(app)


def _given(args: dict[str, str], name: str) -> str:
    """A parameter that must be there, whatever it is."""
    if name not in args:
        raise ApiError(400, f"MISSING_ARG_{name.upper()}")
    return args[name]


def _valid(args: dict[str, str], name: str) -> str:
    """The name of a topic or channel, which must be there and be valid."""
    value = _given(args, name)
    if not valid_name(value):
        raise ApiError(400, f"INVALID_ARG_{name.upper()}")
    return value


def _wait(args: dict[str, str]) -> float:
    """How long to wait for news (seconds): a number of seconds, or a duration."""
    text = args.get("wait", "0")
    try:
        seconds = float(text) if _SECONDS.fullmatch(text) else parse_duration(text) / 1e9
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise ApiError(400, "INVALID_ARG_WAIT")
    return min(seconds, MAX_WAIT)


def _index(args: dict[str, str]) -> int:
    """The state of which news is wanted; -1, which is none, unless it is given."""
    text = args.get("index")
    if text is None:
        return -1
    if not _INDEX.fullmatch(text):
        raise ApiError(400, "INVALID_ARG_INDEX")
    return int(text)


def _unless_full(create: Any) -> None:
    try:
        create()
    except Full:
        raise ApiError(503, "TOO_MANY_NAMES") from None
