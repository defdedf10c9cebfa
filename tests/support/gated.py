"""A site behind the gate of nsqadmin, and requests of browsers and programs to it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from nsqtx.nsqadmin.gate import Gate
from nsqtx.nsqadmin.hashing import hash_secret
from nsqtx.nsqadmin.login import Login
from nsqtx.nsqadmin.loginfile import Account, LoginFile
from nsqtx.nsqadmin.roles import Role, identity_of
from nsqtx.web.site import ApiRequest, ApiSite
from tests.support.http import Connection, Response, request_bytes

__all__ = ["WhoResource", "ask", "basic", "bearer", "gated", "login_of", "people"]


def people(anonymous: Role = Role.NONE) -> LoginFile:
    """A user for each role, named and with the secret ``<role>-secret``; and a token ``ci``."""
    users = {
        role.name.lower(): Account(
            role.name.lower(), role, hash_secret(f"{role.name.lower()}-secret", cost=2)
        )
        for role in (Role.VIEW, Role.OPERATE, Role.ADMIN)
    }
    tokens = {"ci": Account("ci", Role.OPERATE, hash_secret("ci-secret", cost=2))}
    return LoginFile(users, tokens, anonymous)


class Threads:
    """Runs at once what a thread would run, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.count += 1
        return maybeDeferred(function, *args)


def login_of(
    file: LoginFile | None = None, clock: Clock | None = None, threads: Any = None
) -> Login:
    """A login without threads."""
    known = file or people()
    return Login(lambda: known, clock or Clock(), threads or Threads())


class WhoResource(Resource):
    """Answers with the name and role of who asks."""

    isLeaf = True

    def render(self, request: ApiRequest) -> bytes:
        """The answer."""
        identity = identity_of(request)
        who = "no login" if identity is None else f"{identity.name} {identity.role.name}"
        request.set_header(b"Content-Length", b"%d" % len(who))
        return who.encode()


def gated(login: Login | None = None, base: str = "") -> ApiSite:
    """The site."""
    return ApiSite(Gate(WhoResource(), base, login), Clock())


def ask(
    site: ApiSite,
    method: str = "GET",
    target: str = "/api/topics",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One request on a connection of its own."""
    connection = Connection(site)
    connection.send(request_bytes(method, target, body, headers))
    (answer,) = connection.answers([method])
    connection.lost()
    return answer


def basic(name: str, secret: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def bearer(name: str, secret: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {name}:{secret}"}
