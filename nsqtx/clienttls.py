"""TLS for clients: whom to trust, and the certificate to show (client 2.1; nsqadmin section 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from nsqtx.tls import TlsError, error_text, read_file

__all__ = ["ClientTls"]

T = TypeVar("T")

_VERSIONS = {
    "tls1.0": ssl.TLSVersion.TLSv1_0,
    "tls1.1": ssl.TLSVersion.TLSv1_1,
    "tls1.2": ssl.TLSVersion.TLSv1_2,
    "tls1.3": ssl.TLSVersion.TLSv1_3,
}
_BEGIN = b"-----BEGIN CERTIFICATE-----"


@attrs.frozen
class ClientTls:
    """How TLS is spoken to servers. By default a server must prove its name.

    Paths are empty where there is no such file: without ``root_ca`` the system says whom to trust.
    Files are read for each connection, so that a certificate that was replaced counts.
    """

    cert: str = ""
    key: str = ""
    root_ca: str = ""
    #: Whether anybody's certificate will do.
    skip_verify: bool = False
    min_version: str = "tls1.2"

    def options(self, host: str) -> Any:
        """For a server of this name: what `ITLSTransport.startTLS` and `wrapClientTLS` take.

        :raises TlsError: a file cannot be read, or is not what it should be.
        """
        # `raiseMinimumTo` is for what is above Twisted's own default.
        extra: dict[str, Any] = {"insecurelyLowerMinimumTo": _VERSIONS[self.min_version]}
        if self.min_version in ("tls1.0", "tls1.1"):
            # OpenSSL has them only at this level.
            extra["acceptableCiphers"] = ssl.AcceptableCiphers.fromOpenSSLCipherString(
                "DEFAULT@SECLEVEL=0"
            )
        if self.cert:
            extra["certificate"], *extra["extraCertChain"] = _load(self.cert, _certificates)
            extra["privateKey"] = _load(self.key, lambda data: load_pem_private_key(data, None))
        if self.skip_verify:
            return _Unverified(_checked(ssl.CertificateOptions(**extra), self.key), host)
        trusted = None
        if self.root_ca:
            found = _load(self.root_ca, _certificates)
            trusted = ssl.trustRootFromCertificates(
                [ssl.Certificate(crypto.X509.from_cryptography(each)) for each in found]
            )
        _checked(ssl.CertificateOptions(**extra), self.key)
        return ssl.optionsForClientTLS(host, trustRoot=trusted, extraCertificateOptions=extra)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS with whoever answers."""

    def __init__(self, options: Any, host: str) -> None:
        self._options = options
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._options.getContext(), None)
        if not isIPAddress(self._host) and not isIPv6Address(self._host):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


def _load(path: str, parse: Callable[[bytes], T]) -> T:
    data = read_file(path)
    try:
        return parse(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TlsError(f"{path}: it is no usable PEM: {error}") from None


def _certificates(data: bytes) -> list[x509.Certificate]:
    found = x509.load_pem_x509_certificates(data) if _BEGIN in data else []
    if not found:
        raise ValueError("there is no certificate in it")
    return found


def _checked(options: ssl.CertificateOptions, key: str) -> ssl.CertificateOptions:
    """The same, once it is clear that a key and its certificate belong together."""
    try:
        options.getContext()
    except SSL.Error as error:
        raise TlsError(f"{key}: {error_text(error)}") from None
    return options
