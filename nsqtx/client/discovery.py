"""Discovery: nsqlookupd tells which nsqd have a topic (client sections 4 and 14.5).

All nsqlookupd are asked in each *round*, at the same time, and what they name is put together, so
that one that is down, or sees only a part of the cluster, hides nobody. A round follows the other
at the interval plus a random part of it; sooner when a connection was lost (`poll_soon`), when all
of them failed, and when one that can wait for news has some. For that there is a *watch* on each
that offers it: a request that is answered when the producers of the topic change. It only says that
it is time for a round.

A round is *complete* if everyone was asked and answered. Only then does it mean anything that an
nsqd is not named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.client.addresses import is_host_and_port
from nsqtx.client.events import LookupRound, OnEvent
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.producers import Lookup, Producer

__all__ = ["Absences", "Discovery", "Found", "Lookupd"]

log = Logger(namespace="nsqtx.client.discovery")

#: The least time between two rounds, and between two requests of a watch (seconds).
FLOOR = 1.0
#: How long a round may take before what came so far is told (seconds).
PATIENCE = 1.0
#: How long a watch waits for news (seconds).
WATCH = 30.0
#: How long after a watch was cut the next round comes (seconds): an nsqlookupd may be starting.
CUT_PAUSE = 5.0
#: More nsqd than one may name: each would be dialled.
MOST_PRODUCERS = 10_000


class Lookupd(Protocol):
    """What is asked: a `nsqtx.cluster.lookupd.LookupdClient`, or the like of it."""

    def lookup(self, topic: str, wait: float = 0.0, index: int | None = None) -> Deferred[Lookup]:
        """Who has a topic. Fails with `ApiError` only."""


Found = Callable[[frozenset[str], bool], None]


class Absences:
    """Which addresses so many complete rounds in a row did not name."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        # Complete rounds without each, for those that were ever named and are not gone.
        self._missed: dict[str, int] = {}

    def round(self, named: Iterable[str], complete: bool) -> frozenset[str]:
        """A round is over; the addresses that are gone with it, each once."""
        named = frozenset(named)
        gone = set()
        if complete:
            for address in self._missed.keys() - named:
                self._missed[address] += 1
                if self._missed[address] >= self._rounds:
                    del self._missed[address]
                    gone.add(address)
        self._missed.update(dict.fromkeys(named, 0))
        return frozenset(gone)


@attrs.define(eq=False)
class _Asked:
    """One nsqlookupd, and what it said last."""

    name: str
    lookupd: Lookupd
    #: The request of the current round.
    asking: Deferred[None] | None = None
    #: What it named in the current or last round; None: no answer, or none yet.
    producers: list[Producer] | None = None
    #: Why there was no answer.
    reason: str = ""
    failing: bool = False
    #: The state that the last answer showed; None: it cannot wait for news.
    index: int | None = None
    watching: Deferred[None] | None = None

    def cancel(self) -> None:
        for running in (self.asking, self.watching):
            if running is not None:
                running.cancel()


