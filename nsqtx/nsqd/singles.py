"""The short way for a read that is nothing but one PUB or one FIN.

That is what a client sends that waits for each answer, and a consumer with RDY 1: the parser makes
no list of it, and what follows is left for the end of the turn (`nsqtx.broker.turn`). Where
anything is not as usual the read goes the long way, with the same outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nsqtx.broker.turn import Turn

if TYPE_CHECKING:
    from nsqtx.nsqd.session import Session

__all__ = ["SMALL_READ", "is_single"]

#: Larger reads are not looked at: putting them off gains nothing.
SMALL_READ = 16 * 1024


def is_single(session: Session, data: bytes, turn: Turn) -> bool:
    """Whether a read is one FIN, which is done, or one PUB, which will be when the turn ends."""
    parser = session.parser
    subscription = session.subscription
    if subscription is not None:
        id = parser.lone_fin(data)
        if id is not None and subscription.finish_one(id):
            turn.pump(subscription.channel)
            session.last_command = session.node.clock.seconds()
            return True
    if len(data) > SMALL_READ:
        return False
    body = parser.lone_pub(data)
    if body is None or session.admission is not None or session.node.draining:
        return False
    session.put_off += 1
    turn.publish(parser.pub_topic, body, session)
    session.last_command = session.node.clock.seconds()
    return True
