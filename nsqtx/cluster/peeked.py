"""Messages as our nsqd shows them to people, and what it says of dead letters."""

from __future__ import annotations

import binascii
from base64 import b64decode

import attrs

from nsqtx.cluster.reading import part, parts

__all__ = ["AttemptLimit", "Holder", "Peek", "PeekedMessage"]


@attrs.define
class Holder:
    """Who has a message in flight."""

    client_id: str = ""
    hostname: str = ""
    remote_address: str = ""


@attrs.define
class PeekedMessage:
    """A message that waits, or is in flight. Times and ``age`` are in ns; 0: it has none."""

    id: str = ""
    timestamp: int = 0
    age: int = 0
    attempts: int = 0
    #: When it is to be delivered, if it is deferred.
    due: int = 0
    #: When it is delivered again, if it is in flight.
    deadline: int = 0
    client: Holder | None = part(Holder)
    #: Of the whole body, in bytes.
    size: int = 0
    #: Whether ``body`` is base64, since it is no text.
    base64: bool = False
    body: str = ""

    @property
    def data(self) -> bytes:
        """The part of the body that is shown."""
        if not self.base64:
            return self.body.encode()
        try:
            return b64decode(self.body)
        except binascii.Error:
            return b""


@attrs.define
class Peek:
    """The answer."""

    messages: list[PeekedMessage] = parts(PeekedMessage)


@attrs.define
class AttemptLimit:
    """After how many attempts messages of a channel become dead letters (0: never), and where."""

    max_attempts: int = 0
    dead_letter_topic: str = ""
