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

import tomllib
from collections.abc import Mapping
from typing import Any

import attrs

from nsqtx.nsqadmin.hashing import HashedSecret
from nsqtx.nsqadmin.roles import Role, parse_role

__all__ = ["Account", "LoginFile", "LoginFileError", "read_login_file"]


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
