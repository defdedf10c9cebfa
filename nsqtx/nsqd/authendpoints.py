"""How to connect to auth servers, in plain or by TLS (nsqd-tcp section 8.2)."""

from __future__ import annotations

from typing import Any

import attrs
from OpenSSL import crypto
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

__all__ = ["AuthEndpoints", "load_authorities"]

_VERSIONS = {
    "tls1.0": TLSVersion.TLSv1_0,
    "tls1.1": TLSVersion.TLSv1_1,
    "tls1.2": TLSVersion.TLSv1_2,
    "tls1.3": TLSVersion.TLSv1_3,
}
_END = b"-----END CERTIFICATE-----"


def load_authorities(path: str) -> Any:
    """Whom to trust: the certificates in a file, or those of the system if there is no path.

    :raises ValueError: it cannot be read, or there is no certificate in it, or a damaged one.
    """
    if not path:
        return platformTrust()
    try:
        with open(path, "rb") as file:
            pieces = file.read().split(_END)[:-1]
    except OSError as error:
        raise ValueError(f"open {path}: {str(error.strerror).lower()}") from None
    try:
        certificates = [Certificate.loadPEM(piece + _END) for piece in pieces]
    except crypto.Error:
        certificates = []
    if not certificates:
        raise ValueError(f"no certificates in {path}")
    return trustRootFromCertificates(certificates)


@implementer(IAgentEndpointFactory)
@attrs.frozen
class AuthEndpoints:
    """Makes the endpoint of a URL. ``connect_timeout`` is in seconds, for each connection."""

    reactor: Any
    connect_timeout: float
    authorities: Any
    #: As ``--tls-min-version`` has it.
    min_version: str

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        endpoint = HostnameEndpoint(self.reactor, host, uri.port, timeout=self.connect_timeout)
        if uri.scheme == b"http":
            return endpoint
        if uri.scheme != b"https":
            raise SchemeNotSupported("neither http nor https")
        version = {"insecurelyLowerMinimumTo": _VERSIONS[self.min_version]}
        tls = optionsForClientTLS(host, trustRoot=self.authorities, extraCertificateOptions=version)
        return wrapClientTLS(tls, endpoint)
