"""HTTPS: a site behind Twisted's TLS, and a word to those who speak plain HTTP to it."""

from __future__ import annotations

from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory

__all__ = ["HttpsFactory"]

#: Nsqd-http section 1.
NOT_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class HttpsConnection(BufferingTLSTransport):
    """One connection. What begins with a capital letter is a request, and no TLS."""

    _begun = False
    _is_plain = False

    def dataReceived(self, data: bytes) -> None:
        """Look at the first byte; the rest is Twisted's."""
        if not self._begun:
            self._begun = True
            self._is_plain = data[:1].isupper()
            if self._is_plain:
                assert self.transport is not None
                self.transport.write(NOT_TLS)
                self.transport.loseConnection()
        if not self._is_plain:
            super().dataReceived(data)


class HttpsFactory(TLSMemoryBIOFactory):
    """Serves a site over TLS.

    :param tls: makes the OpenSSL side of each connection.
    """

    protocol = HttpsConnection
    noisy = False

    def __init__(
        self, tls: IOpenSSLServerConnectionCreator, site: IProtocolFactory, clock: IReactorTime
    ) -> None:
        super().__init__(tls, False, site, clock)
