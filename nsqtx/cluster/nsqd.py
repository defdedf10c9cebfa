"""A client of one nsqd (nsqd-http, all sections)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from nsqtx.cluster.daemon import DaemonClient, channel_args, done, topic_args
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.http import Answer
from nsqtx.cluster.multipublish import binary_body, text_body
from nsqtx.cluster.peeked import AttemptLimit, Peek, PeekedMessage
from nsqtx.cluster.producers import Info
from nsqtx.cluster.stats import Stats
from nsqtx.wire import gojson
from nsqtx.wire.names import valid_name

__all__ = ["NsqdClient"]


class NsqdClient(DaemonClient):
    """Publishes to one nsqd by HTTP, administers it, and asks what it has.

    A path in its URL is put before those of the endpoints. Names and messages that no nsqd would
    take are a ValueError at once.
    """

    DEFAULT_PORT: ClassVar[int] = 4151

    # Publishing.

    def publish(self, topic: str, body: bytes, defer: float = 0.0) -> Deferred[None]:
        """Publish a message, to be delivered ``defer`` seconds from now at the earliest."""
        if not body:
            raise ValueError("a message has at least one byte")
        args = {**topic_args(topic), **_defer_args(defer)}
        return self._post("/pub", args, body).addCallback(done)

    def multipublish(
        self, topic: str, bodies: Iterable[bytes], *, binary: bool = True, defer: float = 0.0
    ) -> Deferred[None]:
        """Publish messages, all or none.

        Without ``binary`` they are sent one a line, so none may have a newline in it. ``defer`` is
        sent in seconds as for `publish`, but nsqd up to 1.3 pass over it here.
        """
        args = {**topic_args(topic), **_defer_args(defer)}
        if binary:
            args["binary"] = "true"
        body = binary_body(bodies) if binary else text_body(bodies)
        return self._post("/mpub", args, body).addCallback(done)

    # Topics and channels.

    def create_topic(self, topic: str) -> Deferred[None]:
        """Make a topic, if there is none of that name."""
        return self._topic("create", topic)

    def delete_topic(self, topic: str) -> Deferred[None]:
        """Delete a topic with its channels and messages."""
        return self._topic("delete", topic)

    def empty_topic(self, topic: str) -> Deferred[None]:
        """Drop what waits in the topic itself."""
        return self._topic("empty", topic)

    def pause_topic(self, topic: str) -> Deferred[None]:
        """Hand nothing on to its channels."""
        return self._topic("pause", topic)

    def unpause_topic(self, topic: str) -> Deferred[None]:
        """Hand on again."""
        return self._topic("unpause", topic)

    def create_channel(self, topic: str, channel: str) -> Deferred[None]:
        """Make a channel of a topic that exists."""
        return self._channel("create", topic, channel)

    def delete_channel(self, topic: str, channel: str) -> Deferred[None]:
        """Delete a channel with its messages."""
        return self._channel("delete", topic, channel)

    def empty_channel(self, topic: str, channel: str) -> Deferred[None]:
        """Drop the messages of a channel."""
        return self._channel("empty", topic, channel)

    def pause_channel(self, topic: str, channel: str) -> Deferred[None]:
        """Send nothing to its consumers."""
        return self._channel("pause", topic, channel)

    def unpause_channel(self, topic: str, channel: str) -> Deferred[None]:
        """Send again."""
        return self._channel("unpause", topic, channel)

    # What there is to know.

    def stats(
        self,
        topic: str = "",
        channel: str = "",
        *,
        include_clients: bool = True,
        include_mem: bool = True,
    ) -> Deferred[Stats]:
        """Its figures, of one topic or channel if they are given."""
        args = _stats_args(topic, channel, include_clients, include_mem)
        asking = self._get("/stats", {"format": "json", **args})
        return asking.addCallback(lambda answer: answer.read(Stats))

    def stats_text(
        self,
        topic: str = "",
        channel: str = "",
        *,
        include_clients: bool = True,
        include_mem: bool = True,
    ) -> Deferred[str]:
        """The same for people."""
        args = _stats_args(topic, channel, include_clients, include_mem)
        return self._get("/stats", args).addCallback(lambda answer: answer.text)

    def info(self) -> Deferred[Info]:
        """Who and where it is."""
        return self._get("/info").addCallback(lambda answer: answer.read(Info))

    def get_config(self, option: str) -> Deferred[Any]:
        """An option, by its name in the configuration file; durations in ns."""
        return self._get(f"/config/{option}").addCallback(_config_value)

    def set_config(self, option: str, value: str | list[str]) -> Deferred[Any]:
        """Change an option as long as it runs; fires with the new value.

        ``nsqlookupd_tcp_addresses`` is a list, ``log_level`` a word, ``drain`` (ours) ``true`` or
        ``false``.
        """
        body = value.encode() if isinstance(value, str) else gojson.encode(value)
        path = f"{self._prefix}/config/{option}"
        return self._ask("PUT", path, body=body).addCallback(_config_value)

    def set_block_rate(self, rate: int) -> Deferred[None]:
        """How often the Go runtime samples goroutines that block; ours has nothing to set."""
        path = f"{self._prefix}/debug/setblockrate"
        return self._ask("PUT", path, {"rate": str(rate)}, b"").addCallbacks(
            done, _done_all_the_same
        )

    def free_memory(self) -> Deferred[None]:
        """Have it collect garbage and give memory back to its system."""
        return self._post("/debug/freememory", {}).addCallbacks(done, _done_all_the_same)

    # Ours alone; the original answers these with 404.

    def drain(self, begin: bool = True) -> Deferred[bool]:
        """Refuse publishes and stop when all is delivered; or, with False, take them again."""
        return self.set_config("drain", "true" if begin else "false").addCallback(bool)

    def peek(
        self, topic: str, channel: str = "", *, state: str = "", limit: int = 0, size: int = -1
    ) -> Deferred[list[PeekedMessage]]:
        """Messages that wait in a channel, or in the topic itself, without touching them.

        ``state`` is ``ready`` (the default), ``deferred`` or, of channels, ``inflight``; ``limit``
        how many are shown at most, ``size`` how many bytes of each body. 0 and -1 leave that to
        nsqd.
        """
        args = channel_args(topic, channel) if channel else topic_args(topic)
        if state:
            args["state"] = state
        if limit:
            args["limit"] = str(limit)
        if size >= 0:
            args["bytes"] = str(size)
        asking = self._get("/channel/peek" if channel else "/topic/peek", args)
        return asking.addCallback(lambda answer: answer.read(Peek).messages)

    def limit_attempts(
        self, topic: str, channel: str, max_attempts: int, dead_letter_topic: str = ""
    ) -> Deferred[AttemptLimit]:
        """Have messages go to a dead-letter topic after so many attempts; 0: never.

        Without a topic nsqd keeps, or makes up, the name.
        """
        args = {**channel_args(topic, channel), "max_attempts": str(max_attempts)}
        if dead_letter_topic:
            if not valid_name(dead_letter_topic):
                raise ValueError(f"{dead_letter_topic!r} is no name of a topic")
            args["dead_letter_topic"] = dead_letter_topic
        asking = self._post("/channel/dead_letter", args)
        return asking.addCallback(lambda answer: answer.read(AttemptLimit))

    def redrive(
        self, topic: str, channel: str, limit: int = 0, timeout: float = 300.0
    ) -> Deferred[int]:
        """Bring the dead letters of a channel back to it, ``limit`` at most (0: all); how many.

        That can take a while: ``timeout`` is for this request. Who gives it up ends it early.
        """
        args = channel_args(topic, channel)
        if limit:
            args["limit"] = str(limit)
        asking = self._post("/channel/redrive", args, timeout=timeout)
        return asking.addCallback(lambda answer: answer.read(_Redriven).count)


@attrs.define
class _Redriven:
    count: int = 0


def _defer_args(seconds: float) -> dict[str, str]:
    """``defer`` in ms, rounded up, since a message must not come early."""
    if not 0 <= seconds < math.inf:
        raise ValueError("a message is deferred by 0 seconds or more")
    # What a float adds to a number of ms is no reason for one more.
    milliseconds = math.ceil(round(seconds * 1000, 6))
    return {"defer": str(milliseconds)} if milliseconds else {}


def _stats_args(topic: str, channel: str, clients: bool, memory: bool) -> dict[str, str]:
    args = {"topic": topic} if topic else {}
    if channel:
        args["channel"] = channel
    if not clients:
        args["include_clients"] = "false"
    if not memory:
        args["include_mem"] = "false"
    return args


def _config_value(answer: Answer) -> Any:
    """Text as it is, anything else from JSON (nsqd-http section 10)."""
    is_json = answer.header("Content-Type").startswith("application/json")
    return answer.json() if is_json else answer.text


def _done_all_the_same(failure: Failure) -> None:
    """The original does it, then answers 500 ``INTERNAL_ERROR`` (nsqd-http section 11)."""
    error = failure.value
    if not (isinstance(error, ApiError) and (error.status, error.code) == (500, "INTERNAL_ERROR")):
        failure.raiseException()
