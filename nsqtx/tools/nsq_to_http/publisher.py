"""One message, one request."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote_plus

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import BrowserLikeRedirectAgent, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from nsqtx.cluster.http import BodyBytes
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


class _Passed(Protocol):
    """Reads an answer to its end, so that the connection can be used again, and forgets it."""

    def __init__(self) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._cut())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(None)
        else:
            self.done.errback(reason)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


class Publisher:
    """Makes requests. ``timeout`` is in seconds, for all of one, redirects included.

    ``content_type`` None: GET, else POST. ``headers`` may replace those that we would send.
    """

    def __init__(
        self,
        agent: IAgent,
        clock: IReactorTime,
        timeout: float,
        content_type: str | None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._agent: IAgent = BrowserLikeRedirectAgent(agent, REDIRECTS)
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
        headers = self._headers.copy()
        if self._get:
            url = get_url(address, body)
            response = await self._agent.request(b"GET", url.encode(), headers, None)
        else:
            data = BodyBytes(body)
            response = await self._agent.request(b"POST", address.encode(), headers, data)
        await self._read(response)
        code = response.code
        if not (code == 200 if self._get else 200 <= code < 300):
            raise HttpFailed(f"got status code {code}")

    async def _read(self, response: IResponse) -> None:
        passed = _Passed()
        response.deliverBody(passed)
        await passed.done
