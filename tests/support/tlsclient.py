"""The client's side of TLS over memory buffers, by the standard library."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

__all__ = ["TlsClient", "client_context"]


def client_context(
    certificate: Path | None = None,
    version: ssl.TLSVersion | None = None,
    ciphers: str = "",
) -> ssl.SSLContext:
    """A context that trusts anybody.

    :param certificate: path of a ``.pem`` file to show, whose key is beside it.
    :param version: the only one to speak.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    if version is not None:
        with warnings.catch_warnings():
            # Python warns of TLS 1.0 and 1.1. Here they are wanted.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


class TlsClient:
    """What goes in and out of a client."""

    def __init__(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, session=session)
        self.secured = False
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Take what the server sent; the plain bytes that came with it.

        :raises ssl.SSLError: the server refused.
        """
        if data:
            self._incoming.write(data)
        pieces = []
        try:
            if not self.secured:
                self.tls.do_handshake()
                self.secured = True
            while piece := self.tls.read(1 << 16):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(pieces)

    def output(self) -> bytes:
        """What is to be sent to the server now."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """What is to be sent for ``data``."""
        self.tls.write(data)
        return self.output()

    def goodbye(self) -> bytes:
        """What is to be sent when no more will be."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.output()

    def common_name(self) -> str:
        """The server's name."""
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        der = self.tls.getpeercert(binary_form=True)
        assert der is not None
        (name,) = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(
            NameOID.COMMON_NAME
        )
        return str(name.value)
