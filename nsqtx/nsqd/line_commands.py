"""The commands that are a line without a body, as a table: where allowed, and what they do.

The table `COMMANDS` is nsqd-tcp sections 4 and 5.6: a state that is not listed is a fatal error.
Publishing is not here: it is allowed in every state, and comes from the parser with its bodies.
The exception is the line of an MPUB, which comes before its body where authorization is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from nsqtx.broker.errors import BrokerError
from nsqtx.interfaces import StorageError
from nsqtx.nsqd.client import CLOSING, INIT, SUBSCRIBED
from nsqtx.wire import frames
from nsqtx.wire.errors import ProtocolError, quote
from nsqtx.wire.names import valid_name
from nsqtx.wire.numbers import delay_nanoseconds, parse_digits

if TYPE_CHECKING:
    from nsqtx.broker.subscription import Subscription
    from nsqtx.nsqd.session import Session

__all__ = ["COMMANDS", "Command", "finish", "run"]

_MS = 1_000_000


@attrs.frozen
class Command:
    """A line command: what does it, in which states, with how many parameters at least."""

    do: Callable[[Session, list[bytes]], None]
    states: frozenset[int]
    parameters: int = 0


def run(session: Session, word: bytes, params: list[bytes]) -> None:
    """Do what a line says.

    :raises ProtocolError: it is not a command, not allowed now, or its parameters are wrong.
    """
    command = COMMANDS.get(word)
    if command is None:
        raise ProtocolError("E_INVALID", b"invalid command " + word)
    if session.state not in command.states:
        if word == b"RDY" and session.state == CLOSING:
            return
        raise _out_of_state(word)
    if len(params) < command.parameters:
        raise ProtocolError("E_INVALID", word + b" insufficient number of params")
    command.do(session, params)


def finish(session: Session, ids: list[bytes]) -> None:
    """FIN of some messages; those that are not in flight are reported, one by one."""
    if session.state not in _CONSUMING:
        raise _out_of_state(b"FIN")
    subscription = _subscription(session)
    for id in subscription.finish(ids):
        _refuse(session, b"FIN", id, subscription.why_not(id))


def _out_of_state(word: bytes) -> ProtocolError:
    return ProtocolError("E_INVALID", b"cannot " + word + b" in current state")


def _subscription(session: Session) -> Subscription:
    """The subscription, which there is in the states that COMMANDS lists."""
    assert session.subscription is not None
    return session.subscription


def _refuse(session: Session, word: bytes, id: bytes, why: BrokerError) -> None:
    """FIN, REQ or TOUCH of a message that is not ours any more: the connection is kept."""
    text = b"%b %b failed %b" % (word, id, str(why).encode())
    session.fail(ProtocolError(f"E_{word.decode()}_FAILED", text))


def _checked_id(param: bytes) -> bytes:
    """A message id: any 16 bytes."""
    if len(param) != 16:
        raise ProtocolError("E_INVALID", "invalid message ID")
    return param


def _identify(session: Session, params: list[bytes]) -> None:
    session.parser.expect_body(b"IDENTIFY", session.node.options.max_body_size)


def _auth(session: Session, params: list[bytes]) -> None:
    if params:
        raise ProtocolError("E_INVALID", "AUTH invalid number of parameters")
    session.parser.expect_body(b"AUTH", session.node.options.max_body_size)


def _sub(session: Session, params: list[bytes]) -> None:
    """Section 5.5."""
    if not session.settings.heartbeat_interval:
        raise ProtocolError("E_INVALID", "cannot SUB with heartbeats disabled")
    if len(params) < 2:
        raise ProtocolError("E_INVALID", "SUB insufficient number of parameters")
    topic, channel = params[:2]
    if not valid_name(topic):
        raise ProtocolError("E_BAD_TOPIC", f"SUB topic name {quote(topic)} is not valid")
    if not valid_name(channel):
        raise ProtocolError("E_BAD_CHANNEL", f"SUB channel name {quote(channel)} is not valid")
    if session.admission is not None:
        session.admission.check_subscribe(session, topic.decode(), channel.decode())
    options = session.node.options
    try:
        found = session.node.broker.get_topic(topic.decode()).get_channel(channel.decode())
        session.subscription = found.subscribe(
            session,
            session.delivery.msg_timeout * _MS,
            options.max_msg_timeout,
            session.delivery.sample_rate,
            options.max_channel_consumers,
            session.locality,
        )
    except (BrokerError, StorageError) as error:
        raise ProtocolError("E_SUB_FAILED", f"SUB failed {error}") from None
    session.state = SUBSCRIBED
    session.reply(frames.OK)


def _mpub(session: Session, params: list[bytes]) -> None:
    """An MPUB that the parser announces, with a valid topic (section 5.4, steps 3 and 4)."""
    if session.admission is not None:
        session.admission.check_publish(session, "MPUB", params[0].decode())


def _rdy(session: Session, params: list[bytes]) -> None:
    count = 1
    if params:
        parsed = parse_digits(params[0])
        if parsed is None:
            raise ProtocolError("E_INVALID", b"RDY could not parse count " + params[0])
        count = parsed
    maximum = session.node.options.max_rdy_count
    if not 0 <= count <= maximum:
        raise ProtocolError("E_INVALID", f"RDY count {count} out of range 0-{maximum}")
    # Not set_ready: the session pumps once, at the end of the read.
    _subscription(session).ready = count


def _fin(session: Session, params: list[bytes]) -> None:
    finish(session, [_checked_id(params[0])])


def _req(session: Session, params: list[bytes]) -> None:
    id = _checked_id(params[0])
    timeout = parse_digits(params[1])
    if timeout is None:
        raise ProtocolError("E_INVALID", b"REQ could not parse timeout " + params[1])
    delay = max(0, min(delay_nanoseconds(timeout), session.node.options.max_req_timeout))
    try:
        _subscription(session).requeue(id, delay)
    except BrokerError as why:
        _refuse(session, b"REQ", id, why)


def _touch(session: Session, params: list[bytes]) -> None:
    id = _checked_id(params[0])
    try:
        _subscription(session).touch(id, session.settings.msg_timeout * _MS)
    except BrokerError as why:
        _refuse(session, b"TOUCH", id, why)


def _cls(session: Session, params: list[bytes]) -> None:
    _subscription(session).ready = 0
    session.state = CLOSING
    session.reply(frames.CLOSE_WAIT)


def _nop(session: Session, params: list[bytes]) -> None:
    """That it came is all there is to it."""


_CONSUMING = frozenset({SUBSCRIBED, CLOSING})

COMMANDS = {
    b"IDENTIFY": Command(_identify, frozenset({INIT})),
    b"AUTH": Command(_auth, frozenset({INIT})),
    b"MPUB": Command(_mpub, frozenset({INIT, SUBSCRIBED, CLOSING})),
    b"SUB": Command(_sub, frozenset({INIT})),
    b"RDY": Command(_rdy, frozenset({SUBSCRIBED})),
    b"FIN": Command(_fin, _CONSUMING, 1),
    b"REQ": Command(_req, _CONSUMING, 2),
    b"TOUCH": Command(_touch, _CONSUMING, 1),
    b"CLS": Command(_cls, frozenset({SUBSCRIBED})),
    b"NOP": Command(_nop, frozenset({INIT, SUBSCRIBED, CLOSING})),
}