class Discovery:
    """Finds the nsqd of a topic, from `start` until `stop`.

    :param found: called with the addresses after each round, and whether it was complete; in a
        round that takes long also with what came so far, as an incomplete one.
    :param interval: between two rounds, in seconds.
    :param jitter: up to this part of the interval is added, by lot, each time.
    :param gone: called with addresses that ``drop_after`` complete rounds in a row did not name.
    :param drop_after: 0: never.
    :param translate: where consumers connect to a producer; None: nowhere.
    :param choose: which of the addresses to connect to.
    :param tell: is told of each round.
    :param long_poll: watch the nsqlookupd that offer it.
    """

    def __init__(
        self,
        topic: str,
        clock: IReactorTime,
        random: Random,
        found: Found,
        *,
        interval: float = 60.0,
        jitter: float = 0.3,
        gone: Callable[[frozenset[str]], None] | None = None,
        drop_after: int = 0,
        translate: Callable[[Producer], str | None] | None = None,
        choose: Callable[[frozenset[str]], Iterable[str]] = frozenset,
        tell: OnEvent | None = None,
        long_poll: bool = True,
    ) -> None:
        self.topic = topic
        self._clock = clock
        self._random = random
        self._found = found
        self._interval = interval
        self._jitter = jitter
        self._gone = gone
        self._absences = Absences(drop_after) if drop_after and gone else None
        self._translate = translate
        self._choose = choose
        self._tell = tell
        self._long_poll = long_poll
        self._asked: dict[str, _Asked] = {}
        self._running = False
        self._round: Deferred[list[_Asked]] | None = None
        self._begun = 0.0
        self._next: IDelayedCall | None = None
        # Rounds in a row that somebody asked for, and whether the next one is such a round.
        self._hurried = 0
        self._hurry = False
        # When somebody who asked during a round wants the next.
        self._wanted: float | None = None
        self._last: frozenset[str] | None = None

    @property
    def lookupds(self) -> list[str]:
        """The names of those that are asked."""
        return list(self._asked)

    def add(self, name: str, lookupd: Lookupd) -> None:
        """Ask this one, too, beginning now. One that is asked already stays as it is."""
        if name not in self._asked:
            self._asked[name] = _Asked(name, lookupd)
            if self._running:
                self._poll_at(0.0)

    def remove(self, name: str) -> None:
        """Ask this one no more. Without any there are no rounds, and nothing is gone."""
        asked = self._asked.pop(name, None)
        if asked is not None:
            asked.cancel()

    def start(self) -> None:
        """Begin with the first round, unless it runs already."""
        if not self._running:
            self._running = True
            self._begin()

    def stop(self) -> None:
        """Cancel all requests and timers; nothing is told any more."""
        self._running = False
        timer, self._next = self._next, None
        if timer is not None:
            timer.cancel()
        if self._round is not None:
            self._round.cancel()
        for asked in self._asked.values():
            asked.cancel()

    def poll_soon(self) -> None:
        """A connection was lost, or all failed: have a round now, unless there was one just before.

        The more often this happens, the longer the distance, up to the interval: an nsqd that is
        named but cannot be reached must not have us ask without end.
        """
        if not self._running:
            return
        distance = min(self._interval, FLOOR * 2.0 ** min(self._hurried, 32))
        if self._hurried:
            distance *= 1 + self._jitter * self._random.random()
        self._hurry = True
        self._poll_at(self._begun + distance)

    def _poll_at(self, time: float) -> None:
        """Have a round then, if none comes sooner."""
        if self._round is not None:
            self._wanted = time if self._wanted is None else min(self._wanted, time)
        elif self._next is not None and self._next.getTime() > time:
            self._next.reset(max(0.0, time - self._clock.seconds()))

    def _begin(self) -> None:
        self._hurried = self._hurried + 1 if self._hurry else 0
        self._hurry = False
        self._wanted = None
        self._begun = self._clock.seconds()
        self._next = None
        # What we call may stop us, and a coroutine cannot be cancelled while it runs: so it calls
        # nobody, and the rest is done after it.
        asking = Deferred.fromCoroutine(self._ask_all())
        self._round = asking
        asking.addErrback(self._broken).addCallback(self._ended).addErrback(self._broken)

    def _broken(self, failure: Failure) -> Any:
        if not failure.check(CancelledError):
            log.failure("{topic}: a round failed", failure, topic=self.topic)

    def _ended(self, every: list[_Asked] | None) -> None:
        self._round = None
        if not self._running:
            return
        delay = self._interval * (1 + self._jitter * self._random.random())
        self._next = self._clock.callLater(delay, self._begin)
        if self._wanted is not None:
            self._poll_at(self._wanted)
        if every:
            if all(asked.reason for asked in every):
                # Nobody knows anything: they may be starting.
                self.poll_soon()
            for asked in every:
                self._watch_if_offered(asked)
            self._report(every, over=True)

    async def _ask_all(self) -> list[_Asked]:
        """One round: who was asked."""
        every = list(self._asked.values())
        requests = []
        for asked in every:
            asked.producers = None
            asked.reason = ""
            asked.asking = Deferred.fromCoroutine(self._ask(asked))
            asked.asking.addErrback(self._broken)
            requests.append(asked.asking)
        early = self._clock.callLater(PATIENCE, self._report, every, over=False)
        try:
            await DeferredList(requests)
        finally:
            if early.active():
                early.cancel()
        return every

    def _asks(self, asked: _Asked) -> bool:
        """Whether this one is still to be asked."""
        return self._running and self._asked.get(asked.name) is asked

    async def _ask(self, asked: _Asked) -> None:
        try:
            # An index, of whatever state, makes one that can wait for news show its own.
            index = 0 if self._long_poll else None
            lookup = await asked.lookupd.lookup(self.topic, index=index)
            asked.index = lookup.index
            if len(lookup.producers) > MOST_PRODUCERS:
                asked.reason = f"it names {len(lookup.producers)} nsqd: more than {MOST_PRODUCERS}"
            else:
                asked.producers = lookup.producers
        except ApiError as error:
            if not self._asks(asked):
                return
            asked.index = error.index
            if _unknown(error):
                # Normal: the topic is not there yet.
                log.debug("nsqlookupd {name}: no topic {topic}", name=asked.name, topic=self.topic)
                asked.producers = []
            else:
                asked.reason = str(error)
        if asked.failing and not asked.reason:
            log.info("nsqlookupd {name}: answers again", name=asked.name)
        elif asked.reason and not asked.failing:
            log.warn("nsqlookupd {name}: {reason}", name=asked.name, reason=asked.reason)
        asked.failing = bool(asked.reason)

    def _report(self, every: list[_Asked], over: bool) -> None:
        """Tell what was found so far, or in all."""
        every = [asked for asked in every if self._asks(asked)]
        answers = [asked.producers for asked in every if asked.producers is not None]
        if not over and not answers:
            return
        addresses = (self._address(each) for producers in answers for each in producers)
        named = frozenset(address for address in addresses if address)
        found = frozenset(self._choose(named))
        # One that was added meanwhile has not been asked.
        complete = over and 0 < len(answers) == len(self._asked)
        gone: frozenset[str] = frozenset()
        if over:
            if found != self._last:
                log.info("{topic} is at: {found}", topic=self.topic, found=sorted(found))
                self._last = found
            if self._absences is not None:
                gone = self._absences.round(named, complete)
            if self._tell is not None:
                failed = {asked.name: asked.reason for asked in every if asked.reason}
                self._tell(LookupRound(found, failed))
        self._found(found, complete)
        if gone and self._gone is not None and self._running:
            log.info("{topic} is no longer at: {gone}", topic=self.topic, gone=sorted(gone))
            self._gone(gone)

    def _address(self, producer: Producer) -> str | None:
        if self._translate is not None:
            return self._translate(producer)
        address = producer.tcp_address
        # Whatever else it may be, it is no path or endpoint that we would connect to.
        if not is_host_and_port(address):
            log.debug("{topic}: {producer} is nowhere", topic=self.topic, producer=producer)
            return None
        return address

    def _watch_if_offered(self, asked: _Asked) -> None:
        offered = self._long_poll and asked.index is not None
        if offered and asked.watching is None and self._asks(asked):
            asked.watching = Deferred.fromCoroutine(self._watch(asked))
            asked.watching.addErrback(self._broken)
            asked.watching.addCallback(lambda _: setattr(asked, "watching", None))

    async def _watch(self, asked: _Asked) -> None:
        """Wait until there is news; a round follows, and then the next watch."""
        while True:
            begun = self._clock.seconds()
            index: int | None
            try:
                index = (await asked.lookupd.lookup(self.topic, WATCH, asked.index)).index
            except ApiError as error:
                if not self._asks(asked):
                    return
                if not _unknown(error):
                    log.debug("{name}: the watch ended: {error}", name=asked.name, error=error)
                    if not error.answered:
                        await deferLater(self._clock, CUT_PAUSE)
                        self.poll_soon()
                    return
                index = error.index
            # One that answers at once is not asked at once.
            rest = begun + FLOOR - self._clock.seconds()
            if rest > 0:
                await deferLater(self._clock, rest)
            if index is None:
                return
            if index != asked.index:
                self._poll_at(self._begun + FLOOR)
                return


def _unknown(error: ApiError) -> bool:
    """Whether an nsqlookupd only said that it does not know the topic."""
    return error.status == 404 and error.code == "TOPIC_NOT_FOUND"
