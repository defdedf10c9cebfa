"""The pages to look at: topics, a topic, a channel, nodes, a node, counter, lookup."""

from __future__ import annotations

from typing import Any

from klein import Klein

from nsqtx.nsqadmin.action_page import add_action_routes
from nsqtx.nsqadmin.errors import PageError
from nsqtx.nsqadmin.forms import page_args
from nsqtx.nsqadmin.login_page import add_login_routes
from nsqtx.nsqadmin.page import Pages, page
from nsqtx.nsqadmin.peek_page import add_peek_route
from nsqtx.nsqadmin.rows import ChannelRow, ClientRow, NodeRow, Snapshot, TopicRow
from nsqtx.nsqadmin.source import Consumers, Inactive, Refused
from nsqtx.nsqadmin.tables import Table
from nsqtx.web.api import answer_text, unlogged
from nsqtx.web.site import ApiRequest

__all__ = ["add_page_routes"]


#: Inactive topics that the lookup page shows.
MAX_INACTIVE = 200


def _rate(rate: float | None) -> float:
    return -1.0 if rate is None else rate


TOPICS: Table[TopicRow] = Table(
    {
        "name": lambda topic: topic.name,
        "depth": lambda topic: topic.all.depth,
        "backlog": lambda topic: topic.backlog,
        "inflight": lambda topic: topic.in_flight,
        "deferred": lambda topic: topic.deferred,
        "rate": lambda topic: _rate(topic.all.rate),
        "messages": lambda topic: topic.all.messages,
        "channels": lambda topic: len(topic.channels),
        "clients": lambda topic: topic.clients,
        "nodes": lambda topic: len(topic.nodes),
    },
    default="name",
    name=lambda topic: topic.name,
)
CHANNELS: Table[ChannelRow] = Table(
    {
        "name": lambda channel: channel.name,
        "depth": lambda channel: channel.all.depth,
        "inflight": lambda channel: channel.all.in_flight,
        "deferred": lambda channel: channel.all.deferred,
        "requeued": lambda channel: channel.all.requeued,
        "timedout": lambda channel: channel.all.timed_out,
        "rate": lambda channel: _rate(channel.all.rate),
        "messages": lambda channel: channel.all.messages,
        "clients": lambda channel: channel.all.clients,
    },
    default="name",
    name=lambda channel: channel.name,
)
NODES: Table[NodeRow] = Table(
    {
        "hostname": lambda node: node.hostname,
        "address": lambda node: node.address,
        "version": lambda node: node.version,
        "zone": lambda node: (node.region, node.zone),
        "topics": lambda node: len(node.topics),
        "depth": lambda node: node.depth,
        "clients": lambda node: node.clients,
        "rate": lambda node: _rate(node.rate),
    },
    default="hostname",
    name=lambda node: f"{node.hostname} {node.address}",
)


