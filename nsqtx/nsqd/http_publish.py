"""``/pub`` and ``/mpub`` (nsqd-http section 6), by Klein and by the fast lane alike.

Each endpoint is one function, whoever calls it: what it needs of a request, an `ApiRequest` and a
`LaneRequest` both have. Checks come in the order of the tables in the specification.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.broker.commit import Commit
from nsqtx.broker.errors import BrokerError, Exiting
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import StorageError
from nsqtx.nsqd.mpub import BadMpub, split_binary, split_text
from nsqtx.web.api import (
    AnyRequest,
    ApiError,
    answer_exception,
    answer_v1,
    query_of,
    unlogged,
    v1,
)
from nsqtx.web.lane import PUT_OFF
from nsqtx.wire.names import valid_name

if TYPE_CHECKING:
    from nsqtx.nsqd.http import NsqdApi

__all__ = ["PUBLISHING", "add_publish_routes", "required_name", "whole"]

_log = Logger(namespace="nsqtx.nsqd.http")
_MILLISECOND = 10**6
#: A signed decimal of 64 bits at most; ``int`` alone would also take spaces and underscores.
_NUMBER = re.compile("([+-]?)0*([0-9]{1,19})")


@unlogged
@v1
def pub(api: NsqdApi, request: AnyRequest) -> Any:
    """One message: the body. Section 6.1."""
    if request.body_too_big:
        raise ApiError(413, "MSG_TOO_BIG")
    whole(request)
    body = request.body
    if not body:
        raise ApiError(400, "MSG_EMPTY")
    args = query_of(request)
    topic = _topic_to_publish(api, args)
    due = 0
    if "defer" in args:
        delay = _delay(args["defer"], api.node.options.max_req_timeout)
        due = api.node.broker.now() + delay if delay else 0
    turn = api.node.turn
    if turn is not None and request.later is not None and not due and not topic.must_commit:
        turn.publish(topic.name, body, _PutOff(request))
        return PUT_OFF
    return _publish(topic, [body], due)


@attrs.define(eq=False)
class _PutOff:
    """A message that is published when the turn ends; see `nsqtx.broker.turn.Publisher`."""

    request: AnyRequest

    def taken(self, topic: str, size: int, commit: Commit | None) -> None:
        assert commit is None
        self._answer(answer_v1(self.request, "OK"))

    def refused(self, error: Exception) -> None:
        if isinstance(error, (BrokerError, StorageError)):
            error = ApiError(503, "EXITING")
        self._answer(answer_exception(Failure(error), self.request))

    def _answer(self, body: bytes) -> None:
        later, self.request.later = self.request.later, None
        assert later is not None
        later(body)


@unlogged
@v1
def mpub(api: NsqdApi, request: AnyRequest) -> Any:
    """Many messages, all or none: one a line, or the binary form. Section 6.2."""
    if request.length_refused:
        raise ApiError(413, "BODY_TOO_BIG")
    args = query_of(request)
    topic = _topic_to_publish(api, args)
    if request.body_too_big:
        raise ApiError(413, "BODY_TOO_BIG")
    whole(request)
    options = api.node.options
    try:
        if _is_binary(args):
            bodies = split_binary(request.body, options.max_msg_size, options.max_body_size)
        else:
            bodies = split_text(request.body, options.max_msg_size)
    except BadMpub as error:
        raise ApiError(413, error.token) from None
    return _publish(topic, bodies) if bodies else "OK"


#: The endpoints by their paths, all of which are for POST.
PUBLISHING = {"/pub": pub, "/put": pub, "/mpub": mpub, "/mput": mpub}


def add_publish_routes(app: Klein) -> None:
    """Add the endpoints to the app of a `NsqdApi`."""
    for path, endpoint in PUBLISHING.items():
        app.route(path, methods=["POST"], endpoint=path[1:])(endpoint)


def _topic_to_publish(api: NsqdApi, args: dict[str, str]) -> Topic:
    name = required_name(args, "topic", "INVALID_TOPIC")
    if api.node.draining:
        raise ApiError(503, "DRAINING")
    try:
        return api.node.broker.get_topic(name)
    except (Exiting, StorageError):
        raise ApiError(503, "EXITING") from None


def _delay(text: str, most: int) -> int:
    """A ``defer`` parameter in ns."""
    number = _NUMBER.fullmatch(text)
    delay = int(number[1] + number[2]) * _MILLISECOND if number else -1
    if not 0 <= delay <= most:
        raise ApiError(400, "INVALID_DEFER")
    return delay


def _publish(topic: Topic, bodies: list[bytes], due: int = 0) -> Any:
    """OK, or a Deferred of it when that has to wait for the disk."""
    try:
        commit = topic.publish(bodies, due)
    except (Exiting, StorageError):
        # The store keeps the reason, for health.
        raise ApiError(503, "EXITING") from None
    return "OK" if commit is None else _committed(commit)


def whole(request: AnyRequest) -> None:
    """See that a body came to its end.

    :raises ApiError: 500 ``INTERNAL_ERROR``, it did not.
    """
    if request.body_broken:
        raise ApiError(500, "INTERNAL_ERROR")


def required_name(args: dict[str, str], name: str, invalid: str) -> str:
    """The name of a topic or channel that must be there and valid.

    :raises ApiError: 400, ``MISSING_ARG_...`` or the token ``invalid``.
    """
    if name not in args:
        raise ApiError(400, f"MISSING_ARG_{name.upper()}")
    if not valid_name(args[name]):
        raise ApiError(400, invalid)
    return args[name]


def _is_binary(args: dict[str, str]) -> bool:
    """Anything but ``false`` and ``0`` means binary, also nothing at all (section 6.2)."""
    value = args.get("binary", "false")
    if value not in ("true", "1", "false", "0"):
        _log.warn("/mpub: binary={value} is taken for true, say true or 1", value=value)
    return value not in ("false", "0")


def _committed(commit: Commit) -> Deferred[str]:
    """OK once a commit is through. A client that leaves cancels its wait, not the commit."""
    answer: Deferred[str] = Deferred()
    commit.add(partial(_commit_done, answer))
    return answer


def _commit_done(answer: Deferred[str], error: StorageError | None) -> None:
    if error is None:
        answer.callback("OK")
    else:
        answer.errback(ApiError(503, "EXITING"))
