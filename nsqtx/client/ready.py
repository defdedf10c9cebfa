"""RDY: who may push how many messages to us, decided without any I/O.

RDY n is a cap on what is in flight on one connection (client section 6.1). What can be in flight
there is thus the larger of RDY and what is in flight already, and ``max_in_flight`` is honoured
only if the sum of these, over all connections, stays within it whenever a RDY is raised. So each
connection has a *target*, and after any change all that is too high is lowered first; then each
that is too low is raised as far as the rest leaves room, and further as answers make room (client
section 6.6).

There are two regimes. With enough for all, everyone has an even *share*. With more connections
than messages, and in TEST with its one message, some have a *slot*, RDY 1, which moves on at a tick
when its connection is idle, or has had it for long; the one that has waited longest is next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import attrs

from nsqtx.client.backoff import BackoffState

__all__ = ["Ready", "ReadySnapshot", "Share", "shares"]


def shares(max_in_flight: int, caps: Sequence[int]) -> list[int]:
    """Split evenly, nobody above its cap. The sum is all there is, or all that the caps take.

    What does not divide evenly goes to the first.
    """
    result = [0] * len(caps)
    left = max_in_flight
    # The smallest caps first: what they cannot take is left to the others.
    for done, index in enumerate(sorted(range(len(caps)), key=caps.__getitem__)):
        result[index] = min(caps[index], -(-left // (len(caps) - done)))
        left -= result[index]
    return result


@attrs.define(eq=False)
class Share:
    """The part of one connection. `in_flight` and `last_message` are kept by its owner."""

    #: The largest RDY that nsqd takes.
    max_rdy: int
    #: When a message came last, or the connection was joined (seconds).
    last_message: float
    #: For whoever writes what `Ready` decides: the connection.
    owner: Any = None
    #: Messages that came and are not answered.
    in_flight: int = 0
    #: What was sent last.
    rdy: int = 0
    #: What it is to have as soon as there is room.
    target: int = 0
    #: Others have part of it while it is idle: call `Ready.active` when a message comes.
    lent: bool = False
    #: It drains, and gets nothing.
    closing: bool = False
    #: Since when RDY is above 0, and when it last went to 0 (seconds).
    since: float = 0.0
    until: float = -math.inf

    @property
    def held(self) -> int:
        """What can be in flight here."""
        return max(self.rdy, self.in_flight)


@attrs.frozen
class ReadySnapshot:
    """All connections together, for people and graphs."""

    mode: BackoffState
    max_in_flight: int
    connections: int
    #: Sums over the connections: RDY as sent, as aimed at, and messages in flight.
    rdy: int
    target: int
    in_flight: int
    starved: bool


class Ready:
    """The RDY of all connections of a consumer.

    :param max_in_flight: messages in flight over all connections; 0 is a pause.
    :param now: tells the time in seconds.
    :param send: writes a RDY. It may not call back in here.
    :param low_rdy_idle_timeout: seconds without a message after which a slot moves on, or a share
        is lent.
    :param low_rdy_timeout: seconds after which a slot moves on though it is used.
    :param lending: idle connections keep RDY 1, and the busy ones have the rest.
    """

    def __init__(
        self,
        max_in_flight: int,
        now: Callable[[], float],
        random: Random,
        send: Callable[[Share, int], None],
        low_rdy_idle_timeout: float = 10.0,
        low_rdy_timeout: float = 30.0,
        lending: bool = False,
    ) -> None:
        #: Some connection has less than its target: call `answered` when room was made.
        self.waiting = False
        self._max_in_flight = max_in_flight
        self._mode = BackoffState.NORMAL
        self._now = now
        self._random = random
        self._send = send
        self._idle_timeout = low_rdy_idle_timeout
        self._longest_hold = low_rdy_timeout
        self._lending = lending
        # In the order they joined, which is the order in which a remainder is handed out.
        self._shares: list[Share] = []
        self._stopped = False

    @property
    def max_in_flight(self) -> int:
        return self._max_in_flight

    @property
    def mode(self) -> BackoffState:
        return self._mode

    @property
    def starved(self) -> bool:
        """Some connection has little more to give until it is answered (client section 6.7).

        One that drains gives nothing more at all, so with messages in flight it is starved.
        """
        return any(
            share.in_flight and share.in_flight >= int(share.rdy * 0.85) for share in self._shares
        )

    def snapshot(self) -> ReadySnapshot:
        return ReadySnapshot(
            self._mode,
            self._max_in_flight,
            len(self._shares),
            sum(share.rdy for share in self._shares),
            sum(share.target for share in self._shares),
            sum(share.in_flight for share in self._shares),
            self.starved,
        )

    def join(self, max_rdy: int, owner: Any = None) -> Share:
        """A connection is subscribed; its RDY is 0 so far."""
        share = Share(max_rdy, self._now(), owner)
        self._shares.append(share)
        self._settle()
        return share

    def close(self, share: Share) -> None:
        """CLS was written: nsqd takes this for RDY 0, so none is sent."""
        share.closing = True
        share.rdy = 0
        self._settle()

    def leave(self, share: Share) -> None:
        """The connection is gone, and with it what was in flight there, as nsqd sees it.

        Handlers of its messages may still run; they count for the limit of handlers alone.
        """
        if share in self._shares:
            self._shares.remove(share)
            share.rdy = share.target = 0
            share.lent = False
            self._settle()

    def stop(self) -> None:
        """All connections are about to be closed: never send anything again."""
        self._stopped = True
        self.waiting = False

    def set_max_in_flight(self, max_in_flight: int) -> None:
        """Change how much may be in flight; 0 wins over everything."""
        self._max_in_flight = max_in_flight
        self._settle()

    def set_mode(self, mode: BackoffState) -> None:
        """Follow `Backoff.state`."""
        self._mode = mode
        self._settle()

    def answered(self) -> None:
        """Messages were answered while `waiting`: the targets are as they were."""
        if self.waiting:
            self._raise()

    def active(self, share: Share) -> None:
        """A message came while `Share.lent`; the owner has noted its time."""
        if share.lent:
            self._settle()

    def tick(self) -> None:
        """Let slots move on, and lend what is idle. Once per ``rdy_redistribute_interval``."""
        takers = self._takers()
        if not self._enough(takers):
            now = self._now()
            expired = [share for share in takers if share.rdy and self._expired(share, now)]
            expired.sort(key=lambda share: share.since)
            # Only as many as somebody waits for.
            for old, new in zip(expired, self._by_turn(takers), strict=False):
                old.target, new.target = 0, 1
        self._settle()

    def _expired(self, share: Share, now: float) -> bool:
        return self._idle(share, now) or now - share.since >= self._longest_hold

    def _idle(self, share: Share, now: float) -> bool:
        """Whether nothing came though it might have; one whose handler is slow is not idle."""
        quiet_since = max(share.last_message, share.since)
        return not share.in_flight and now - quiet_since >= self._idle_timeout

    def _takers(self) -> list[Share]:
        """Those that may get RDY now."""
        if self._mode is BackoffState.BLOCK or self._max_in_flight <= 0:
            return []
        return [share for share in self._shares if share.max_rdy > 0 and not share.closing]

    def _enough(self, takers: list[Share]) -> bool:
        """Whether there is something for everyone, so that nobody needs to take turns."""
        return len(takers) <= self._slots()

    def _slots(self) -> int:
        return 1 if self._mode is BackoffState.TEST else self._max_in_flight

    def _by_turn(self, takers: list[Share]) -> list[Share]:
        """Those without a slot, the next first: what is in flight would have to be answered."""
        outside = [share for share in takers if not share.target]
        self._random.shuffle(outside)
        outside.sort(key=lambda share: (share.in_flight > 0, share.until))
        return outside

    def _settle(self) -> None:
        """Find the targets, then lower, then raise."""
        if self._stopped:
            return
        takers = self._takers()
        lenders: set[Share] = set()
        if self._mode is BackoffState.NORMAL and self._enough(takers):
            lenders = self._lenders(takers)
            targets = self._by_shares(takers, lenders)
        else:
            targets = self._by_slots(takers)
        for share in self._shares:
            share.target = targets.get(share, 0)
            share.lent = share in lenders
        for share in self._shares:
            if share.rdy > share.target:
                self._set(share, share.target)
        self._raise()

    def _raise(self) -> None:
        room = self._max_in_flight - sum(share.held for share in self._shares)
        self.waiting = False
        for share in self._shares:
            if share.rdy < share.target:
                held = share.held
                # Below zero nothing is raised, not even what would not take more.
                fits = min(share.target, held + room) if room >= 0 else 0
                if fits > share.rdy:
                    self._set(share, fits)
                    room -= share.held - held
                if share.rdy < share.target:
                    self.waiting = True

    def _lenders(self, takers: list[Share]) -> set[Share]:
        """Those that are idle, unless all are."""
        if not self._lending:
            return set()
        now = self._now()
        lenders = {share for share in takers if self._idle(share, now)}
        return lenders if len(lenders) < len(takers) else set()

    def _by_shares(self, takers: list[Share], lenders: set[Share]) -> dict[Share, int]:
        """Something for everyone."""
        caps = [1 if share in lenders else share.max_rdy for share in takers]
        result = shares(self._max_in_flight, caps)
        left = self._max_in_flight - sum(result)
        if left and lenders:
            # More than the busy ones can take.
            spare = [share.max_rdy - cap for share, cap in zip(takers, caps, strict=True)]
            extra = shares(left, spare)
            result = [one + more for one, more in zip(result, extra, strict=True)]
        return dict(zip(takers, result, strict=True))

    def _by_slots(self, takers: list[Share]) -> dict[Share, int]:
        """RDY 1 for some: those that have it keep it."""
        slots = min(self._slots(), len(takers))
        holders = [share for share in takers if share.target]
        # Those that only wait for room go first, then those that have had it longest.
        holders.sort(key=lambda share: (not share.rdy, -share.since))
        del holders[slots:]
        holders += self._by_turn(takers)[: slots - len(holders)]
        return dict.fromkeys(holders, 1)

    def _set(self, share: Share, rdy: int) -> None:
        if not rdy:
            share.until = self._now()
        elif not share.rdy:
            share.since = self._now()
        share.rdy = rdy
        self._send(share, rdy)
