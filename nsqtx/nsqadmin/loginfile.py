"""The login file: who there is, in TOML.

::

    anonymous = "view"          # the role of those who do not log in; "none" unless given

    [users.ann]
    secret = "scrypt$16384$8$1$...$..."
    role = "admin"

    [tokens.deploy]
    secret = "scrypt$16384$8$1$...$..."
    role = "operate"

A user logs in with name and password, in the form or by HTTP Basic. A token is for programs:
``Authorization: Bearer <name>:<secret>``. Hashes are made by ``python -m nsqtx.nsqadmin.hashing``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nsqtx.nsqadmin.hashing import HashedSecret
from nsqtx.nsqadmin.roles import Role, parse_role

__all__ = ["Account", "LoginFile", "LoginFileError", "WatchedLoginFile", "read_login_file"]

log = Logger(namespace="nsqadmin.login")

#: How often it is looked at whether the file was changed, in seconds.
LOOK = 5.0


class LoginFileError(Exception):
    """The login file cannot be used; the text says why."""


@attrs.frozen
class Account:
    """A user or a token."""

    name: str
    role: Role
    secret: HashedSecret = attrs.field(repr=False)


@attrs.frozen
class LoginFile:
    """What the file says."""

    users: Mapping[str, Account] = attrs.field(factory=dict)
    tokens: Mapping[str, Account] = attrs.field(factory=dict)
    anonymous: Role = Role.NONE


def read_login_file(path: str) -> LoginFile:
    """Read it.

    :raises LoginFileError: it cannot be read, or anything in it is not as it should be: a file
        that is half understood lets the wrong people in.
    """
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LoginFileError(f"{path}: {error}") from None
    try:
        return _parsed(document)
    except ValueError as error:
        raise LoginFileError(f"{path}: {error}") from None


class WatchedLoginFile:
    """The login file as it is now: one that was changed counts within `LOOK` seconds.

    One that cannot be used any more does not count, and the log says so.

    :raises LoginFileError: it cannot be used from the beginning.
    """

    def __init__(self, path: str, clock: IReactorTime) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock.seconds()
        self._seen = self._look()
        self._file = read_login_file(path)

    def current(self) -> LoginFile:
        """What it says."""
        now = self._clock.seconds()
        if now - self._looked >= LOOK:
            self._looked = now
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._read_again()
        return self._file

    def _read_again(self) -> None:
        try:
            self._file = read_login_file(self._path)
        except LoginFileError as error:
            log.error("the login file is not used, what it said before is: {error}", error=error)
        else:
            log.info("the login file was changed: {path}", path=self._path)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def _parsed(document: dict[str, Any]) -> LoginFile:
    unknown = document.keys() - {"users", "tokens", "anonymous"}
    if unknown:
        raise ValueError(f"{min(unknown)!r} is not known here")
    anonymous = parse_role(_text(document.get("anonymous", "none"), "anonymous"))
    users, tokens = (_accounts(document.get(kind, {}), kind) for kind in ("users", "tokens"))
    if not users and not tokens:
        raise ValueError("there are no users and no tokens in it")
    return LoginFile(users, tokens, anonymous)


def _accounts(table: Any, kind: str) -> dict[str, Account]:
    if not isinstance(table, dict):
        raise ValueError(f"{kind} is no table")
    accounts = {}
    for name, entry in table.items():
        where = f"{kind}.{name}"
        if not isinstance(entry, dict) or entry.keys() != {"secret", "role"}:
            raise ValueError(f"{where} needs a secret and a role, and nothing else")
        if not name or ":" in name:
            raise ValueError(f"{where}: a name is not empty and has no colon")
        try:
            secret = HashedSecret.parse(_text(entry["secret"], "secret"))
            role = parse_role(_text(entry["role"], "role"))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        accounts[name] = Account(name, role, secret)
    return accounts


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is no string")
    return value
