"""What `nsqtx.wire.commands` makes of what a client sends: tuples, and the first item is a kind.

======================== =========================================================================
``(MAGIC, True)``        the four bytes were right
``(PUB, topic, bodies)`` a run of PUBs, each to be answered
``(MPUB, topic, bodies)``
``(DPUB, topic, delay, body)`` with the delay in milliseconds, rounded up
``(FIN, ids)``           a run of FINs whose ids are lower-case hex digits
``(LINE, word, params)`` any other line, to be judged by the session. A barrier: IDENTIFY, AUTH,
                         MPUB with `Parser.announce_mpub`, and all with `Parser.locked`
``(BODY, word, body)``   what `Parser.expect_body` asked for. A barrier
``(BAD_MPUB, topic, error)`` as ERROR, and the topic was valid and is to be created all the same
``(ERROR, error)``       a `ProtocolError` to be answered. The last event
``(TOO_LONG,)``          a line has no end: close without an answer. The last event
======================== =========================================================================

Plain tuples, since there may be one for each message: a tuple costs a sixth of an object.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BAD_MPUB",
    "BODY",
    "DPUB",
    "ERROR",
    "FIN",
    "LINE",
    "MAGIC",
    "MPUB",
    "PUB",
    "TOO_LONG",
    "Event",
]

#: A kind and what belongs to it.
Event = tuple[Any, ...]

PUB, FIN, LINE, MPUB, DPUB, BODY, MAGIC, BAD_MPUB, ERROR, TOO_LONG = range(10)
