"""What the clients of nsqd and nsqlookupd share: a place, requests, and whether it is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.iweb import IAgent

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.http import Answer, ApiClient
from nsqtx.cluster.urls import DaemonUrl, query_text
from nsqtx.version import __version__
from nsqtx.wire.names import valid_name

__all__ = ["DaemonClient", "InvalidName", "channel_args", "done", "topic_args"]

#: How long `DaemonClient.wait_until_healthy` waits between its tries, at first and at most (s).
PAUSE = 0.05
MAX_PAUSE = 1.0


class InvalidName(ValueError):
    """No topic, or no channel, can be called so."""


class DaemonClient:
    """Asks one daemon. All methods answer with a Deferred, which fails with `ApiError` only.

    :param address: where it is, see `nsqtx.cluster.urls`.
    :param agent: makes connections, and knows whom to trust with TLS.
    :param timeout: for each request, in seconds.
    :param token: sent as ``Authorization: Bearer``, for a proxy that asks for it.
    :param max_size: the largest answer that is read, in bytes.
    :raises ValueError: the address is none.
    """

    DEFAULT_PORT: ClassVar[int]

    def __init__(
        self,
        address: str,
        agent: IAgent,
        clock: IReactorTime,
        *,
        timeout: float = 5.0,
        token: str = "",
        max_size: int = 64 * 1024 * 1024,
    ) -> None:
        self.address = address
        self.url = DaemonUrl.parse(address, self.DEFAULT_PORT)
        self.timeout = timeout
        self._clock = clock
        self._prefix = self.url.path
        authorization = f"Bearer {token}" if token else self.url.authorization
        headers = {"User-Agent": f"nsqtx/{__version__}"}
        if authorization:
            headers["Authorization"] = authorization
        self._client = ApiClient(agent, clock, timeout, max_size, headers)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url.root}>"

    def ping(self) -> Deferred[str]:
        """``OK``. Who is not well fails, with the reason in the `ApiError.body`."""
        return self._get("/ping").addCallback(_text)

    def metrics(self) -> Deferred[str]:
        """What our daemons tell Prometheus, as text."""
        return self._get("/metrics").addCallback(_text)

    def debug(self, page: str, timeout: float = 0.0, **args: str) -> Deferred[str]:
        """A page of ``/debug/pprof/``: ``heap``, ``goroutine``, ``profile`` with ``seconds``, ...

        ``timeout`` is in seconds, for pages that take their time.
        """
        return self._get(f"/debug/pprof/{page}", args, timeout).addCallback(_text)

    def wait_until_healthy(self, deadline: float) -> Deferred[None]:
        """Fires when ``/ping`` is OK; fails with the last error ``deadline`` seconds from now."""
        return Deferred.fromCoroutine(self._wait_until_healthy(deadline))

    async def _wait_until_healthy(self, deadline: float) -> None:
        end = self._clock.seconds() + deadline
        pause = PAUSE
        while True:
            left = end - self._clock.seconds()
            try:
                await self._get("/ping", timeout=max(PAUSE, min(self.timeout, left)))
                return
            except ApiError:
                left = end - self._clock.seconds()
                if left <= 0:
                    raise
            await deferLater(self._clock, min(pause, left))
            pause = min(pause * 2, MAX_PAUSE)

    def _get(
        self, path: str, args: Mapping[str, str] | None = None, timeout: float = 0.0
    ) -> Deferred[Answer]:
        return self._ask("GET", self._prefix + path, args, timeout=timeout)

    def _post(
        self, path: str, args: Mapping[str, str], body: bytes | None = None, timeout: float = 0.0
    ) -> Deferred[Answer]:
        # Without a body the agent would say no length, which some proxies do not take.
        return self._ask("POST", self._prefix + path, args, body or b"", timeout)

    def _topic(self, action: str, topic: str) -> Deferred[None]:
        return self._post(f"/topic/{action}", topic_args(topic)).addCallback(done)

    def _channel(self, action: str, topic: str, channel: str) -> Deferred[None]:
        args = channel_args(topic, channel)
        return self._post(f"/channel/{action}", args).addCallback(done)

    def _ask(
        self,
        method: str,
        path: str,
        args: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 0.0,
    ) -> Deferred[Answer]:
        url = self.url.at(path, query_text(args or {}))
        return self._client.request(method, url, body, timeout=timeout)


def _text(answer: Answer) -> str:
    return answer.text


def topic_args(topic: str) -> dict[str, str]:
    """The parameter for a topic. :raises InvalidName: none can be called so."""
    if not valid_name(topic):
        raise InvalidName(f"{topic!r} is no name of a topic")
    return {"topic": topic}


def channel_args(topic: str, channel: str) -> dict[str, str]:
    """The parameters for a channel. :raises InvalidName: none can be called so."""
    args = topic_args(topic)
    if not valid_name(channel):
        raise InvalidName(f"{channel!r} is no name of a channel")
    return {**args, "channel": channel}


def done(_answer: Answer) -> None:
    """For what answers nothing but that it worked."""
