"""Which topics and channels are paused, as far as that is known for certain."""

from __future__ import annotations

import attrs

from tests.simulation.ledger import Place

__all__ = ["Pause", "Pauses"]


@attrs.define(eq=False)
class Pause:
    """``paused`` or not, since ``at``. ``kept``: a checkpoint has it, so a kill changes nothing."""

    paused: bool
    at: float
    kept: bool = False
    #: Whoever asked for it has been told.
    answered: bool = False


class Pauses:
    """By place; one without a channel is the topic. What is not here may be paused or not."""

    def __init__(self) -> None:
        self._known: dict[Place, Pause] = {}

    def set(self, place: Place, paused: bool, now: float) -> None:
        """nsqd has done what it was asked for."""
        self._known[place] = Pause(paused, now)

    def answered(self, place: Place, paused: bool) -> None:
        """Whoever asked has been told, if nothing else was done since."""
        known = self._known.get(place)
        if known is not None and known.paused == paused:
            known.answered = True

    def paused_at(self, place: Place) -> float | None:
        """When it was paused; None: it is not, or nobody knows."""
        known = self._known.get(place)
        return known.at if known is not None and known.paused else None

    def of(self, node: str) -> dict[Place, bool]:
        """All that is known of a node."""
        return {place: each.paused for place, each in self._known.items() if place.node == node}

    def gone(self, place: Place) -> None:
        """A topic with its channels, or a channel, was deleted."""
        for each in list(self._known):
            if each == place or (not place.channel and each[:2] == place[:2]):
                del self._known[each]

    def checkpoint(self, node: str, topic: str) -> None:
        """A checkpoint of the topic was written."""
        for place, known in self._known.items():
            if place[:2] == (node, topic):
                known.kept = True

    def ended(self, node: str, how: str, hindered: float) -> None:
        """A process ended. Until ``hindered`` its disk may have refused checkpoints."""
        for place, known in list(self._known.items()):
            if place.node != node:
                continue
            sure = known.kept or ((how == "stop" or known.answered) and hindered < known.at)
            if how == "cut" or not sure:
                del self._known[place]
            else:
                known.kept = True
