"""One message, one request."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote_plus

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import BrowserLikeRedirectAgent, RequestTransmissionFailed, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from nsqtx.cluster.http import BodyBytes, pass_body
from nsqtx.version import NSQ_VERSION

__all__ = ["HttpFailed", "Publisher", "get_url"]

#: Redirects that are followed.
REDIRECTS = 10


class HttpFailed(Exception):
    """A request did not succeed; the text says why."""


def get_url(form: str, body: bytes) -> str:
    """The URL with the message in it, as forms have it; what else there is stays as it is."""
    before, _, after = form.partition("%s")
    return before + quote_plus(body) + after


class Publisher:
    """Makes requests. ``timeout`` is in seconds, for all of one, redirects included.

    ``agent`` keeps connections, ``fresh`` makes one for each request. A kept one may be closed by
    the other side just when it is used again, which is no failure of that side: such a request
    is made once more.

    ``content_type`` None: GET, else POST. ``headers`` may replace those that we would send.
    """

    def __init__(
        self,
        agent: IAgent,
        fresh: IAgent,
        clock: IReactorTime,
        timeout: float,
        content_type: str | None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._agent: IAgent = BrowserLikeRedirectAgent(agent, REDIRECTS)
        self._fresh: IAgent = BrowserLikeRedirectAgent(fresh, REDIRECTS)
        #: Addresses whose servers speak HTTP/1.0, and close each connection without a word of it.
        self._not_kept: set[str] = set()
        self._clock = clock
        self._timeout = timeout
        self._get = content_type is None
        self._headers = Headers({"User-Agent": [f"nsq_to_http v{NSQ_VERSION}"]})
        if content_type is not None:
            self._headers.setRawHeaders("Content-Type", [content_type])
        for name, value in headers:
            self._headers.setRawHeaders(name, [value])

    def publish(self, address: str, body: bytes) -> Deferred[None]:
        """Send a message there.

        Fails with `HttpFailed`, or with what Twisted says of the connection.
        """
        publishing = Deferred.fromCoroutine(self._publish(address, body))

        def too_late(_: object, timeout: float) -> None:
            raise HttpFailed(f"no answer within {timeout:g} s")

        return publishing.addTimeout(self._timeout, self._clock, onTimeoutCancel=too_late)

    async def _publish(self, address: str, body: bytes) -> None:
        if address not in self._not_kept:
            try:
                await self._exchange(self._agent, address, body)
            except (ConnectionClosed, RequestTransmissionFailed, ResponseFailed) as error:
                if not _closed(error):
                    raise
            else:
                return
        await self._exchange(self._fresh, address, body)

    async def _exchange(self, agent: IAgent, address: str, body: bytes) -> None:
        headers = self._headers.copy()
        if self._get:
            url = get_url(address, body)
            response = await agent.request(b"GET", url.encode(), headers, None)
        else:
            data = BodyBytes(body)
            response = await agent.request(b"POST", address.encode(), headers, data)
        if response.version[1:] == (1, 0):
            self._not_kept.add(address)
        await pass_body(response)
        code = response.code
        if not (code == 200 if self._get else 200 <= code < 300):
            raise HttpFailed(f"got status code {code}")


def _closed(error: Exception) -> bool:
    """Whether a request failed because the connection was closed."""
    if isinstance(error, ConnectionClosed):
        return True
    return any(reason.check(ConnectionClosed) for reason in getattr(error, "reasons", ()))
