"""What Readers and Writers tell besides messages and results: one class for each event.

An ``on_event`` function is called with them, in the reactor's thread; what it raises is logged. All
of it goes to `twisted.logger` as well, so it is for programs: metrics, health, alarms.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.logger import Logger

__all__ = [
    "AnswerLost",
    "BackoffChanged",
    "ConnectFailed",
    "Connected",
    "Disconnected",
    "Event",
    "GaveUp",
    "HandlerFailed",
    "LookupRound",
    "OnEvent",
    "PublishRetried",
    "RdyLimited",
    "TouchLimit",
    "teller",
]

log = Logger(namespace="nsqtx.client")


@attrs.frozen
class Event:
    """Any of them."""


OnEvent = Callable[[Event], None]


@attrs.frozen
class Connected(Event):
    """A connection can be used."""

    address: str


@attrs.frozen
class Disconnected(Event):
    """A connection that could be used is gone."""

    address: str
    reason: str


@attrs.frozen
class ConnectFailed(Event):
    """There was no connection; ``delay`` is in how many seconds it is tried again, None: when
    nsqlookupd names the address again."""

    address: str
    reason: str
    delay: float | None


@attrs.frozen
class LookupRound(Event):
    """All nsqlookupd were asked: the addresses they named, and for each that failed the reason."""

    found: frozenset[str]
    failed: dict[str, str]


@attrs.frozen
class RdyLimited(Event):
    """nsqd takes no RDY as high as ``max_in_flight``."""

    address: str
    max_rdy_count: int


@attrs.frozen
class BackoffChanged(Event):
    """Since handlers failed, no messages are taken (``block``) for ``duration`` seconds, or one is
    (``test``); or all went well again (``normal``). The higher the ``level``, the longer a block.
    """

    state: str
    level: int
    duration: float


@attrs.frozen
class HandlerFailed(Event):
    """A handler raised; the message was requeued."""

    address: str
    message_id: bytes
    attempts: int
    error: Exception


@attrs.frozen
class GaveUp(Event):
    """A message had more than ``max_attempts``."""

    address: str
    message_id: bytes
    attempts: int


@attrs.frozen
class AnswerLost(Event):
    """An answer to a message came too late, or its connection is gone: nsqd delivers it again.

    ``reason`` is nsqd's text (``E_FIN_FAILED ...``, which has the id) or ours.
    """

    address: str
    reason: str


@attrs.frozen
class TouchLimit(Event):
    """A handler still runs, and nsqd lets its message be touched no longer."""

    address: str
    message_id: bytes


@attrs.frozen
class PublishRetried(Event):
    """A publish failed and is tried again."""

    address: str
    reason: str


def teller(on_event: OnEvent | None) -> OnEvent:
    """``on_event``, made safe: a function that raises ends nothing but itself."""
    if on_event is None:
        return lambda _: None
    told = on_event

    def tell(event: Event) -> None:
        try:
            told(event)
        except Exception:  # noqa: BLE001
            log.failure("on_event failed")

    return tell
