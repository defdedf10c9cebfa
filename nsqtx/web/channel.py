"""One HTTP connection: Twisted's, with the bodies of requests under control.

Twisted reads the whole body of a request into memory or a temporary file before anybody may look
at the request. Here every request gets a limit as soon as its headers have come, from the site:

* Content-Length within the limit: the body is read, and ``Expect: 100-continue`` is answered.
* Content-Length beyond it, or a body that nobody wants to see: the request is answered at once,
  without its body. Up to `MAX_SKIP` bytes are then passed over and the connection goes on; with
  more than that, or when the client waits for ``100 Continue``, the connection closes.
* chunked: counted as it comes, never kept beyond the limit. What is too much is dropped until the
  end, as by the original, but `MAX_SKIP` bytes at most; then it is answered and closed.

When a connection closes with a body still coming, only the sending side is shut down at first: a
close with unread bytes makes the kernel send a reset, which could overtake the answer.

Clients that shut down their sending side after the request (``nc -N``) get their answers; Twisted
alone would drop the connection before it has written them.

This leans on a few private names of ``twisted.web.http.HTTPChannel`` (``_command``, ``_path``,
``_version``, ``_transferDecoder``, ``_handlingRequest``, ``_networkProducer``): there is no public
place between the end of the headers and the start of the body.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, _MalformedChunkedDataError
from zope.interface import implementer

if TYPE_CHECKING:
    from nsqtx.web.site import ApiRequest, ApiSite

__all__ = ["MAX_SKIP", "ApiChannel"]

#: So many bytes of a body nobody wants are passed over rather than closing the connection.
MAX_SKIP = 256 * 1024
#: Seconds that a client has to read the answer to a request whose body was not read.
LINGER = 0.5
#: No length of a body that anybody would send has more digits.
MAX_LENGTH_DIGITS = 20


@implementer(IHalfCloseableProtocol)
class ApiChannel(HTTPChannel):
    """Reads requests from one connection and writes the answers, in order."""

    site: ApiSite
    requests: list[ApiRequest]
    transport: Any  # never None while anything is called here
    _transferDecoder: Any
    _networkProducer: Any
    #: Bytes of the current request's body that are still to be passed over.
    _skip = 0
    #: The connection closes after this request, with a body still coming in.
    _unread = False
    _input_ended = False
    _lingering: IDelayedCall | None = None

    def headerReceived(self, line: bytes) -> bool:
        """Refuse lengths that ``int`` would choke on; everything else is Twisted's."""
        if line[:15].lower() == b"content-length:":
            digits = line[15:].strip(b" \t").lstrip(b"0")
            if len(digits) > MAX_LENGTH_DIGITS:
                self._respondToBadRequestAndDisconnect()
                self.length = None
                return False
        received: bool = super().headerReceived(line)
        return received

    def allHeadersReceived(self) -> None:
        """Decide what happens with the body; see the head of this module."""
        request = self.requests[-1]
        request.headers_received(self._command, self._path)
        limit = request.body_limit
        length = self.length
        if not length or (limit is not None and length <= limit):
            super().allHeadersReceived()
            return
        request.length_refused = limit is not None
        self.persistent = self.checkPersistence(request, self._version)
        if length > MAX_SKIP or request.requestHeaders.hasHeader(b"Expect"):
            self._close_after(request)
        else:
            self._skip = length
        # As if there were no body: Twisted now hands the request on at once.
        self._transferDecoder = None
        self.length = 0
        request.gotLength(0)

    def _close_after(self, request: ApiRequest) -> None:
        self.persistent = False
        self._unread = True
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def checkPersistence(self, request: ApiRequest, version: bytes) -> bool:
        """Whether the connection outlives this request; HTTP/1.0 clients may ask for that too."""
        headers = request.requestHeaders.getRawHeaders(b"Connection", [])
        tokens = {token.strip().lower() for token in b",".join(headers).split(b",")}
        if version == b"HTTP/1.1":
            if b"close" in tokens:
                request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
                return False
            return True
        if b"keep-alive" in tokens and b"close" not in tokens:
            request.responseHeaders.setRawHeaders(b"Connection", [b"keep-alive"])
            return True
        return False

    def rawDataReceived(self, data: bytes) -> None:
        """Bytes of a body, or requests that come while another one is being answered."""
        if self._unread and self._handlingRequest:
            return  # the rest of a body that is not wanted; the connection closes
        if self._handlingRequest:
            super().rawDataReceived(data)
        elif self._skip:
            count = self._skip
            self._skip = max(0, count - len(data))
            if not self._skip:
                self.setLineMode(data[count:])
        else:
            self._body_received(data)

    def _body_received(self, data: bytes) -> None:
        request = self.requests[-1]
        try:
            self._transferDecoder.dataReceived(data)
        except _MalformedChunkedDataError:
            request.body_broken = True
        if not self._handlingRequest and request in self.requests:
            dropped = request.body_size - (request.body_limit or 0)
            if request.body_broken or dropped > MAX_SKIP:
                self._close_after(request)
                self.allContentReceived()

    def setLineMode(self, extra: bytes = b"") -> Any:
        """Go on with the next request, which starts behind what is to be skipped."""
        if not self._skip:
            return super().setLineMode(extra)
        self.setRawMode()
        return self.dataReceived(extra) if extra else None

    def requestDone(self, request: ApiRequest) -> None:
        """A request was answered."""
        super().requestDone(request)
        if self._input_ended and not self._handlingRequest:
            self.loseConnection()

    def loseConnection(self) -> None:
        """Close once all is written; with a body still coming in, let the client read first."""
        transport = self.transport
        if not self._unread or self.isSecure() or not ITCPTransport.providedBy(transport):
            # TLS says goodbye in an orderly way by itself.
            super().loseConnection()
        elif self._lingering is None:
            self._networkProducer.unregisterProducer()
            self._networkProducer.resumeProducing()
            transport.loseWriteConnection()
            self._lingering = self.callLater(LINGER, self._linger_over)

    def _linger_over(self) -> None:
        self._lingering = None
        self.transport.loseConnection()

    def readConnectionLost(self) -> None:
        """The client sends no more: answer what it has asked, then close."""
        self._input_ended = True
        if self._lingering is not None or not self._handlingRequest:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our side is shut down; reading goes on until the client closes or `LINGER` is over."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        super().connectionLost(reason)
