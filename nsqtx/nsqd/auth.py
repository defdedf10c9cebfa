"""What an auth server says of a client, and what that allows (nsqd-tcp sections 8.2 and 8.3)."""

from __future__ import annotations

from typing import Any

import attrs

from nsqtx.nsqd.expressions import Expression, ExpressionError, expression
from nsqtx.wire import gojson
from nsqtx.wire.gojson import Fields

__all__ = ["PUBLISH", "SUBSCRIBE", "AuthError", "AuthState", "Authorization", "decode_answer"]

PUBLISH, SUBSCRIBE = "publish", "subscribe"
_PERMISSIONS = frozenset((PUBLISH, SUBSCRIBE))

#: What the expressions of one answer may come to, in instructions of RE2, where each counts
#: `_EACH` more. That is some 5000 ordinary ones; it bounds the time to compile them, which the
#: reactor waits for, and what a connection can make us hold.
MAX_SIZE = 200_000
_EACH = 20


class AuthError(Exception):
    """The auth server gave no answer, or none that is valid. The text is for the log."""


@attrs.frozen
class Authorization:
    """Who has it may do something with some topics, and some channels of them."""

    topic: Expression
    channels: tuple[Expression, ...]
    permissions: frozenset[str]

    def allows(self, permission: str, topic: bytes, channel: bytes) -> bool:
        """Whether it is enough. The channel is empty where one publishes."""
        return (
            permission in self.permissions
            and self.topic.found_in(topic)
            and any(each.found_in(channel) for each in self.channels)
        )


@attrs.frozen
class AuthState:
    """A valid answer of an auth server. It counts for ``ttl`` seconds."""

    ttl: int
    identity: str
    identity_url: str
    authorizations: tuple[Authorization, ...]

    def allows(self, permission: str, topic: bytes, channel: bytes = b"") -> bool:
        """Whether one of the authorizations is enough."""
        return any(each.allows(permission, topic, channel) for each in self.authorizations)


def decode_answer(data: bytes) -> AuthState:
    """The answer of an auth server, from its JSON.

    :raises AuthError: something is wrong anywhere in it. Then nothing of it counts.
    """
    try:
        answer = gojson.decode_fields(data)
        ttl = answer.integer("ttl")
        if ttl <= 0:
            raise ValueError(f"ttl is {ttl}")
        return AuthState(
            ttl=ttl,
            identity=answer.text("identity"),
            identity_url=answer.text("identity_url"),
            authorizations=_authorizations(answer),
        )
    except ExpressionError as error:
        raise AuthError(str(error)) from None
    except ValueError as error:
        raise AuthError(f"bad answer: {error}") from None


def _authorizations(answer: Fields) -> tuple[Authorization, ...]:
    room = _Room()
    found: tuple[Authorization, ...] = ()
    for value in answer.values("authorizations"):
        found = tuple(_authorization(item, room) for item in _array("authorizations", value))
    return found


def _authorization(item: Any, room: _Room) -> Authorization:
    fields = Fields([]) if item is None else item
    if not isinstance(fields, Fields):
        raise ValueError("an authorization is no object")
    permissions = frozenset(_texts(fields, "permissions"))
    if permissions - _PERMISSIONS:
        raise ValueError("unknown permission")
    return Authorization(
        topic=room.expression(fields.text("topic")),
        channels=tuple(map(room.expression, _texts(fields, "channels"))),
        permissions=permissions,
    )


def _array(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is no array")
    return value


def _texts(fields: Fields, name: str) -> list[str]:
    """An array of strings. As in Go, null in it is an empty one."""
    texts: list[str] = []
    for value in fields.values(name):
        texts = ["" if item is None else item for item in _array(name, value)]
        if not all(type(text) is str for text in texts):
            raise ValueError(f"an item of {name} is no string")
    return texts


@attrs.define
class _Room:
    """How much is left of `MAX_SIZE` for the expressions of one answer."""

    left: int = MAX_SIZE
    seen: dict[str, Expression] = attrs.Factory(dict)

    def expression(self, text: str) -> Expression:
        found = self.seen.get(text)
        if found is None:
            found = self.seen[text] = expression(text)
            self.left -= found.size + _EACH
            if self.left < 0:
                raise ValueError("too many expressions, or too large ones")
        return found
