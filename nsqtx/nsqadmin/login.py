"""Who makes a request: by session, by HTTP Basic, by token, or nobody in particular.

Checking a secret takes tens of milliseconds of work, on purpose, so it is done in a thread, by
few at a time, and programs that send their credentials with each request are remembered for a
while. What is remembered is a keyed hash of what they sent.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nsqtx.nsqadmin.cookies import read_cookie
from nsqtx.nsqadmin.hashing import BLOCK, COST, PARALLEL, HashedSecret
from nsqtx.nsqadmin.loginfile import Account, LoginFile
from nsqtx.nsqadmin.roles import Identity
from nsqtx.nsqadmin.sessions import Sessions
from nsqtx.web.site import ApiRequest

__all__ = ["SESSION_COOKIE", "Login", "TooManyAttempts", "WrongCredentials", "peer_of"]

SESSION_COOKIE = "nsqadmin_session"
#: How long credentials that were right are not checked again (seconds), and how many there are.
REMEMBERED = 300.0
MAX_REMEMBERED = 1000
#: Wrong secrets for one name from one address within `PENALTY` seconds, before no more are looked
#: at; and for how many such pairs that is counted.
MAX_FAILURES = 10
PENALTY = 60.0
MAX_COUNTED = 1000
#: Checks that are made at the same time, and that may wait.
AT_ONCE = 2
MAX_WAITING = 32

_log = Logger(namespace="nsqadmin.login")

#: Runs a function in a thread: `twisted.internet.threads.deferToThread`.
RunInThread = Callable[..., "Deferred[Any]"]


class WrongCredentials(Exception):
    """A request brings credentials, and they are wrong."""


class TooManyAttempts(Exception):
    """So many wrong secrets have come that no more are looked at for a while."""


class Login:
    """Knows the accounts, the sessions, and whom it has seen lately.

    :param file: gives what the login file says at that moment.
    """

    def __init__(
        self, file: Callable[[], LoginFile], clock: IReactorTime, run_in_thread: RunInThread
    ) -> None:
        self._file = file
        self.sessions = Sessions(clock)
        self._clock = clock
        self._run_in_thread = run_in_thread
        self._checks = DeferredSemaphore(AT_ONCE)
        self._key = secrets.token_bytes(32)
        self._seen: dict[bytes, tuple[float, Account]] = {}
        self._failures: dict[tuple[str, str], tuple[float, int]] = {}
        # Unknown names are checked as well, so that the time says nothing about them.
        self._nobody = HashedSecret(
            COST, BLOCK, PARALLEL, secrets.token_bytes(16), secrets.token_bytes(32)
        )

    @property
    def file(self) -> LoginFile:
        """Who there is."""
        return self._file()

    def identify(self, request: ApiRequest) -> Deferred[Identity]:
        """Who makes the request, by what it brings.

        Fails with `WrongCredentials` or `TooManyAttempts`.
        """
        return Deferred.fromCoroutine(self._identify(request))

    async def _identify(self, request: ApiRequest) -> Identity:
        scheme, _, given = (request.getHeader("authorization") or "").partition(" ")
        if scheme.lower() == "basic":
            name, secret = _pair(_decoded(given))
            return _identity(await self._check("users", name, secret, peer_of(request)))
        if scheme.lower() == "bearer":
            name, secret = _pair(given.strip())
            return _identity(await self._check("tokens", name, secret, peer_of(request)))
        session = read_cookie(request, SESSION_COOKIE)
        account = self.sessions.find(session) if session else None
        if account is None or self.file.users.get(account.name) != account:
            # A session ends with the account that it was opened for.
            self.sessions.close(session)
            return Identity(role=self.file.anonymous)
        return Identity(account.name, account.role, session)

    def log_in(self, name: str, secret: str, peer: str) -> Deferred[Identity]:
        """Begin a session of a user.

        Fails with `WrongCredentials` or `TooManyAttempts`.
        """
        checking = Deferred.fromCoroutine(self._check("users", name, secret, peer))
        return checking.addCallback(self._open)

    def _open(self, account: Account) -> Identity:
        return Identity(account.name, account.role, self.sessions.open(account))

    async def _check(self, kind: str, name: str, secret: str, peer: str) -> Account:
        accounts = self.file.users if kind == "users" else self.file.tokens
        account = accounts.get(name)
        sent = b"\0".join(_bytes(each) for each in (kind, name, secret))
        mark = hmac.digest(self._key, sent, "sha256")
        until, known = self._seen.get(mark, (0.0, None))
        if known is not None and known == account and until > self._clock.seconds():
            return known
        if self._locked(peer, name) or len(self._checks.waiting) >= MAX_WAITING:
            raise TooManyAttempts
        hashed = account.secret if account is not None else self._nobody
        right = await self._checks.run(partial(self._run_in_thread, hashed.matches, secret))
        if account is None or not right:
            self._failed(peer, name)
            raise WrongCredentials
        self._failures.pop((peer, name), None)
        self._seen.pop(mark, None)
        self._seen[mark] = (self._clock.seconds() + REMEMBERED, account)
        while len(self._seen) > MAX_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return account

    def _locked(self, peer: str, name: str) -> bool:
        since, count = self._failures.get((peer, name), (0.0, 0))
        return count >= MAX_FAILURES and self._clock.seconds() - since < PENALTY

    def _failed(self, peer: str, name: str) -> None:
        now = self._clock.seconds()
        since, count = self._failures.pop((peer, name), (now, 0))
        if now - since >= PENALTY:
            since, count = now, 0
        self._failures[peer, name] = (since, count + 1)
        while len(self._failures) > MAX_COUNTED:
            del self._failures[next(iter(self._failures))]
        _log.warn("wrong credentials for {name!r} from {peer}", name=name[:64], peer=peer)


def _identity(account: Account) -> Identity:
    return Identity(account.name, account.role)


def peer_of(request: ApiRequest) -> str:
    """The address that wrong secrets are counted for."""
    return str(getattr(request.client, "host", ""))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        return ""


def _pair(text: str) -> tuple[str, str]:
    name, _, secret = text.partition(":")
    return name, secret


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