def add_page_routes(app: Klein) -> None:
    """Add all pages to the app of an API that has `Pages` as ``pages``."""

    @app.route("/", methods=["GET"])
    @app.route("/topics", methods=["GET"])
    @page
    async def topics(pages: Pages, request: ApiRequest) -> bytes:
        snapshot = await pages.snapshot()
        view = TOPICS.view(snapshot.topics.values(), page_args(request))
        inactive = set(snapshot.inactive())
        return pages.render(request, "topics.html", active="topics", view=view, inactive=inactive)

    @app.route("/topics/<topic>", methods=["GET"])
    @page
    async def topic(pages: Pages, request: ApiRequest, topic: str) -> bytes:
        snapshot = await pages.snapshot()
        row = _topic(pages, snapshot, topic)
        view = CHANNELS.view(row.channels.values(), page_args(request))
        return pages.render(
            request,
            "topic.html",
            active="topics",
            topic=row,
            view=view,
            snapshot=snapshot,
            inactive=not row.nodes and topic in snapshot.inactive(),
            **pages.graphs_for(
                request, lambda graphs, span: graphs.topic(topic, row.all.latencies, span)
            ),
        )

    @app.route("/topics/<topic>/<channel>", methods=["GET"])
    @page
    async def channel(pages: Pages, request: ApiRequest, topic: str, channel: str) -> bytes:
        snapshot = await pages.snapshot()
        row = _topic(pages, snapshot, topic)
        found = row.channels.get(channel)
        if found is None:
            raise PageError(
                404,
                f"No nsqd has a channel {channel} of the topic {topic}.",
                hint="Its other channels",
                link=pages.urls.topic(topic),
            )
        consumers = await _consumers(
            pages,
            ("channel", topic, channel),
            lambda: pages.source.consumers_of_channel(topic, channel),
        )
        return pages.render(
            request,
            "channel.html",
            active="topics",
            topic=row,
            channel=found,
            consumers=consumers,
            snapshot=snapshot,
            **pages.graphs_for(
                request,
                lambda graphs, span: graphs.channel(topic, channel, found.all.latencies, span),
            ),
        )

    @app.route("/nodes", methods=["GET"])
    @page
    async def nodes(pages: Pages, request: ApiRequest) -> bytes:
        snapshot = await pages.snapshot()
        view = NODES.view(snapshot.nodes.values(), page_args(request))
        return pages.render(request, "nodes.html", active="nodes", view=view, snapshot=snapshot)

    @app.route("/nodes/<node>", methods=["GET"])
    @page
    async def node(pages: Pages, request: ApiRequest, node: str) -> bytes:
        snapshot = await pages.snapshot()
        row = snapshot.nodes.get(node)
        if row is None:
            raise PageError(
                404, f"There is no node {node}.", hint="All nodes", link=pages.urls.page("nodes")
            )
        has = [topic for topic in snapshot.topics.values() if node in topic.nodes]
        view = TOPICS.view(has, page_args(request))
        consumers = await _consumers(
            pages, ("node", node), lambda: pages.source.consumers_of_node(node)
        )
        clients: dict[tuple[str, str], list[ClientRow]] = {}
        for client in consumers.clients:
            clients.setdefault((client.topic, client.channel), []).append(client)
        return pages.render(
            request,
            "node.html",
            active="nodes",
            node=row,
            view=view,
            clients=clients,
            consumers=consumers,
            channel_count=sum(
                node in channel.nodes for topic in has for channel in topic.channels.values()
            ),
            **pages.graphs_for(request, lambda graphs, span: graphs.node(node, span)),
        )

    @app.route("/counter", methods=["GET"])
    @page
    async def counter(pages: Pages, request: ApiRequest) -> bytes:
        snapshot = await pages.snapshot()
        top = sorted(snapshot.topics.values(), key=lambda each: -_rate(each.all.rate))[:10]
        return pages.render(
            request,
            "counter.html",
            active="counter",
            snapshot=snapshot,
            top=top,
            **pages.graphs_for(request, lambda graphs, span: graphs.counter(span)),
        )

    @app.route("/lookup", methods=["GET"])
    @page
    async def lookup(pages: Pages, request: ApiRequest) -> bytes:
        snapshot = await pages.snapshot()
        names = snapshot.inactive()
        # More are no help to anybody, and each costs a request.
        shown = names[:MAX_INACTIVE]
        found = Inactive()
        if pages.source.lookups:
            try:
                found = await pages.shared.get(
                    ("inactive", *shown), lambda: pages.source.inactive(shown)
                )
            except Refused as error:
                found = Inactive(warnings=[str(error)])
        return pages.render(
            request, "lookup.html", active="lookup", inactive=found, count=len(names)
        )

    @app.route("/events", methods=["GET"])
    def events(api: Any, request: ApiRequest) -> Any:
        return api.pages.streams.open(request)

    @app.route("/static/<name>", methods=["GET"])
    @app.route("/fonts/<name>", methods=["GET"])
    @unlogged
    def static(api: Any, request: ApiRequest, name: str) -> bytes:
        return _static(api.pages, request, name)

    add_peek_route(app)
    add_action_routes(app)
    add_login_routes(app)


def _topic(pages: Pages, snapshot: Snapshot, topic: str) -> TopicRow:
    """A topic. :raises PageError: 404."""
    row = snapshot.topics.get(topic)
    if row is None:
        raise PageError(
            404,
            f"No nsqd has the topic {topic}.",
            hint="Topics without an nsqd are at Lookup",
            link=pages.urls.page("lookup"),
        )
    return row


async def _consumers(pages: Pages, key: tuple[str, ...], ask: Any) -> Consumers:
    """The clients, for all who look at them. That they cannot be had leaves the rest of a page."""
    try:
        found: Consumers = await pages.shared.get(key, ask)
    except Refused as error:
        return Consumers(warnings=[str(error)])
    return found


def _static(pages: Pages, request: ApiRequest, name: str) -> bytes:
    asset = pages.assets.find(name)
    if asset is None:
        request.setResponseCode(404)
        return answer_text(request, "NOT_FOUND")
    request.set_header(b"Content-Type", asset.type.encode())
    request.set_header(b"Content-Length", b"%d" % len(asset.data))
    if request.query == b"v=" + asset.version.encode():
        request.set_header(b"Cache-Control", b"public, max-age=31536000, immutable")
    else:
        request.set_header(b"Cache-Control", b"no-cache")
    return asset.data
