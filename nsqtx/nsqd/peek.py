"""``/channel/peek`` and ``/topic/peek``: messages as they wait, for people. Not in the original."""

from __future__ import annotations

import codecs
import re
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from klein import Klein

from nsqtx.broker.peek import Peeked, peek_deferred, peek_held, peek_in_flight, peek_ready
from nsqtx.interfaces import StorageError
from nsqtx.web.api import ApiError, query_of, v1
from nsqtx.web.site import ApiRequest
from nsqtx.wire.frames import body_of, id_of, timestamp_of

if TYPE_CHECKING:
    from nsqtx.nsqd.http import NsqdApi

__all__ = ["add_peek_routes", "number_of"]

#: How many messages are shown, unless the request says otherwise, and at most.
LIMIT = 10
MAX_LIMIT = 100
#: How much of a body is shown, in bytes.
BODY_BYTES = 256
MAX_BODY_BYTES = 64 * 1024

_NUMBER = re.compile("[0-9]{1,19}")
_Look = Callable[[int], list[Peeked]]


def add_peek_routes(app: Klein) -> None:
    """Add the endpoints to the app of a `NsqdApi`."""

    @app.route("/channel/peek", methods=["GET"])
    @v1
    def peek_channel(api: NsqdApi, request: ApiRequest) -> dict[str, Any]:
        topic, channel = api.channel_of(request)
        looks: dict[str, _Look] = {
            "ready": partial(peek_ready, channel),
            "deferred": partial(peek_deferred, channel.deferred, topic.log),
            "inflight": partial(peek_in_flight, channel),
        }
        return _peek(api, request, looks)

    @app.route("/topic/peek", methods=["GET"])
    @v1
    def peek_topic(api: NsqdApi, request: ApiRequest) -> dict[str, Any]:
        topic = api.topic_of(request)
        looks: dict[str, _Look] = {
            "ready": partial(peek_held, topic.held),
            "deferred": partial(peek_deferred, topic.held_deferred, topic.log),
        }
        return _peek(api, request, looks)


def _peek(api: NsqdApi, request: ApiRequest, looks: dict[str, _Look]) -> dict[str, Any]:
    args = query_of(request)
    look = looks.get(args.get("state", "ready"))
    if look is None:
        raise ApiError(400, "INVALID_ARG_STATE")
    limit = number_of(args, "limit", LIMIT, 1, MAX_LIMIT)
    shown = number_of(args, "bytes", BODY_BYTES, 0, MAX_BODY_BYTES)
    try:
        found = look(limit)
    except StorageError:
        # The store has reported the reason.
        raise ApiError(500, "INTERNAL_ERROR") from None
    now = api.node.broker.now()
    return {"messages": [_message(each, shown, now) for each in found]}


def number_of(args: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    """A decimal parameter.

    :raises ApiError: 400 ``INVALID_ARG_<NAME>``, it is none or out of bounds.
    """
    text = args.get(name)
    if text is None:
        return default
    number = int(text) if _NUMBER.fullmatch(text) else -1
    if not least <= number <= most:
        raise ApiError(400, f"INVALID_ARG_{name.upper()}")
    return number


def _message(peeked: Peeked, shown: int, now: int) -> dict[str, Any]:
    """A message as JSON: times and age in ns, ``size`` in bytes.

    ``body`` is text where the part shown is UTF-8 (a character cut at its end is left out), else
    base64, and ``base64`` says which.
    """
    record = peeked.record
    body = body_of(record)
    timestamp = timestamp_of(record)
    message: dict[str, Any] = {
        "id": id_of(record).decode("ascii"),
        "timestamp": timestamp,
        "age": now - timestamp,
        "attempts": peeked.attempts,
    }
    if peeked.due:
        message["due"] = peeked.due
    if peeked.deadline:
        message["deadline"] = peeked.deadline
        message["client"] = _client(peeked)
    part = body[:shown]
    try:
        decoder = codecs.getincrementaldecoder("utf-8")()
        text, is_text = decoder.decode(part, final=len(part) == len(body)), True
    except UnicodeDecodeError:
        text, is_text = b64encode(part).decode("ascii"), False
    return {**message, "size": len(body), "base64": not is_text, "body": text}


def _client(peeked: Peeked) -> dict[str, Any] | None:
    """Who has a message in flight; None when that client is gone."""
    owner = peeked.owner
    if owner is None or owner not in owner.channel.subscriptions:
        return None
    stats = owner.subscriber.stats()
    return {key: stats.get(key) for key in ("client_id", "hostname", "remote_address")}
