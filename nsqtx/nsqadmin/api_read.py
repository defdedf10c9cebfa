"""What the API shows of the cluster (nsqadmin section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from klein import Klein
from twisted.logger import Logger

from nsqtx.cluster.gathering import ClusterError, Gathered
from nsqtx.cluster.view import NoSuch
from nsqtx.nsqadmin.api_json import channel_json, counter_json, node_json, topic_json
from nsqtx.web.api import ApiError, v1
from nsqtx.web.args import MalformedQuery, parse_query
from nsqtx.web.site import ApiRequest

if TYPE_CHECKING:
    from nsqtx.nsqadmin.http import AdminApi

__all__ = ["add_read_routes", "upstream"]

log = Logger(namespace="nsqadmin.api")

_Endpoint = Callable[..., Any]
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}", re.DOTALL)


def upstream(endpoint: _Endpoint) -> _Endpoint:
    """Answer 502 where nobody upstream has answered."""

    @wraps(endpoint)
    async def answering(*args: Any, **kwargs: Any) -> Any:
        try:
            return await endpoint(*args, **kwargs)
        except ClusterError as error:
            log.error("{error}", error=error)
            raise ApiError(502, f"UPSTREAM_ERROR: {error}") from None

    return answering


def add_read_routes(app: Klein) -> None:
    """Add the endpoints to the app of an `AdminApi`."""

    @app.route("/api/topics", methods=["GET"], endpoint="api_topics")
    @v1
    @upstream
    async def topics(api: AdminApi, request: ApiRequest) -> dict[str, Any]:
        args = _query(request)
        if args.get("inactive") == "true":
            inactive = await api.admin.view.inactive_topics()
            shown = {topic: channels or None for topic, channels in inactive.value.items()}
            return {"topics": shown, "message": inactive.message}
        found = await api.admin.view.topics()
        return {"topics": found.value or None, "message": found.message}

    @app.route("/api/topics/<topic>", methods=["GET"], endpoint="api_topic")
    @v1
    @upstream
    async def topic(api: AdminApi, _request: ApiRequest, topic: str) -> dict[str, Any]:
        found = await api.admin.view.topic(topic)
        return {**topic_json(found.value, False), "message": found.message}

    @app.route("/api/topics/<topic>/<channel>", methods=["GET"], endpoint="api_channel")
    @v1
    @upstream
    async def channel(
        api: AdminApi, _request: ApiRequest, topic: str, channel: str
    ) -> dict[str, Any]:
        try:
            found = await api.admin.view.channel(topic, channel)
        except NoSuch:
            # So does the original, which does not look whether there is one.
            raise ApiError(500, "INTERNAL_ERROR") from None
        return {**channel_json(found.value, True), "message": found.message}

    @app.route("/api/nodes", methods=["GET"], endpoint="api_nodes")
    @v1
    @upstream
    async def nodes(api: AdminApi, _request: ApiRequest) -> dict[str, Any]:
        found = await api.admin.view.nodes()
        shown = [node_json(each) for each in found.value]
        return {"nodes": shown or None, "message": found.message}

    @app.route("/api/nodes/<node>", methods=["GET"], endpoint="api_node")
    @v1
    @upstream
    async def node(api: AdminApi, _request: ApiRequest, node: str) -> dict[str, Any]:
        try:
            found = await api.admin.view.node(node)
        except NoSuch:
            raise ApiError(404, "NODE_NOT_FOUND") from None
        _, topics = found.value
        channels = [channel for topic in topics for channel in topic.channels]
        return {
            "node": node,
            "topics": [topic_json(each, True) for each in topics] or None,
            "total_messages": sum(topic.message_count for topic in topics),
            "total_clients": sum(len(channel.clients) for channel in channels),
            "message": found.message,
        }

    @app.route("/api/counter", methods=["GET"], endpoint="api_counter")
    @v1
    @upstream
    async def counter(api: AdminApi, _request: ApiRequest) -> dict[str, Any]:
        nodes = await api.admin.view.nodes()
        stats = await api.admin.view.stats(nodes.value)
        found = Gathered(counter_json(stats.value), nodes.warnings + stats.warnings)
        return {"stats": found.value, "message": found.message}


def _query(request: ApiRequest) -> dict[str, str]:
    """The parameters, which here are refused in words."""
    try:
        return parse_query(request.query)
    except MalformedQuery:
        bad = _BAD_ESCAPE.search(request.query.decode("latin-1"))
        text = f'invalid URL escape "{bad[0]}"' if bad else "invalid semicolon separator in query"
        raise ApiError(400, text) from None
