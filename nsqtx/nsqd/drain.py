"""Draining: nsqd takes no more messages, gives away those it has, and stops.

It begins by SIGTERM with ``--sigterm-mode=drain``, or by ``PUT /config/drain``. Publishers are
refused, so that they go elsewhere; consumers stay, and new ones may come, since they are who
empties it. It ends when nothing is ready or in flight, and nothing is deferred that will be due in
time, or at ``--drain-timeout``. What is left then is in the log, as with every stop, and comes
after the next start.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nsqtx.nsqd.node import Node

__all__ = ["CHECK_INTERVAL", "Drain"]

log = Logger(namespace="nsqd.drain")

#: How often we look whether everything is empty (seconds).
CHECK_INTERVAL = 0.25


@attrs.define(eq=False)
class Drain:
    """Empties a node. ``stop`` is called at the end."""

    node: Node
    stop: Callable[[], None]
    #: When draining ends, in seconds of the node's clock; None: when everything is empty.
    _deadline: float | None = None
    _check: IDelayedCall | None = None

    def begin(self, why: str) -> None:
        """Refuse publishes, leave nsqlookupd, and stop the node when it is empty."""
        node = self.node
        if node.draining:
            return
        node.draining = True
        seconds = node.options.drain_timeout / 1e9
        self._deadline = node.clock.seconds() + seconds if seconds else None
        log.info(
            "DRAIN: {why}, refusing publishes, waiting for {count} messages, {limit}",
            why=why,
            count=self._count(),
            limit=f"{seconds:g} s at most" if seconds else "for any time",
        )
        node.set_lookupds([])
        # Not at once: who asked for it by HTTP is to be answered first.
        self._check = node.clock.callLater(CHECK_INTERVAL, self._look)

    def cancel(self, why: str) -> None:
        """Take messages again, as if nothing had been."""
        node = self.node
        if not node.draining:
            return
        self.end()
        node.draining = False
        log.info("DRAIN: {why}, taking messages again", why=why)
        node.set_lookupds(node.options.lookupd_tcp_address)

    def end(self) -> None:
        """Look no more; the node is stopping."""
        check, self._check = self._check, None
        if check is not None and check.active():
            check.cancel()

    def _look(self) -> None:
        node = self.node
        count = self._count()
        if not count and not self._deferred_in_time():
            log.info("DRAIN: all is delivered and finished")
        elif self._deadline is not None and node.clock.seconds() >= self._deadline:
            log.warn("DRAIN: {count} messages are left for the next start", count=count)
        else:
            self._check = node.clock.callLater(CHECK_INTERVAL, self._look)
            return
        self._check = None
        self.stop()

    def _count(self) -> int:
        """Messages that are ready or in flight."""
        count = 0
        for topic in self.node.broker.topics.values():
            count += len(topic.held)
            for channel in topic.channels.values():
                count += channel.depth + channel.in_flight_count
        return count

    def _deferred_in_time(self) -> bool:
        """Whether there are deferred messages that will be due before the deadline."""
        deadline = self._deadline
        return any(
            due is not None and (deadline is None or due <= deadline * 1e9)
            for topic in self.node.broker.topics.values()
            for due in (
                topic.held_deferred.next_due,
                *(channel.deferred.next_due for channel in topic.channels.values()),
            )
        )
