"""One publish that goes to several nsqd, each copy to another one (client section 9.7).

It is done when so many of them have said OK as are asked for. Copies that no nsqd could take until
then are not sent any more; those that were sent are not taken back. So a consumer sees a message as
often as it was stored, and must know it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from nsqtx.client.errors import NsqError, Outcome, PublishFailed
from nsqtx.client.publishing import Publishing

if TYPE_CHECKING:
    from nsqtx.client.outstanding import Outstanding

__all__ = ["Replication"]


class Replication:
    """Publishes ``copies``, of which ``answers`` must succeed for `result` to fire with OK."""

    def __init__(self, outstanding: Outstanding, copies: list[Publishing], answers: int) -> None:
        self.result: Deferred[bytes] = Deferred(lambda _: self._end())
        self._answers = answers
        self._copies = copies
        self._oks = 0
        self._errors: list[NsqError] = []
        self._over = False
        self._running: list[Deferred[None]] = []
        for copy in copies:
            copy.siblings = copies
        for number, copy in enumerate(copies):
            if self._over:
                return
            copy.constrained = number > 0
            running = outstanding.publish(copy).addCallbacks(self._ok, self._failed)
            self._running.append(running)

    def _ok(self, answer: bytes) -> None:
        self._oks += 1
        if self._oks == self._answers and not self._over:
            self._end()
            self.result.callback(answer)

    def _failed(self, failure: Failure) -> None:
        if self._over:
            return
        assert isinstance(failure.value, NsqError)
        self._errors.append(failure.value)
        if len(self._errors) > len(self._copies) - self._answers:
            error = self._error()
            self._end()
            self.result.errback(error)

    def _end(self) -> None:
        """Send no more of it."""
        self._over = True
        for copy, running in zip(self._copies, self._running, strict=False):
            if copy.waiting is not None:
                running.cancel()

    def _error(self) -> PublishFailed:
        failures = [each for each in self._errors if isinstance(each, PublishFailed)]
        outcome, reason, code, address = Outcome.NOT_EXECUTED, str(self._errors[-1]), "", ""
        for each in failures:
            outcome, reason, code, address = each.outcome, each.reason, each.code, each.address
        under_way = any(copy.turn is not None for copy in self._copies)
        if self._oks or under_way or any(each.outcome is Outcome.UNKNOWN for each in failures):
            outcome = Outcome.UNKNOWN
        text = f"{self._oks} of {self._answers} nsqd said OK: {reason}"
        attempts = sum(copy.attempts for copy in self._copies)
        return PublishFailed(outcome, text, code, address, attempts)
