"""The certificates that recordings call ``<certs>``: made anew for every run."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import warnings
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["client_context", "make_certificates"]

_VERSIONS = {
    "TLS1.0": ssl.TLSVersion.TLSv1,
    "TLS1.1": ssl.TLSVersion.TLSv1_1,
    "TLS1.2": ssl.TLSVersion.TLSv1_2,
    "TLS1.3": ssl.TLSVersion.TLSv1_3,
}


class _Authority:
    """A certificate authority that signs for a day."""

    def __init__(self, name: str) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            self._builder(self.name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def issue(self, common_name: str, usage: x509.ObjectIdentifier, path: Path, stem: str) -> None:
        """Write ``stem.pem`` and ``stem.key``."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        names: list[x509.GeneralName] = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        certificate = (
            self._builder(subject, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        (path / f"{stem}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (path / f"{stem}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )


def make_certificates(path: Path) -> None:
    """Write the authority, a server's, a client's and a stranger's certificate."""
    path.mkdir(parents=True, exist_ok=True)
    authority, other = _Authority("conformance CA"), _Authority("another CA")
    (path / "ca.pem").write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    authority.issue("localhost", ExtendedKeyUsageOID.SERVER_AUTH, path, "server")
    authority.issue("conformance client", ExtendedKeyUsageOID.CLIENT_AUTH, path, "client")
    other.issue("stranger", ExtendedKeyUsageOID.CLIENT_AUTH, path, "stranger")


def client_context(certificates: Path, settings: dict[str, Any]) -> ssl.SSLContext:
    """A client's TLS settings: highest version, OpenSSL cipher list, certificate to show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificates / "ca.pem")
    highest = _VERSIONS[settings.get("max", "TLS1.3")]
    if highest < ssl.TLSVersion.TLSv1_2:
        # OpenSSL refuses old versions unless asked twice; here the daemon must refuse them.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with warnings.catch_warnings():
        # Python warns of old versions. Here they are wanted, to be refused by the daemon.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = highest
    if "ciphers" in settings:
        context.set_ciphers(settings["ciphers"])
    if settings.get("client_cert"):
        stem = certificates / settings["client_cert"]
        context.load_cert_chain(f"{stem}.pem", f"{stem}.key")
    return context
