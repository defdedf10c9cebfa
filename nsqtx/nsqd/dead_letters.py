"""``/channel/dead_letter`` and ``/channel/redrive``. Not in the original.

See `nsqtx.broker.dead_letters` for what they are about.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from klein import Klein
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nsqtx.broker.channel import Channel
from nsqtx.broker.commit import Commit
from nsqtx.broker.dead_letters import MAX_ATTEMPTS, DeadLetters, leads_back
from nsqtx.broker.errors import BrokerError
from nsqtx.broker.redrive import Redrive
from nsqtx.broker.topic import Topic
from nsqtx.interfaces import StorageError
from nsqtx.nsqd.peek import number_of
from nsqtx.web.api import ApiError, query_of, v1
from nsqtx.web.site import ApiRequest
from nsqtx.wire.names import is_ephemeral, valid_name

if TYPE_CHECKING:
    from nsqtx.nsqd.http import NsqdApi

__all__ = ["add_dead_letter_routes", "limit_of", "set_limit"]

_log = Logger(namespace="nsqd")


def add_dead_letter_routes(app: Klein) -> None:
    """Add the endpoints to the app of a `NsqdApi`."""

    @app.route("/channel/dead_letter", methods=["POST"])
    @v1
    def limit_channel(api: NsqdApi, request: ApiRequest) -> dict[str, Any]:
        topic, channel = api.channel_of(request)
        args = query_of(request)
        if "max_attempts" not in args:
            raise ApiError(400, "MISSING_ARG_MAX_ATTEMPTS")
        set_limit(api, topic, channel, limit_of(api, topic, channel.name, args))
        letters = channel.dead_letters
        return {"max_attempts": channel.max_attempts, "dead_letter_topic": letters.topic}

    @app.route("/channel/redrive", methods=["POST"])
    @v1
    def redrive_channel(api: NsqdApi, request: ApiRequest) -> Any:
        topic, channel = api.channel_of(request)
        limit = number_of(query_of(request), "limit", sys.maxsize, 1, sys.maxsize)
        if channel.dead_letters.redriving:
            raise ApiError(409, "REDRIVE_IN_PROGRESS")
        return _redrive(api, Redrive(api.node.broker, topic, channel, limit))


_Limit = tuple[int | None, str]


def limit_of(api: NsqdApi, topic: Topic, channel: str, args: dict[str, str]) -> _Limit | None:
    """What a request asks for: most attempts and dead-letter topic. None: nothing.

    :raises ApiError: 400, it cannot have that.
    """
    name = args.get("dead_letter_topic", "")
    if "max_attempts" not in args and not name:
        return None
    most = None
    if "max_attempts" in args:
        most = number_of(args, "max_attempts", 0, 0, MAX_ATTEMPTS)
    if "dead_letter_topic" not in args:
        return most, ""
    lasting = not is_ephemeral(topic.name) and not is_ephemeral(channel)
    if not valid_name(name) or (lasting and is_ephemeral(name)):
        # An ephemeral topic drops what it has no room for, and forgets all when nsqd stops.
        raise ApiError(400, "INVALID_ARG_DEAD_LETTER_TOPIC")
    if leads_back(api.node.broker, name, topic.name):
        raise ApiError(400, "DEAD_LETTER_LOOP")
    return most, name


def set_limit(api: NsqdApi, topic: Topic, channel: Channel, limit: _Limit | None) -> None:
    """Give a channel what `limit_of` found, and write it down."""
    if limit is not None:
        channel.limit_attempts(*limit)
        api.node.broker.checkpoint(topic)


@inlineCallbacks
def _redrive(api: NsqdApi, redrive: Redrive) -> Any:
    """Step by step, with a turn of the reactor between them. Ends early if the client leaves."""
    letters = redrive.channel.dead_letters
    letters.redriving = True
    commit = Commit(done=True)
    try:
        while not redrive.done:
            commit = redrive.step()
            yield _done(commit)
            if not redrive.done:
                yield deferLater(api.clock, 0)
    except (BrokerError, StorageError) as error:
        _log.error(
            "redrive of {topic}:{channel} stopped after {count} - {error}",
            topic=redrive.topic.name,
            channel=redrive.channel.name,
            count=redrive.count,
            error=error,
        )
        raise ApiError(503, "EXITING") from None
    finally:
        # Whoever leaves cancels the wait, but not the slice that is under way.
        commit.add(partial(_ended, letters))
    return {"count": redrive.count}


def _ended(letters: DeadLetters, _error: StorageError | None) -> None:
    letters.redriving = False


def _done(commit: Commit) -> Deferred[None]:
    """Fires with a commit."""
    done: Deferred[None] = Deferred()

    def committed(error: StorageError | None) -> None:
        if error is None:
            done.callback(None)
        else:
            done.errback(error)

    commit.add(committed)
    return done
