"""TLS for servers: certificates from files, re-read when they change, and what to ask of clients.

`ServerTls` makes the OpenSSL side of each new connection. It looks at the files before every
handshake: three `stat` calls. When one has changed, a new context is built from all of them;
connections that are open keep theirs. A replacement that cannot be used, half-written or a
certificate without its new key, is reported once, and the last good one stays in use until the
files change again.

OpenSSL takes TLS 1.0 and 1.1 for broken and has them only at its security level 0. They are NSQ's
default, so that level is chosen for as long as ``--tls-min-version`` is below 1.2.
"""

from __future__ import annotations

import os

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocol
from twisted.logger import Logger
from zope.interface import implementer

__all__ = [
    "ServerTls",
    "TlsError",
    "TlsSettings",
    "cipher_suite",
    "common_name",
    "error_text",
    "read_file",
    "version_name",
]

log = Logger(namespace="tls")

#: What is negotiated up to TLS 1.2, best first, by OpenSSL's name: the number and, for those that
#: the original knows by name, the name (nsqd-tcp section 9). TLS 1.3 has its own three.
_OFFERED = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": (0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    "ECDHE-RSA-AES128-GCM-SHA256": (0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    "ECDHE-ECDSA-AES256-GCM-SHA384": (0xC02C, ""),
    "ECDHE-RSA-AES256-GCM-SHA384": (0xC030, ""),
    "ECDHE-ECDSA-CHACHA20-POLY1305": (0xCCA9, ""),
    "ECDHE-RSA-CHACHA20-POLY1305": (0xCCA8, ""),
    "ECDHE-ECDSA-AES128-SHA": (0xC009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    "ECDHE-RSA-AES128-SHA": (0xC013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    "ECDHE-ECDSA-AES256-SHA": (0xC00A, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    "ECDHE-RSA-AES256-SHA": (0xC014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    "AES128-GCM-SHA256": (0x009C, ""),
    "AES256-GCM-SHA384": (0x009D, ""),
    "AES128-SHA": (0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA"),
    "AES256-SHA": (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA"),
}
_OF_TLS_1_3 = {
    "TLS_AES_128_GCM_SHA256": (0x1301, ""),
    "TLS_AES_256_GCM_SHA384": (0x1302, ""),
    "TLS_CHACHA20_POLY1305_SHA256": (0x1303, ""),
}
_SUITES = {**_OFFERED, **_OF_TLS_1_3}

_VERSIONS = {
    "tls1.0": SSL.TLS1_VERSION,
    "tls1.1": SSL.TLS1_1_VERSION,
    "tls1.2": SSL.TLS1_2_VERSION,
    "tls1.3": SSL.TLS1_3_VERSION,
}
#: Client authentication policies that ask for a certificate, and whether it is verified.
_POLICIES = {"require": False, "require-verify": True}


class TlsError(Exception):
    """Certificates cannot be used; the text names the file and says why."""


@attrs.frozen
class TlsSettings:
    """What ``--tls-*`` say. ``client_auth`` other than the two policies asks for nothing."""

    cert: str
    key: str
    root_ca: str = ""
    client_auth: str = ""
    min_version: str = "tls1.0"

    @property
    def files(self) -> tuple[str, ...]:
        """The paths that are read."""
        return (self.cert, self.key, *([self.root_ca] if self.root_ca else []))


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Makes TLS connections with the certificate that is in the files now.

    :raises TlsError: the files cannot be used at the start.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._seen = _signatures(settings.files)
        self._context = _make_context(settings)

    def connection(self) -> SSL.Connection:
        """The server's side of a new connection, over memory buffers."""
        connection = SSL.Connection(self._fresh_context(), None)
        connection.set_accept_state()
        return connection

    def serverConnectionForTLS(self, protocol: IProtocol) -> SSL.Connection:
        """For Twisted's TLS, which HTTPS is served by."""
        return self.connection()

    def _fresh_context(self) -> SSL.Context:
        found = _signatures(self._settings.files)
        if found != self._seen:
            self._seen = found
            try:
                self._context = _make_context(self._settings)
            except TlsError as error:
                log.error("TLS: the certificate stays as it was - {error}", error=error)
            else:
                log.info("TLS: certificate re-read from {path}", path=self._settings.cert)
        return self._context


def _signatures(paths: tuple[str, ...]) -> list[tuple[int, int, int] | None]:
    """What is different when a file was replaced or written to; None for one that is not there."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found


def _make_context(settings: TlsSettings) -> SSL.Context:
    contents = {path: read_file(path) for path in settings.files}
    context = SSL.Context(SSL.TLS_METHOD)
    _set_policy(context, settings)
    path = settings.cert
    try:
        context.use_certificate_chain_file(path)
        path = settings.key
        # Not by OpenSSL's own loading, which asks for a passphrase on the terminal.
        context.use_privatekey(load_pem_private_key(contents[path], None))  # type: ignore[arg-type]
        context.check_privatekey()
        path = settings.root_ca
        if path:
            context.load_verify_locations(path)
            context.load_client_ca(path.encode())
        elif _POLICIES.get(settings.client_auth):
            context.set_default_verify_paths()
    except SSL.Error as error:
        raise TlsError(f"{path}: {error_text(error)}") from None
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        # How keys are refused: encrypted, damaged, unknown.
        raise TlsError(f"{path}: {error}") from None
    return context


def read_file(path: str) -> bytes:
    """A file. OpenSSL's own words for one that cannot be read do not say which.

    :raises TlsError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise TlsError(f"open {path}: {str(error.strerror).lower()}") from None


def _set_policy(context: SSL.Context, settings: TlsSettings) -> None:
    """Everything but the files."""
    context.set_min_proto_version(_VERSIONS[settings.min_version])
    old = settings.min_version in ("tls1.0", "tls1.1")
    context.set_cipher_list((":".join(_OFFERED) + ("@SECLEVEL=0" if old else "")).encode())
    context.set_tls13_ciphersuites(":".join(_OF_TLS_1_3).encode())
    context.set_options(
        SSL.OP_NO_RENEGOTIATION
        | SSL.OP_NO_COMPRESSION
        | SSL.OP_CIPHER_SERVER_PREFERENCE
        # A session that is resumed would not be asked for its certificate again.
        | SSL.OP_NO_TICKET
    )
    # An idle connection keeps no buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    verified = _POLICIES.get(settings.client_auth)
    if verified is not None:
        mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(mode, lambda _, __, ___, ____, good: bool(good) or not verified)


def error_text(error: SSL.Error) -> str:
    """What OpenSSL says, in its words: ``wrong version number``."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1])
    reasons = [entry[-1] for entry in error.args[0]] if error.args else []
    return "; ".join(reason for reason in reasons if reason) or "unknown error"


def version_name(connection: SSL.Connection) -> str:
    """The version in effect, as ``/stats`` shows it: ``TLS1.0`` to ``TLS1.3``."""
    name = connection.get_protocol_version_name().replace("v", "")
    return name if "." in name else name + ".0"


def cipher_suite(connection: SSL.Connection) -> str:
    """The cipher suite in effect, as ``/stats`` shows it: one of 13 names or its number."""
    number, name = _SUITES.get(connection.get_cipher_name() or "", (0, ""))
    return name or f"Unknown {number}"


def common_name(connection: SSL.Connection) -> str:
    """The common name in the client's certificate; empty without one."""
    try:
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return ""
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        # Somebody's own idea of a certificate; where it counts, it was not verified either.
        return ""
    return str(names[-1].value) if names else ""
