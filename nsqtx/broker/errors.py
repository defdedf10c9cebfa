"""What the broker refuses, in its own words; session and HTTP translate at their boundary.

The texts are those that nsqd puts behind ``failed`` in its errors (nsqd-tcp section 5).
"""

from __future__ import annotations

__all__ = [
    "BrokerError",
    "DeadLetterLoop",
    "Draining",
    "Exiting",
    "NotInFlight",
    "NotOwner",
    "TooManyConsumers",
]


class BrokerError(Exception):
    """Base of all that the broker refuses."""


class Exiting(BrokerError):
    """The topic, the channel or nsqd itself is on its way out."""

    def __init__(self) -> None:
        super().__init__("exiting")


class Draining(BrokerError):
    """Nsqd takes no more messages, and stops when it has none (`nsqtx.nsqd.drain`)."""

    def __init__(self) -> None:
        super().__init__("draining")


class DeadLetterLoop(BrokerError):
    """Dead letters of a topic would come back to it."""

    def __init__(self) -> None:
        super().__init__("they would come back")


class NotInFlight(BrokerError):
    """No such message is in flight on this channel."""

    def __init__(self) -> None:
        super().__init__("ID not in flight")


class NotOwner(BrokerError):
    """The message is in flight, but with another client."""

    def __init__(self) -> None:
        super().__init__("client does not own message")


class TooManyConsumers(BrokerError):
    """The channel has as many consumers as ``--max-channel-consumers`` allows."""

    def __init__(self, topic: str, channel: str, limit: int) -> None:
        super().__init__(f"consumers for {topic}:{channel} exceeds limit of {limit}")
