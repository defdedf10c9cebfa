"""Asking every nsqd of a topic for the figures of a channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.producers import Lookup
from nsqtx.cluster.stats import Stats
from nsqtx.tools.asking import all_answers
from nsqtx.tools.nsq_stat.figures import Figures

__all__ = ["AsksLookupd", "AsksNsqd", "Display", "PollError", "Poller", "poll_again_and_again"]

log = Logger(namespace="nsqtx.tools.nsq_stat")


class PollError(Exception):
    """There are no figures; the text says why."""


class AsksNsqd(Protocol):
    """What is needed of `nsqtx.cluster.nsqd.NsqdClient`."""

    def stats(self, topic: str = "", *, include_clients: bool = True) -> Deferred[Stats]:
        """Its figures."""


class AsksLookupd(Protocol):
    """What is needed of `nsqtx.cluster.lookupd.LookupdClient`."""

    def lookup(self, topic: str) -> Deferred[Lookup]:
        """The producers of a topic."""


class MakesNsqd(Protocol):
    """Makes the client of the nsqd at an address."""

    def __call__(self, address: str) -> AsksNsqd:
        """Make it."""


class Poller:
    """Asks for one channel. Either addresses of nsqd or nsqlookupd are given."""

    def __init__(
        self,
        topic: str,
        channel: str,
        nsqd: MakesNsqd,
        addresses: Iterable[str] = (),
        lookupds: Iterable[AsksLookupd] = (),
    ) -> None:
        self._topic = topic
        self._channel = channel
        self._nsqd = nsqd
        self._addresses = list(dict.fromkeys(addresses))
        self._lookupds = list(lookupds)

    async def poll(self) -> dict[str, Figures]:
        """The figures of the channel now, by nsqd.

        :raises PollError: one of them did not answer, or none has the channel.
        """
        addresses = self._addresses
        if self._lookupds:
            addresses = await self._look_up()
        answers = {}
        failed = []
        asked = await all_answers(map(self._ask, addresses))
        for address, answer in zip(addresses, asked, strict=True):
            if isinstance(answer, ApiError):
                failed.append(str(answer))
            else:
                answers[address] = answer
        if failed:
            what = "get nsqd stats" if self._lookupds else "get topic producers"
            raise PollError(f"failed to {what} - failed to query any nsqd: {', '.join(failed)}")
        if not any(stats.topics for stats in answers.values()):
            raise PollError("failed to get nsqd stats - failed to query any nsqd: ")
        found = {
            address: Figures.of(channel)
            for address, stats in answers.items()
            for topic in stats.topics
            for channel in topic.channels
            if (topic.topic_name, channel.channel_name) == (self._topic, self._channel)
        }
        if not found:
            raise PollError(
                f"failed to find channel({self._channel}) in stats metadata for "
                f"topic({self._topic})"
            )
        return found

    def _ask(self, address: str) -> Deferred[Stats]:
        # Of all channels: else an nsqd with the topic looks like one without.
        return self._nsqd(address).stats(self._topic, include_clients=False)

    async def _look_up(self) -> list[str]:
        """The nsqd of the topic. One nsqlookupd that answers is enough; others are in the log."""
        found: dict[str, None] = {}
        failed = []
        for answer in await all_answers(each.lookup(self._topic) for each in self._lookupds):
            if not isinstance(answer, ApiError):
                found.update(dict.fromkeys(each.http_address for each in answer.producers))
            elif answer.code != "TOPIC_NOT_FOUND":
                failed.append(str(answer))
        why = f"failed to query any nsqlookupd: {', '.join(failed)}"
        if len(failed) == len(self._lookupds):
            raise PollError(f"failed to get topic producers - {why}")
        if failed:
            log.warn("WARNING: {why}", why=why)
        return list(found)


class Display(Protocol):
    """Shows figures."""

    def show(self, nodes: Mapping[str, Figures]) -> None:
        """These are the figures now."""

    def trouble(self, text: str) -> bool:
        """Whether to go on although there are none."""


async def poll_again_and_again(
    poller: Poller, display: Display, seconds: float, count: int | None, clock: IReactorTime
) -> None:
    """Poll, show, wait; ``count`` times besides the first, which there is nothing to compare with.

    :raises PollError: there are no figures, and that is the end.
    """
    done = 0
    while True:
        try:
            display.show(await poller.poll())
        except PollError as error:
            if not display.trouble(str(error)):
                raise
        else:
            done += 1
        if count is not None and done > count:
            return
        await deferLater(clock, seconds)
