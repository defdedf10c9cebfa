"""``/stats`` (nsqd-http section 8). Of many topics it is written while others are served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from klein import Klein
from twisted.internet.defer import Deferred

from nsqtx.broker.stats import TopicStats
from nsqtx.nsqd.stats_text import write_stats
from nsqtx.version import NSQ_VERSION
from nsqtx.web.api import answer_json, answer_v1, query_of
from nsqtx.web.args import is_true
from nsqtx.web.memory import memory_stats
from nsqtx.web.site import ApiRequest
from nsqtx.wire.gojson import encode

if TYPE_CHECKING:
    from nsqtx.nsqd.http import NsqdApi

__all__ = ["FEW_TOPICS", "add_stats_route"]

#: So many topics are written at once. Each takes some 25 us, with a channel.
FEW_TOPICS = 200


def add_stats_route(app: Klein) -> None:
    """Add the endpoint to the app of a `NsqdApi`."""

    @app.route("/stats", methods=["GET"])
    def stats(api: NsqdApi, request: ApiRequest) -> bytes | Deferred[bytes]:
        """Topics, channels, clients, memory; as JSON or for people."""
        node = api.node
        args = query_of(request)
        name = args.get("topic", "")
        clients = is_true(args, "include_clients")
        topics = TopicStats.of(node.broker, name, args.get("channel", ""), clients)
        producers = node.producers(name) if clients and topics is not None else []
        known: dict[str, Any] = {
            "version": NSQ_VERSION,
            "health": node.health,
            "start_time": int(node.start_time),
            "topics": topics,
        }
        if is_true(args, "include_mem"):
            known["memory"] = memory_stats()
        known["producers"] = producers or None
        as_json = args.get("format") == "json"
        if as_json:
            pieces = _json(known)
        else:
            pieces = write_stats({**known, "start_time": node.start_time}, node.broker.now())
        written: list[str] = []

        def answer(_: object = None) -> bytes:
            text = "".join(written)
            if as_json:
                return answer_json(request, text.encode())
            return answer_v1(request, text)

        if topics is None or len(topics) <= FEW_TOPICS:
            written += pieces
            return answer()
        return api.cooperator.coiterate(_collect(pieces, written)).addCallback(answer)


def _json(known: dict[str, Any]) -> Iterator[str]:
    """An object, each of its ``topics`` by itself."""
    between = "{"
    for key, value in known.items():
        yield f'{between}"{key}":'
        if isinstance(value, TopicStats):
            yield "["
            for number, topic in enumerate(value):
                yield ("," if number else "") + encode(topic).decode()
            yield "]"
        else:
            yield encode(value).decode()
        between = ","
    yield "}"


def _collect(pieces: Iterable[str], written: list[str]) -> Iterator[None]:
    for piece in pieces:
        written.append(piece)
        yield
