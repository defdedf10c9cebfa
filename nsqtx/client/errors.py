"""What can go wrong on the client's side, each with its own type.

All of it is an `NsqError`. A publish that failed says by its `Outcome` whether the message may be
in a topic (client section 9.3)::

    NsqError
    ├── ConfigError            a setting is out of bounds (it is a ValueError, too)
    ├── ConnectError           no connection: dial, handshake, TLS, secret, SUB
    ├── ConnectionClosed       a connection is gone, and why
    ├── BadFrame               what came is not NSQ's protocol
    ├── ServerError            an error frame: ``code`` and ``text``
    ├── CommandFailed          a command that got no answer, or an error for one
    ├── PublishFailed          what a Writer says in the end
    ├── Stopped                the Reader or Writer is stopped
    └── AlreadyAnswered        a message was finished or requeued before
"""

from __future__ import annotations

from enum import Enum

__all__ = [
    "AlreadyAnswered",
    "BadFrame",
    "CommandFailed",
    "ConfigError",
    "ConnectError",
    "ConnectionClosed",
    "NsqError",
    "Outcome",
    "PublishFailed",
    "ServerError",
    "Stopped",
]


class NsqError(Exception):
    """Anything that a Reader or Writer has to say; the text is for people."""


class ConfigError(NsqError, ValueError):
    """A setting that cannot be; the text names it and its bounds."""


class ConnectError(NsqError):
    """There is no connection to a nsqd; ``address`` is the one that was tried."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address}: {reason}")
        self.address = address
        self.reason = reason


class ConnectionClosed(NsqError):
    """A connection is gone."""


class BadFrame(NsqError):
    """What the other side sent is no frame of NSQ's, or larger than we take."""


class ServerError(NsqError):
    """An error frame. ``code`` is its first word, ``text`` all of it (client section 1.2)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.code = text.partition(" ")[0]


class Outcome(Enum):
    """What became of a command that did not succeed."""

    #: nsqd refused it: it was not done, and would be refused again unless the code is transient.
    REJECTED = "rejected"
    #: It was not done: never sent, or behind one at which nsqd closed the connection.
    NOT_EXECUTED = "not executed"
    #: Sent and not answered: it may be done or not.
    UNKNOWN = "unknown"


class CommandFailed(NsqError):
    """One command on one connection; ``error`` is the reason, `ServerError` for an error frame."""

    def __init__(self, outcome: Outcome, error: Exception) -> None:
        super().__init__(f"{error} ({outcome.value})")
        self.outcome = outcome
        self.error = error


class PublishFailed(NsqError):
    """Messages that no nsqd has said OK to.

    ``outcome`` is the worst of all attempts: `Outcome.UNKNOWN` if one of them may have stored the
    messages. ``code`` is that of the last error frame, or empty; ``address`` is that of the nsqd
    tried last, or empty.
    """

    def __init__(
        self, outcome: Outcome, reason: str, code: str = "", address: str = "", attempts: int = 0
    ) -> None:
        where = f"{address}: " if address else ""
        super().__init__(f"{where}{reason} ({outcome.value})")
        self.outcome = outcome
        self.reason = reason
        self.code = code
        self.address = address
        self.attempts = attempts


class Stopped(NsqError):
    """The Reader or Writer was stopped, or is stopping."""


class AlreadyAnswered(NsqError):
    """A message is finished or requeued once."""
