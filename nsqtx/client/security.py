"""TLS on the client's side: by default a server must prove its name (client 2.1, 3.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import SSL, crypto
from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from nsqtx.client.config import ClientConfig
from nsqtx.client.errors import ConfigError

__all__ = ["tls_options"]

T = TypeVar("T")

_VERSIONS = {
    "tls1.0": ssl.TLSVersion.TLSv1_0,
    "tls1.1": ssl.TLSVersion.TLSv1_1,
    "tls1.2": ssl.TLSVersion.TLSv1_2,
    "tls1.3": ssl.TLSVersion.TLSv1_3,
}
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def tls_options(config: ClientConfig, host: str) -> Any:
    """How TLS is spoken to the server of this name: what `ITLSTransport.startTLS` takes.

    Files are read each time, so that a certificate that was replaced counts.

    :raises ConfigError: a file cannot be read, or is not what it should be.
    """
    given: Any = config.tls_config
    if given is not None:
        ready = IOpenSSLClientConnectionCreator.providedBy(given)
        return given if ready or not callable(given) else given(host)
    extra: dict[str, Any] = {}
    if config.tls_min_version in ("tls1.0", "tls1.1"):
        extra["insecurelyLowerMinimumTo"] = _VERSIONS[config.tls_min_version]
        # OpenSSL has them only at this level.
        extra["acceptableCiphers"] = ssl.AcceptableCiphers.fromOpenSSLCipherString(
            "DEFAULT@SECLEVEL=0"
        )
    else:
        # `raiseMinimumTo` is for what is above Twisted's own default.
        extra["insecurelyLowerMinimumTo"] = _VERSIONS[config.tls_min_version]
    if config.tls_cert:
        own, *chain = _certificates(config.tls_cert)
        extra["certificate"] = own.original
        extra["extraCertChain"] = [each.original for each in chain]
        extra["privateKey"] = _load(config.tls_key, _key)
    if config.tls_insecure_skip_verify:
        return _Unverified(ssl.CertificateOptions(**extra), host)
    trusted = None
    if config.tls_root_ca_file:
        trusted = ssl.trustRootFromCertificates(_certificates(config.tls_root_ca_file))
    return ssl.optionsForClientTLS(host, trustRoot=trusted, extraCertificateOptions=extra)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS with whoever answers: asked for by ``tls_insecure_skip_verify``."""

    def __init__(self, options: Any, host: str) -> None:
        self._options = options
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._options.getContext(), None)
        if not isIPAddress(self._host) and not isIPv6Address(self._host):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


def _load(path: str, parse: Callable[[bytes], T]) -> T:
    try:
        with open(path, "rb") as file:
            return parse(file.read())
    except OSError as error:
        raise ConfigError(f"TLS: {path}: {str(error.strerror).lower()}") from None
    except (SSL.Error, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"TLS: {path}: it is no usable PEM: {error}") from None


def _key(data: bytes) -> Any:
    return ssl.KeyPair.load(data, crypto.FILETYPE_PEM).original


def _certificates(path: str) -> list[ssl.Certificate]:
    def parse(data: bytes) -> list[ssl.Certificate]:
        found = [
            ssl.Certificate.loadPEM(_BEGIN + rest.partition(_END)[0] + _END + b"\n")
            for rest in data.split(_BEGIN)[1:]
        ]
        if not found:
            raise ValueError("there is no certificate in it")
        return found

    return _load(path, parse)
