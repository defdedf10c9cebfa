"""Certificates for tests, quickly made: elliptic curve keys, valid for a day."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Authority", "authority"]


class Authority:
    """A certificate authority; `issue` writes certificates that it signs."""

    def __init__(self, name: str) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self._sign(self.name, self.key, authority=True)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, authority: bool = False
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder()
        if not authority:
            # Clients look for the name here only.
            (common_name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            names = x509.SubjectAlternativeName([x509.DNSName(str(common_name.value))])
            builder = builder.add_extension(names, critical=False)
        certificate = (
            builder.subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, common_name: str, password: bytes = b"") -> tuple[bytes, bytes]:
        """A certificate and its key, as PEM; the key encrypted if there is a password."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password)
        return self._sign(subject, key), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )

    def write(self, directory: Path, stem: str, common_name: str, password: bytes = b"") -> None:
        """Issue, and write ``stem.pem`` and ``stem.key``, replacing them one after the other."""
        for suffix, data in zip((".pem", ".key"), self.issue(common_name, password), strict=True):
            path = directory / (stem + suffix)
            new = directory / (stem + suffix + ".new")
            new.write_bytes(data)
            new.replace(path)


@functools.cache
def authority() -> Authority:
    """One for all tests that do not care."""
    return Authority("test CA")
