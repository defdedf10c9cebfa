"""Acting on the cluster on behalf of who asked for it: every action is notified of.

Pages and API do it through here. What was begun is done to its end, also if who asked for it
leaves: a topic that is deleted on some nodes and not on others would come back.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.cluster.actions import ClusterActions
from nsqtx.cluster.gathering import ClusterError, Gathered
from nsqtx.nsqadmin.notify import Notifier, notification
from nsqtx.nsqadmin.roles import identity_of
from nsqtx.web.site import ApiRequest

__all__ = ["Deeds"]

P = ParamSpec("P")
T = TypeVar("T")

log = Logger(namespace="nsqadmin.deeds")


def _to_the_end(
    deed: Callable[P, Coroutine[Deferred[Any], Any, T]],
) -> Callable[P, Deferred[T]]:
    """Have a coroutine begun at once; who waits for it may leave, which does not end it."""

    @wraps(deed)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        waiting: Deferred[T] = Deferred()

        def ended(result: T | Failure) -> None:
            if not waiting.called:
                waiting.callback(result)
            elif isinstance(result, Failure) and result.check(ClusterError):
                log.error("{deed}: {error}", deed=deed.__name__, error=result.value)
            elif isinstance(result, Failure):
                log.failure("{deed}, which nobody waits for", result, deed=deed.__name__)

        Deferred.fromCoroutine(deed(*args, **kwargs)).addBoth(ended)
        return waiting

    return begin


class Deeds:
    """The actions of one nsqadmin.

    Each fails with `nsqtx.cluster.gathering.ClusterError` if nobody could be asked whom to tell.
    Names are to be valid; who may do it is looked at before.
    """

    def __init__(
        self,
        actions: ClusterActions,
        notifier: Notifier | None,
        clock: IReactorTime,
        hostname: str,
    ) -> None:
        self._actions = actions
        self._notifier = notifier
        self._clock = clock
        self._hostname = hostname

    @_to_the_end
    async def create(self, request: ApiRequest, topic: str, channel: str = "") -> Gathered[None]:
        """Make a topic, or a channel and its topic."""
        if not channel:
            done = await self._actions.create_topic(topic)
            self._tell(request, "create_topic", topic)
            return done
        done = await self._actions.create_channel(topic, channel)
        self._tell(request, "create_topic", topic)
        self._tell(request, "create_channel", topic, channel)
        return done

    @_to_the_end
    async def delete(self, request: ApiRequest, topic: str, channel: str = "") -> Gathered[None]:
        """Delete a topic, or a channel of it."""
        if channel:
            done = await self._actions.delete_channel(topic, channel)
            self._tell(request, "delete_channel", topic, channel)
        else:
            done = await self._actions.delete_topic(topic)
            self._tell(request, "delete_topic", topic)
        return done

    @_to_the_end
    async def tombstone(self, request: ApiRequest, topic: str, node: str) -> Gathered[None]:
        """Hide a node from a topic, and delete that there."""
        done = await self._actions.tombstone(topic, node)
        self._tell(request, "tombstone_topic_producer", topic, node=node)
        return done

    @_to_the_end
    async def act(
        self, request: ApiRequest, action: str, topic: str, channel: str = ""
    ) -> Gathered[None]:
        """One of `nsqtx.cluster.actions.ACTIONS`. It is notified of even if nothing came of it."""
        kind = "channel" if channel else "topic"
        try:
            if channel:
                return await self._actions.act_on_channel(topic, channel, action)
            return await self._actions.act_on_topic(topic, action)
        finally:
            self._tell(request, f"{action}_{kind}", topic, channel)

    @_to_the_end
    async def redrive(
        self, request: ApiRequest, topic: str, channel: str, limit: int = 0
    ) -> Gathered[int]:
        """Bring the dead letters of a channel back to it; how many."""
        done = await self._actions.redrive(topic, channel, limit)
        self._tell(request, "redrive_channel", topic, channel)
        return done

    def _tell(
        self, request: ApiRequest, action: str, topic: str, channel: str = "", node: str = ""
    ) -> None:
        identity = identity_of(request)
        user = identity.name if identity is not None else ""
        log.info(
            "{action} topic({topic}) channel({channel}) node({node}) by {user!r}",
            action=action,
            topic=topic,
            channel=channel,
            node=node,
            user=user,
        )
        if self._notifier is not None:
            said = notification(
                request,
                action,
                topic,
                channel,
                node,
                user=user,
                via=self._hostname,
                now=self._clock.seconds(),
            )
            self._notifier.notify(said)
