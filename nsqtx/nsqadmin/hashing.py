"""Secrets as the login file has them: scrypt with a salt, never the secret itself.

``python -m nsqtx.nsqadmin.hashing`` reads a secret, without showing it, and writes its hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import sys
from getpass import getpass

import attrs

__all__ = ["HashedSecret", "hash_secret", "main"]

#: Work: 2**14 x 8 x 128 bytes are 16 MiB and some tens of milliseconds.
COST, BLOCK, PARALLEL = 2**14, 8, 1
SALT_BYTES = 16
HASH_BYTES = 32
#: More memory than this is not spent on checking a secret, whatever the file says.
MAX_MEMORY = 128 * 1024 * 1024


@attrs.frozen
class HashedSecret:
    """The hash of a secret: ``scrypt$<cost>$<block>$<parallel>$<salt>$<hash>``, in base64."""

    cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> HashedSecret:
        """Read one.

        :raises ValueError: it is none, or asks for too much memory.
        """
        parts = text.split("$")
        if len(parts) != 6 or parts[0] != "scrypt":
            raise ValueError("a hash has the form scrypt$<cost>$<block>$<parallel>$<salt>$<hash>")
        try:
            cost, block, parallel = (int(part) for part in parts[1:4])
            salt, digest = (base64.b64decode(part, validate=True) for part in parts[4:])
        except (ValueError, binascii.Error):
            raise ValueError("a hash has parts that are no numbers or no base64") from None
        power_of_two = cost > 1 and cost & (cost - 1) == 0
        if not power_of_two or not 1 <= block <= 64 or not 1 <= parallel <= 16 or not digest:
            raise ValueError("a hash has parameters that scrypt does not take")
        if 128 * cost * block * parallel > MAX_MEMORY:
            raise ValueError("a hash asks for too much memory")
        return cls(cost, block, parallel, salt, digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${self.cost}${self.block}${self.parallel}${salt}${digest}"

    def matches(self, secret: str) -> bool:
        """Whether this is the hash of ``secret``. Takes a while: not on the reactor's thread."""
        found = _scrypt(secret, self.salt, self.cost, self.block, self.parallel, len(self.digest))
        return hmac.compare_digest(found, self.digest)


def hash_secret(secret: str, cost: int = COST) -> HashedSecret:
    """A hash with a new salt."""
    salt = os.urandom(SALT_BYTES)
    digest = _scrypt(secret, salt, cost, BLOCK, PARALLEL, HASH_BYTES)
    return HashedSecret(cost, BLOCK, PARALLEL, salt, digest)


def _scrypt(secret: str, salt: bytes, cost: int, block: int, parallel: int, size: int) -> bytes:
    return hashlib.scrypt(
        secret.encode("utf-8", "surrogateescape"),
        salt=salt,
        n=cost,
        r=block,
        p=parallel,
        maxmem=2 * MAX_MEMORY,
        dklen=size,
    )


def main() -> None:
    """Ask for a secret, write its hash."""
    secret = getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not secret:
        sys.exit("an empty secret is none")
    sys.stdout.write(f"{hash_secret(secret)}\n")


if __name__ == "__main__":
    main()
