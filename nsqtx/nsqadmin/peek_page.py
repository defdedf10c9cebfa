"""The page that shows messages as they wait. Only nsqd of ours can show them."""

from __future__ import annotations

import attrs
from klein import Klein

from nsqtx.nsqadmin.errors import PageError
from nsqtx.nsqadmin.forms import page_args
from nsqtx.nsqadmin.jsontext import DUMP_BYTES, hex_dump, pretty_json
from nsqtx.nsqadmin.page import Pages, page
from nsqtx.nsqadmin.source import Peeked, PeekedNode, Refused
from nsqtx.web.site import ApiRequest

__all__ = ["add_peek_route"]

STATES = ("ready", "deferred", "inflight")
#: How many messages of each node, and how much of each.
LIMITS = (10, 25, 50)
SIZE = 16 * 1024


@attrs.frozen
class ShownMessage:
    """A message and how its body is shown: ``json``, ``text`` or ``bytes``."""

    message: Peeked
    form: str
    text: str
    cut: bool


def add_peek_route(app: Klein) -> None:
    """Add the page."""

    @app.route("/peek", methods=["GET"])
    @page
    async def peek(pages: Pages, request: ApiRequest) -> bytes:
        pages.require(request, "peek")
        args = page_args(request)
        topic, channel = args.get("topic", ""), args.get("channel", "")
        snapshot = await pages.snapshot()
        row = snapshot.topics.get(topic)
        has = None
        if row is not None:
            has = row.channels.get(channel) if channel else row
        if has is None:
            raise PageError(404, "There is no such topic or channel.")
        states = STATES if channel else STATES[:2]
        state = args.get("state", "")
        state = state if state in states else "ready"
        limit = next((each for each in LIMITS if str(each) == args.get("limit")), LIMITS[0])
        node = args.get("node", "")
        nodes = [each for each in has.nodes if node in ("", each)]
        try:
            found = await pages.source.peek(topic, channel, nodes, state, limit, SIZE)
        except Refused as error:
            raise PageError(502, str(error)) from None
        return pages.render(
            request,
            "peek.html",
            active="topics",
            topic=topic,
            channel=channel,
            state=state,
            states=states,
            limit=limit,
            limits=LIMITS,
            node=node,
            nodes=sorted(has.nodes),
            names={each.address: each.name for each in snapshot.nodes.values()},
            found=[(each, _shown(each)) for each in found],
        )


def _shown(node: PeekedNode) -> list[ShownMessage]:
    return [_shown_message(message) for message in node.messages]


def _shown_message(message: Peeked) -> ShownMessage:
    if message.is_base64:
        cut = message.size > DUMP_BYTES
        return ShownMessage(message, "bytes", hex_dump(message.body), cut)
    cut = message.size > len(message.body.encode("utf-8", "surrogatepass"))
    pretty = None if cut else pretty_json(message.body)
    if pretty is not None:
        return ShownMessage(message, "json", pretty, False)
    return ShownMessage(message, "text", message.body, cut)
