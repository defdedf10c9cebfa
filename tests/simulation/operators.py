"""Operators in the simulated cluster: they pause, empty, delete and create by nsqd's HTTP.

A careful one only does what costs no message: it pauses and goes on, makes what is there already,
and brings dead letters back. A careless one also empties and deletes. When all is healed, each sees
to it that there is what should be there, and that nothing is paused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from tests.simulation.clients import Client, HttpConnection
from tests.simulation.history import History
from tests.simulation.ledger import Place
from tests.simulation.network import Host
from tests.simulation.reactor import SimulatedReactor

__all__ = ["SPARE", "Operated", "Operator"]

#: A channel without consumers, which a careless operator makes and deletes.
SPARE = "spare"
#: The usual time between two requests (seconds).
EVERY = 0.7
#: How often dead letters are brought back in the end (seconds).
REDRIVE = 1.0

#: What an operator asks for, with weights: a path, and whether it takes a channel.
CAREFUL = {
    "/channel/pause": 3,
    "/channel/unpause": 4,
    "/topic/pause": 2,
    "/topic/unpause": 4,
    "/topic/create": 1,
    "/channel/create": 1,
}
CARELESS = {
    **CAREFUL,
    "/channel/empty": 2,
    "/channel/delete": 2,
    "/topic/empty": 2,
    "/topic/delete": 1,
}


@attrs.frozen
class Operated:
    """A topic, its channels that have consumers, and what an operator may do with it."""

    name: str
    channels: Sequence[str]
    deeds: dict[str, int]


class Operator(Client):
    """Looks after one nsqd, with one request at a time. ``redrives``: there are dead letters."""

    protocol_class = HttpConnection
    port = 4151

    def __init__(
        self, name: str, reactor: SimulatedReactor, nsqd: Host, history: History,
        topics: Sequence[Operated], redrives: bool,
    ) -> None:  # fmt: skip
        self.topics = topics
        self.redrives = redrives
        #: What is still to be asked, when all is healed.
        self.left: deque[tuple[str, Place]] = deque()
        self._calm = False
        #: The request that has no answer yet.
        self._asked: tuple[str, Place] | None = None
        self._busy = [each for each in topics if each.deeds]
        super().__init__(name, reactor, nsqd, history)
        self._go_on()

    @property
    def settled(self) -> bool:
        """Whether everything is as it should be in the end."""
        return self._calm and not self.left

    def calm_down(self) -> None:
        """From now on see that all is there and nothing is paused."""
        self._calm = True
        for topic in self.topics:
            here = self._place(topic)
            self.left += [("/topic/create", here), ("/topic/unpause", here)]
            for channel in topic.channels:
                place = here._replace(channel=channel)
                self.left += [("/channel/create", place), ("/channel/unpause", place)]
            if "/channel/delete" in topic.deeds:
                # Maybe nobody has made it.
                spare = here._replace(channel=SPARE)
                self.left += [("/channel/create", spare), ("/channel/delete", spare)]

    def _place(self, topic: Operated) -> Place:
        return Place(self.nsqd.name, topic.name, "")

    def _go_on(self) -> None:
        random = self.world.random
        idle = self.connection is not None and self._asked is None
        pause = 0.05 if self.left else REDRIVE if self._calm else random.expovariate(1 / EVERY)
        self.reactor.callLater(pause, self._go_on)
        if not idle:
            return
        if self.left:
            self._ask(*self.left[0])
        elif self.redrives and random.random() < (0.9 if self._calm or not self._busy else 0.2):
            topic = random.choice(self.topics)
            place = self._place(topic)._replace(channel=random.choice(topic.channels))
            self._ask("/channel/redrive", place)
        elif self._busy and not self._calm:
            self._do_something()

    def _do_something(self) -> None:
        random = self.world.random
        topic = random.choice(self._busy)
        (path,) = random.choices(list(topic.deeds), list(topic.deeds.values()))
        place = self._place(topic)
        if path.startswith("/channel/"):
            names = list(topic.channels)
            if "/channel/delete" in topic.deeds:
                names.append(SPARE)
            place = place._replace(channel=random.choice(names))
        self._ask(path, place)

    def _ask(self, path: str, place: Place) -> None:
        self._asked = path, place
        channel = f"&channel={place.channel}" if place.channel else ""
        target = f"{path}?topic={place.topic}{channel}"
        head = f"POST {target} HTTP/1.1\r\nHost: nsqd\r\nContent-Length: 0\r\n\r\n"
        self.world.note("ask", place.node, target)
        self.connection.request(head.encode())

    def received(self, kind: int, frame: bytes) -> None:
        asked, self._asked = self._asked, None
        assert asked is not None
        path, place = asked
        self.world.note("told", *place, path, kind)
        if self.left and self.left[0] == asked and kind == 200:
            self.left.popleft()
        self.history.operated(path, place, kind)

    def connected(self, connection: Any) -> None:
        self.connection = connection

    def lost(self) -> None:
        self._asked = None
        super().lost()
