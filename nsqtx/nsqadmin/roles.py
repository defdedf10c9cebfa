"""Who somebody is and what they may do.

Roles are steps: each may do all that those before it may.

=========  ====================================================================
role       may
=========  ====================================================================
`VIEW`     look at everything but messages
`OPERATE`  peek at messages; create, pause, unpause, redrive
`ADMIN`    empty, delete, tombstone: what cannot be undone
=========  ====================================================================
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import attrs
from zope.interface import Attribute, Interface, implementer

__all__ = ["NEEDED", "IIdentity", "Identity", "Role", "identity_of", "may", "parse_role"]


class Role(IntEnum):
    """What somebody may do; larger is more."""

    NONE = 0
    VIEW = 1
    OPERATE = 2
    ADMIN = 3


#: The least role for each action, by the name that the API and the pages have for it.
NEEDED = {
    "peek": Role.OPERATE,
    "create": Role.OPERATE,
    "pause": Role.OPERATE,
    "unpause": Role.OPERATE,
    "redrive": Role.OPERATE,
    "empty": Role.ADMIN,
    "delete": Role.ADMIN,
    "tombstone": Role.ADMIN,
}


def may(role: Role, action: str) -> bool:
    """Whether a role is enough for an action; nobody may do what is not in the table."""
    needed = NEEDED.get(action)
    return needed is not None and role >= needed


def parse_role(text: str) -> Role:
    """The role of a name such as ``view``.

    :raises ValueError: there is none of that name.
    """
    try:
        return Role[text.upper()]
    except KeyError:
        raise ValueError(f"{text!r} is no role: none, view, operate or admin") from None


class IIdentity(Interface):
    """Who makes a request. A component of the request, put there by the gate."""

    name = Attribute("a name for people and the log; empty for somebody unknown")
    role = Attribute("a `Role`")
    session = Attribute("the id of the session, empty where a request brings its credentials")


@implementer(IIdentity)
@attrs.frozen
class Identity:
    """Somebody who has logged in, or nobody in particular."""

    name: str = ""
    role: Role = Role.NONE
    session: str = attrs.field(default="", repr=False)


def identity_of(request: Any) -> Identity | None:
    """Who makes a request; None: there is no login here."""
    found: Identity | None = request.getComponent(IIdentity)
    return found
