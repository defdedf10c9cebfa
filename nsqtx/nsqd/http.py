"""nsqd over HTTP: publishing, administration, statistics (nsqd-http, all sections).

Each endpoint checks in the order that its table in the specification gives, since clients and
tests see which error comes first. ``/put`` and ``/mput`` are the names that ``/pub`` and ``/mpub``
had in the first NSQ; the original answers them with 404 now, here they work.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator

from nsqtx.broker.channel import Channel
from nsqtx.broker.errors import Exiting
from nsqtx.broker.topic import Topic
from nsqtx.nsqd.dead_letters import add_dead_letter_routes, limit_of, set_limit
from nsqtx.nsqd.http_publish import PUBLISHING, add_publish_routes, required_name, whole
from nsqtx.nsqd.openapi import OPERATIONS
from nsqtx.nsqd.peek import add_peek_routes
from nsqtx.nsqd.stats import add_stats_route
from nsqtx.version import NSQ_VERSION
from nsqtx.web.api import (
    ApiError,
    ApiResource,
    in_lane,
    plain,
    query_of,
    routes_of,
    v1,
)
from nsqtx.web.debug import add_debug_routes
from nsqtx.web.lane import Lane
from nsqtx.web.memory import record_pauses
from nsqtx.web.metrics import Exposition, add_metrics_route
from nsqtx.web.openapi import add_openapi_route
from nsqtx.web.site import ApiRequest, ApiSite

if TYPE_CHECKING:
    from nsqtx.nsqd.node import Node

__all__ = ["NsqdApi"]


class NsqdApi:
    """The endpoints of one nsqd."""

    app = Klein()

    def __init__(self, node: Node) -> None:
        self.node = node
        #: Does long work in slices.
        self.cooperator = Cooperator(scheduler=partial(node.clock.callLater, 0.0))
        record_pauses()

    @property
    def clock(self) -> IReactorTime:
        """The clock that ``/debug/pprof`` goes by."""
        return self.node.clock

    @property
    def exposition(self) -> Exposition:
        """What ``/metrics`` says."""
        return self.node.exposition

    def site(self) -> ApiSite:
        """A site that serves this, for an endpoint to listen with."""
        turn = self.node.turn
        lane = Lane(
            {path: in_lane(self, each) for path, each in PUBLISHING.items()},
            self.clock,
            None if turn is None else turn.finish,
        )
        return ApiSite(ApiResource(self.app, self.routes), self.clock, self.body_limit, lane)

    def body_limit(self, method: str, path: str) -> int | None:
        """How much of a body an endpoint may read; None for those that read none."""
        options = self.node.options
        if method == "POST" and path in ("/pub", "/put"):
            return options.max_msg_size
        if method == "POST" and path in ("/mpub", "/mput"):
            return options.max_body_size
        if method == "PUT" and path.startswith("/config/"):
            return options.max_msg_size
        return None

    # Topics and channels. Section 7.

    @app.route("/topic/create", methods=["POST"])
    @v1
    def create_topic(self, request: ApiRequest) -> str:
        """Make a topic, if there is none of that name."""
        name = required_name(query_of(request), "topic", "INVALID_TOPIC")
        try:
            self.node.broker.get_topic(name)
        except Exiting:
            raise ApiError(503, "EXITING") from None
        return ""

    @app.route("/topic/delete", methods=["POST"])
    @v1
    def delete_topic(self, request: ApiRequest) -> str:
        """Delete a topic with its channels and all messages."""
        self.node.broker.delete_topic(self.topic_of(request).name)
        return ""

    @app.route("/topic/empty", methods=["POST"])
    @v1
    def empty_topic(self, request: ApiRequest) -> str:
        """Drop what waits in the topic; channels keep theirs."""
        required_name(query_of(request), "topic", "INVALID_TOPIC")
        topic = self.topic_of(request)
        topic.empty()
        self._keep(topic)
        return ""

    @app.route("/topic/pause", methods=["POST"])
    @v1
    def pause_topic(self, request: ApiRequest) -> str:
        """Hand nothing on to the channels."""
        topic = self.topic_of(request)
        topic.pause()
        self._keep(topic)
        return ""

    @app.route("/topic/unpause", methods=["POST"])
    @v1
    def unpause_topic(self, request: ApiRequest) -> str:
        """Hand on again."""
        topic = self.topic_of(request)
        topic.unpause()
        self._keep(topic)
        return ""

    def _keep(self, topic: Topic) -> None:
        """Write down what was done to a topic, before the answer: no kill undoes it then.

        If the disk refuses, that is reported, and tried again (`Broker.checkpoint`).
        """
        self.node.broker.checkpoint(topic)
        self.node.metadata_changed()

    def topic_of(self, request: ApiRequest) -> Topic:
        """The existing topic of a request. Its name is not validated (section 7)."""
        args = query_of(request)
        if "topic" not in args:
            raise ApiError(400, "MISSING_ARG_TOPIC")
        topic = self.node.broker.topics.get(args["topic"])
        if topic is None:
            raise ApiError(404, "TOPIC_NOT_FOUND")
        return topic

    @app.route("/channel/create", methods=["POST"])
    @v1
    def create_channel(self, request: ApiRequest) -> str:
        """Make a channel of an existing topic, if there is none of that name."""
        topic, name = self._topic_and_channel(request)
        limit = limit_of(self, topic, name, query_of(request))
        try:
            channel = topic.get_channel(name)
        except Exiting:
            raise ApiError(503, "EXITING") from None
        set_limit(self, topic, channel, limit)
        return ""

    @app.route("/channel/delete", methods=["POST"])
    @v1
    def delete_channel(self, request: ApiRequest) -> str:
        """Delete a channel with its messages."""
        topic, channel = self.channel_of(request)
        topic.delete_channel(channel.name)
        return ""

    @app.route("/channel/empty", methods=["POST"])
    @v1
    def empty_channel(self, request: ApiRequest) -> str:
        """Drop every message of a channel."""
        topic, channel = self.channel_of(request)
        channel.empty()
        self._keep(topic)
        return ""

    @app.route("/channel/pause", methods=["POST"])
    @v1
    def pause_channel(self, request: ApiRequest) -> str:
        """Send nothing new to the consumers."""
        topic, channel = self.channel_of(request)
        channel.pause()
        self._keep(topic)
        return ""

    @app.route("/channel/unpause", methods=["POST"])
    @v1
    def unpause_channel(self, request: ApiRequest) -> str:
        """Send again."""
        topic, channel = self.channel_of(request)
        channel.unpause()
        self._keep(topic)
        return ""

    def _topic_and_channel(self, request: ApiRequest) -> tuple[Topic, str]:
        args = query_of(request)
        name = required_name(args, "topic", "INVALID_ARG_TOPIC")
        channel = required_name(args, "channel", "INVALID_ARG_CHANNEL")
        topic = self.node.broker.topics.get(name)
        if topic is None:
            raise ApiError(404, "TOPIC_NOT_FOUND")
        return topic, channel

    def channel_of(self, request: ApiRequest) -> tuple[Topic, Channel]:
        """The existing topic and channel of a request (section 7)."""
        topic, name = self._topic_and_channel(request)
        channel = topic.channels.get(name)
        if channel is None:
            raise ApiError(404, "CHANNEL_NOT_FOUND")
        return topic, channel

    # What there is to know. Sections 8 to 10.

    @app.route("/ping", methods=["GET"])
    @plain
    def ping(self, request: ApiRequest) -> str:
        """``OK`` as long as publishes are taken: not while the disk refuses, nor while draining."""
        health = self.node.health
        if health != "OK":
            request.setResponseCode(500)
        return health

    @app.route("/info", methods=["GET"])
    @v1
    def info(self, _request: ApiRequest) -> dict[str, Any]:
        """Who and where this nsqd is. Durations are in ns."""
        node, options = self.node, self.node.options
        return {
            "version": NSQ_VERSION,
            "broadcast_address": options.broadcast_address,
            "hostname": node.hostname,
            "http_port": node.http_port,
            "tcp_port": node.tcp_port,
            "start_time": int(node.start_time),
            "max_heartbeat_interval": options.max_heartbeat_interval,
            "max_output_buffer_size": options.max_output_buffer_size,
            "max_output_buffer_timeout": options.max_output_buffer_timeout,
            "max_deflate_level": options.max_deflate_level,
            "topology_zone": options.topology_zone,
            "topology_region": options.topology_region,
        }

    @app.route("/config/<option>", methods=["GET"])
    @v1
    def get_option(self, _request: ApiRequest, option: str) -> Any:
        """One option, by its name in the config file."""
        try:
            return self.node.config_get(option)
        except KeyError:
            raise ApiError(400, "INVALID_OPTION") from None

    @app.route("/config/<option>", methods=["PUT"])
    @v1
    def set_option(self, request: ApiRequest, option: str) -> Any:
        """Change one of the options that can change, or begin or end to drain; the new value."""
        if request.body_too_big:
            raise ApiError(413, "INVALID_VALUE")
        whole(request)
        if not request.body:
            raise ApiError(413, "INVALID_VALUE")
        try:
            return self.node.config_set(option, request.body)
        except KeyError:
            raise ApiError(400, "INVALID_OPTION") from None
        except ValueError:
            raise ApiError(400, "INVALID_VALUE") from None

    add_publish_routes(app)
    add_dead_letter_routes(app)
    add_peek_routes(app)
    add_stats_route(app)
    add_metrics_route(app)
    add_debug_routes(app)
    add_openapi_route(app, "nsqd", OPERATIONS)
    routes = routes_of(app)
