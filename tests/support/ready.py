"""nsqds that push all they may, under one clock, around a `Ready`."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.task import Clock

from nsqtx.client.backoff import BackoffState
from nsqtx.client.ready import Ready, Share

__all__ = ["Nsqds"]


class Nsqds:
    """The owner of a `Ready` and the other ends of its connections, in one.

    Every RDY is checked as it is sent: lowerings come first, and a raise never lets more be in
    flight than is allowed.
    """

    def __init__(self, max_in_flight: int, seed: int = 0, **options: Any) -> None:
        self.clock = Clock()
        #: What was sent since it was last looked at.
        self.sent: list[tuple[Share, int]] = []
        self.shares: list[Share] = []
        self._was: dict[Share, int] = {}
        self._raised = False
        self.ready = Ready(max_in_flight, self.clock.seconds, Random(seed), self._send, **options)

    def _send(self, share: Share, rdy: int) -> None:
        assert share in self.shares or share not in self._was, "sent to one that left"
        was = self._was.get(share, 0)
        assert rdy != was, "sent twice"
        assert 0 <= rdy <= share.max_rdy
        assert not share.closing
        assert rdy == share.rdy
        if rdy > was:
            every = {*self.shares, share}
            assert sum(each.held for each in every) <= self.ready.max_in_flight
            self._raised = True
        else:
            assert not self._raised, "lowered after a raise"
        self._was[share] = rdy
        self.sent.append((share, rdy))

    def _over(self) -> None:
        """A call is over; the next may lower again."""
        self._raised = False

    def join(self, max_rdy: int = 2500) -> Share:
        share = self.ready.join(max_rdy)
        self.shares.append(share)
        self._over()
        return share

    def joined(self, count: int) -> list[Share]:
        return [self.join() for _ in range(count)]

    def leave(self, share: Share) -> None:
        self.shares.remove(share)
        self.ready.leave(share)
        self._over()

    def close(self, share: Share) -> None:
        self._was[share] = 0
        self.ready.close(share)
        self._over()

    def set_max_in_flight(self, max_in_flight: int) -> None:
        self.ready.set_max_in_flight(max_in_flight)
        self._over()

    def set_mode(self, mode: BackoffState) -> None:
        self.ready.set_mode(mode)
        self._over()

    def push(self, share: Share, count: int = 1) -> int:
        """Messages come, as many as RDY lets; how many they were."""
        count = min(count, max(0, self._was.get(share, 0) - share.in_flight))
        if count:
            self.arrive(share, count)
        return count

    def arrive(self, share: Share, count: int) -> None:
        """Messages come, also more than RDY says now: they were under way."""
        share.in_flight += count
        share.last_message = self.clock.seconds()
        if share.lent:
            self.ready.active(share)
        self._over()

    def answer(self, share: Share, count: int = 1) -> None:
        share.in_flight -= min(count, share.in_flight)
        if self.ready.waiting:
            self.ready.answered()
        self._over()

    def tick(self, seconds: float = 5.0) -> None:
        self.clock.advance(seconds)
        self.ready.tick()
        self._over()

    @property
    def rdys(self) -> list[int]:
        return [share.rdy for share in self.shares]

    def taken(self) -> list[tuple[int, int]]:
        """What was sent since the last call: number of the connection, and RDY."""
        sent, self.sent = self.sent, []
        return [(self.shares.index(share), rdy) for share, rdy in sent]
