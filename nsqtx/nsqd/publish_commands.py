"""PUB, MPUB and DPUB: the commands with messages, allowed in every state (nsqd-tcp 5.2 to 5.4).

Where OK may only be said after a commit, the session keeps the answer until then (`Waiting`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from nsqtx.broker.commit import Commit
from nsqtx.broker.errors import BrokerError, Draining
from nsqtx.interfaces import StorageError
from nsqtx.wire import frames
from nsqtx.wire.commands import Event
from nsqtx.wire.errors import ProtocolError

if TYPE_CHECKING:
    from nsqtx.nsqd.session import Session

__all__ = ["Waiting", "bad_mpub", "checked", "dpub", "mpub", "pub", "refused"]

_MS = 1_000_000


@attrs.define(eq=False)
class Waiting:
    """Answers that wait for a commit, and the word to blame if it fails."""

    commit: Commit
    answer: bytes
    word: str
    topic: str
    count: int
    size: int


def refused(word: str, error: Exception) -> ProtocolError:
    """The broker did not take what was published."""
    return ProtocolError(f"E_{word}_FAILED", f"{word} failed {error}")


def _publish(
    session: Session, word: str, topic: str, bodies: list[bytes], due: int, answer: bytes
) -> None:
    node = session.node
    try:
        if node.draining:
            raise Draining
        commit = node.broker.get_topic(topic).publish(bodies, due)
    except (BrokerError, StorageError) as error:
        raise refused(word, error) from None
    if commit is None:
        published = session.published
        published[topic] = published.get(topic, 0) + len(bodies)
        session.reply(answer)
    else:
        size = sum(map(len, bodies))
        session.wait_for_commit(Waiting(commit, answer, word, topic, len(bodies), size))


def pub(session: Session, event: Event) -> None:
    """A run of PUBs to one topic: an OK for each."""
    _, topic, bodies = event
    _publish(session, "PUB", topic, bodies, 0, frames.OK * len(bodies))


def mpub(session: Session, event: Event) -> None:
    """All of the messages, or none."""
    _, topic, bodies = event
    _publish(session, "MPUB", topic, bodies, 0, frames.OK)


def dpub(session: Session, event: Event) -> None:
    """One message, to be delivered later."""
    _, topic, delay, body = event
    due = session.node.broker.now() + delay * _MS if delay else 0
    _publish(session, "DPUB", topic, [body], due, frames.OK)


def bad_mpub(session: Session, event: Event) -> None:
    """An MPUB whose body is not good. Its topic is made all the same (nsqd-tcp 5.4)."""
    _, topic, error = event
    try:
        if session.node.draining:
            raise Draining
        session.node.broker.get_topic(topic)
    except (BrokerError, StorageError) as why:
        raise refused("MPUB", why) from None
    raise error


def checked(word: str, do: Callable[[Session, Event], None]) -> Callable[[Session, Event], None]:
    """A publish, where a client may have to ask for that."""

    def check(session: Session, event: Event) -> None:
        assert session.admission is not None
        session.admission.check_publish(session, word, event[1])
        do(session, event)

    return check
