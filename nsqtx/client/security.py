"""TLS as the client library's configuration has it (client 2.1, 3.4)."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from nsqtx.client.config import ClientConfig
from nsqtx.client.errors import ConfigError
from nsqtx.clienttls import ClientTls
from nsqtx.tls import TlsError

__all__ = ["tls_options"]


def tls_options(config: ClientConfig, host: str) -> Any:
    """How TLS is spoken to the server of this name: what `ITLSTransport.startTLS` takes.

    Files are read each time, so that a certificate that was replaced counts.

    :raises ConfigError: a file cannot be read, or is not what it should be.
    """
    given: Any = config.tls_config
    if given is not None:
        ready = IOpenSSLClientConnectionCreator.providedBy(given)
        return given if ready or not callable(given) else given(host)
    tls = ClientTls(
        cert=config.tls_cert,
        key=config.tls_key,
        root_ca=config.tls_root_ca_file,
        skip_verify=config.tls_insecure_skip_verify,
        min_version=config.tls_min_version,
    )
    try:
        return tls.options(host)
    except TlsError as error:
        raise ConfigError(f"TLS: {error}") from None
