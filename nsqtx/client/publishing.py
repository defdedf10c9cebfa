"""One publish of a Writer, from the call to its end: its attempts and what became of them.

What can be told of a publish that failed is client section 9.3. On the good path the Deferred that
the program gets is the one that the connection made for nsqd's answer; only attempts that follow,
or a wait for room, are chained to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from nsqtx.client.errors import CommandFailed, NsqError, Outcome, PublishFailed, ServerError

if TYPE_CHECKING:
    from nsqtx.client.outstanding import Outstanding
    from nsqtx.client.pool import PooledNsqd

__all__ = ["TRANSIENT", "Publishing"]

#: Errors after which another nsqd may well take the same publish; E_AUTH_FAILED, too, is sent when
#: nsqd cannot reach its auth server.
TRANSIENT = frozenset(
    ["E_PUB_FAILED", "E_DPUB_FAILED", "E_MPUB_FAILED", "E_AUTH_FAILED", "E_AUTH_ERROR"]
)
#: A disk that fails in the middle leaves the first messages stored.
_PARTLY_DONE = "E_MPUB_FAILED"


class Publishing:
    """A command of ``count`` messages and ``size`` bytes, to be settled by ``deadline``."""

    __slots__ = (
        "_code",
        "_given_up",
        "_maybe_done",
        "_outstanding",
        "_reason",
        "attempts",
        "constrained",
        "count",
        "data",
        "deadline",
        "key",
        "nsqd",
        "siblings",
        "size",
        "tried",
        "turn",
        "waiting",
    )

    def __init__(self, outstanding: Outstanding, data: bytes, count: int, key: str) -> None:
        self._outstanding = outstanding
        self.data = data
        self.size = len(data)
        self.count = count
        #: What a sticky strategy goes by.
        self.key = key
        self.deadline = 0.0
        self.attempts = 0
        #: The copies of a replicated publish, itself included: each is for another nsqd, and so
        #: `constrained` but for the first attempt of the first.
        self.siblings: Sequence[Publishing] = ()
        self.constrained = False
        #: Where it was last tried, and where before: their addresses.
        self.nsqd: PooledNsqd | None = None
        self.tried: tuple[str, ...] = ()
        #: The answer to come, while it is written.
        self.turn: Deferred[bytes] | None = None
        #: Fired when there is room, while it is not.
        self.waiting: Deferred[PooledNsqd] | None = None
        self._maybe_done = False
        self._code = ""
        self._reason = ""
        self._given_up = ""

    def taken(self) -> list[str]:
        """Where the other copies are: their addresses."""
        others = (each.nsqd for each in self.siblings if each is not self)
        return [nsqd.address for nsqd in others if nsqd is not None]

    def write(self, nsqd: PooledNsqd) -> Deferred[bytes]:
        """Send it there."""
        assert nsqd.connection is not None
        self.nsqd = nsqd
        self.attempts += 1
        self.turn = turn = nsqd.connection.request(self.data)
        return turn.addCallbacks(self._done, self._failed)

    def wait(self) -> Deferred[bytes]:
        """Wait for room: `waiting` is to be fired with the nsqd."""
        waiting: Deferred[PooledNsqd] = Deferred(self._withdraw)
        self.waiting = waiting
        return waiting.addCallbacks(self.write, self._unplaced)

    def give_up(self, reason: str) -> None:
        """Fail now: there is no more time for it."""
        self._given_up = reason
        waiting = self.waiting
        if waiting is not None:
            self._outstanding.withdraw(self)
            waiting.errback(self._end(Outcome.NOT_EXECUTED))
        elif self.turn is not None and not self.turn.called:
            self.turn.errback(CommandFailed(Outcome.UNKNOWN, NsqError(reason)))

    def _withdraw(self, _: Deferred[PooledNsqd]) -> None:
        self._outstanding.withdraw(self)

    def _unplaced(self, failure: Failure) -> Failure:
        self._outstanding.failed += self.count
        self._outstanding.settle(self)
        return failure

    def _done(self, answer: bytes) -> bytes:
        assert self.nsqd is not None
        outstanding = self._outstanding
        self.nsqd.published += self.count
        outstanding.published += self.count
        outstanding.answered(self)
        outstanding.settle(self)
        return answer

    def _failed(self, failure: Failure) -> Failure | Deferred[bytes]:
        assert self.nsqd is not None
        outstanding = self._outstanding
        outstanding.answered(self)
        error = failure.value
        if isinstance(error, CommandFailed) and self._may_try_again(error):
            self.nsqd.retried += 1
            outstanding.retried += 1
            self.tried = (*self.tried, self.nsqd.address)
            return outstanding.retry(self, self._reason)
        self.nsqd.failed += self.count
        outstanding.failed += self.count
        outstanding.settle(self)
        if isinstance(error, CommandFailed):
            return Failure(self._end(error.outcome))
        assert isinstance(error, CancelledError)
        return failure

    def _may_try_again(self, error: CommandFailed) -> bool:
        """Remember what happened; whether there may be another attempt."""
        cause = error.error
        self._reason = str(cause)
        outcome = error.outcome
        permanent = False
        if outcome is Outcome.REJECTED and isinstance(cause, ServerError):
            self._code = cause.code
            permanent = cause.code not in TRANSIENT
            if cause.code == _PARTLY_DONE:
                outcome = Outcome.UNKNOWN
        if outcome is Outcome.UNKNOWN:
            self._maybe_done = True
            permanent = not self._outstanding.config.retry_unknown
        most = self._outstanding.config.max_publish_attempts
        return not permanent and not self._given_up and self.attempts < most

    def _end(self, outcome: Outcome) -> PublishFailed:
        address = "" if self.nsqd is None else self.nsqd.address
        reason = self._given_up or self._reason
        if self._given_up and self._reason not in ("", self._given_up):
            reason = f"{self._given_up}; before that: {self._reason}"
        if self._maybe_done:
            outcome = Outcome.UNKNOWN
        return PublishFailed(outcome, reason, self._code, address, self.attempts)
