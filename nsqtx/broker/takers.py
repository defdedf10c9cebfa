"""The consumers of a channel that have room for messages, in the order in which they are served.

A thousand consumers of which one has just finished its message must not cost a look at a thousand.
So whoever may have got room says so (`Takers.add`), and who has none any more is found out when it
would be served. The others are never looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from nsqtx.broker.subscription import Subscription

__all__ = ["Takers"]


@attrs.define(eq=False)
class Takers:
    """Everybody with room, maybe with some who have none; the next one to be served comes first."""

    _queue: dict[Subscription, None] = attrs.Factory(dict)

    def add(self, subscription: Subscription) -> None:
        """It may have room now. Who is here already keeps its place."""
        self._queue[subscription] = None

    def remove(self, subscription: Subscription) -> None:
        """It is gone."""
        self._queue.pop(subscription, None)

    def first(self, most: int) -> list[Subscription]:
        """Up to ``most`` that have room, the next ones to be served."""
        queue = self._queue
        found: list[Subscription] = []
        full: list[Subscription] = []
        for subscription in queue:
            if subscription.room() > 0:
                found.append(subscription)
                if len(found) >= most:
                    break
            else:
                full.append(subscription)
        for subscription in full:
            del queue[subscription]
        return found

    def served(self, subscription: Subscription) -> None:
        """It got something, so the others come first now."""
        queue = self._queue
        if len(queue) > 1 and subscription in queue:
            del queue[subscription]
            queue[subscription] = None
