"""Telling an HTTP endpoint of each action (nsqadmin section 8.2).

One request at a time, in the order of the actions. What goes wrong there is logged, and nobody
waits for it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from nsqtx.cluster.http import BodyBytes, read_body
from nsqtx.listen import remote_address
from nsqtx.version import __version__
from nsqtx.web.site import ApiRequest
from nsqtx.wire import gojson

__all__ = ["Notifier", "notification"]

log = Logger(namespace="nsqadmin.notify")

#: Notifications that wait for those before them; more are dropped.
MAX_WAITING = 1000
#: How much of an answer is read, in bytes.
MAX_ANSWER = 64 * 1024


def notification(
    request: ApiRequest,
    action: str,
    topic: str,
    channel: str = "",
    node: str = "",
    *,
    user: str = "",
    via: str,
    now: float,
) -> dict[str, Any]:
    """What is said of an action. ``user``: who has logged in; else who HTTP Basic says."""
    user = user or _basic_user(request.getHeader("authorization") or "")
    scheme = "https" if request.getHeader("x-scheme") == "https" else "http"
    host = request.getHeader("host") or ""
    said = {
        "action": action,
        "topic": topic,
        "channel": channel,
        "node": node,
        "timestamp": int(now),
        "user": user,
    }
    left_out = {"channel", "node", "user"}
    return {
        **{key: value for key, value in said.items() if value or key not in left_out},
        "remote_ip": remote_address(request.getClientAddress())[1],
        "user_agent": request.getHeader("user-agent") or "",
        "url": f"{scheme}://{host}{request.uri.decode('latin-1')}",
        "via": via,
    }


def _basic_user(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


class Notifier:
    """Posts to one URL. ``timeout`` is in seconds, for each request."""

    def __init__(self, url: str, agent: IAgent, clock: IReactorTime, timeout: float) -> None:
        self._url = url
        self._agent = agent
        self._clock = clock
        self._timeout = timeout
        self._waiting: deque[dict[str, Any]] = deque()
        self._posting: Deferred[None] | None = None

    def notify(self, said: dict[str, Any]) -> None:
        """Post this, after those before it."""
        if len(self._waiting) >= MAX_WAITING:
            log.error("a notification of {action} is dropped", action=said["action"])
            return
        self._waiting.append(said)
        if self._posting is None:
            self._posting = Deferred.fromCoroutine(self._post_all())
            self._posting.addErrback(_stopped).addErrback(_is_a_bug).addBoth(self._posted)

    def stop(self) -> None:
        """Post no more."""
        self._waiting.clear()
        if self._posting is not None:
            self._posting.cancel()

    def _posted(self, _: None) -> None:
        self._posting = None

    async def _post_all(self) -> None:
        while self._waiting:
            said = self._waiting.popleft()
            log.info("POSTing notification to {url}", url=self._url.partition("?")[0])
            posting = Deferred.fromCoroutine(self._post(gojson.encode(said)))
            posting.addTimeout(self._timeout, self._clock)
            try:
                await posting
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # it is the endpoint's, whatever it is
                log.error("failed to POST notification - {error!r}", error=error)

    async def _post(self, body: bytes) -> None:
        headers = Headers(
            {"Content-Type": ["application/json"], "User-Agent": [f"nsqtx/{__version__}"]}
        )
        response = await self._agent.request(b"POST", self._url.encode(), headers, BodyBytes(body))
        # Read, so that the connection can be used again; what it says does not matter.
        await read_body(response, MAX_ANSWER)


def _stopped(failure: Failure) -> None:
    failure.trap(CancelledError)


def _is_a_bug(failure: Failure) -> None:
    log.failure("notifications", failure)
