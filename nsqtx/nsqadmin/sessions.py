"""Sessions of people who have logged in with the form: in memory, gone when nsqadmin stops."""

from __future__ import annotations

import secrets

import attrs
from twisted.internet.interfaces import IReactorTime

from nsqtx.nsqadmin.loginfile import Account

__all__ = ["Sessions"]

#: A session ends when nothing was asked in it for so long, and in any case (seconds).
IDLE = 12 * 3600.0
LIFETIME = 7 * 24 * 3600.0
#: Sessions there may be; one more ends the one that was used least recently.
MAX_SESSIONS = 10_000


@attrs.define
class _Session:
    account: Account
    began: float
    used: float


class Sessions:
    """Who has which session. An id is a secret: whoever has it is that person."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # In the order of use.
        self._sessions: dict[str, _Session] = {}

    def open(self, account: Account) -> str:
        """Begin a session; its id."""
        now = self._clock.seconds()
        id = secrets.token_urlsafe(32)
        self._sessions[id] = _Session(account, now, now)
        while len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return id

    def find(self, id: str) -> Account | None:
        """Whose session it is; None: it has ended, or never was."""
        session = self._sessions.pop(id, None)
        now = self._clock.seconds()
        if session is None or now - session.used > IDLE or now - session.began > LIFETIME:
            return None
        session.used = now
        self._sessions[id] = session
        return session.account

    def close(self, id: str) -> None:
        """End a session."""
        self._sessions.pop(id, None)

    def __len__(self) -> int:
        return len(self._sessions)
