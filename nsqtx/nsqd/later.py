"""A command that cannot be done yet: what is behind it waits, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.wire.commands import Event
from nsqtx.wire.errors import ProtocolError

if TYPE_CHECKING:
    from nsqtx.nsqd.session import Session

__all__ = ["Later", "wait"]

log = Logger(namespace="nsqd.tcp")


class Later(Exception):
    """Raised by a command. ``ready`` fires when the session can go on.

    It may fail with a `ProtocolError`, which is the answer to the command. ``again``: the command
    is to be done from its beginning then, else it is done. When the connection ends before,
    ``ready`` is cancelled.
    """

    def __init__(self, ready: Deferred[None], again: bool) -> None:
        self.ready = ready
        self.again = again


def wait(session: Session, later: Later, behind: list[Event]) -> None:
    """Do ``behind``, and whatever else the client sends, when ``later`` is ready.

    Nothing more is read until then, but messages and heartbeats go out.
    """
    session.parser.put_back(behind)
    session.waits_for = later.ready
    session.connection.hold(True, "waits")
    later.ready.addCallbacks(
        _go_on, _refuse, callbackArgs=(session,), errbackArgs=(session,)
    ).addErrback(_broken, session)


def _go_on(_: None, session: Session) -> None:
    session.waits_for = None
    session.last_command = session.node.clock.seconds()
    session.receive(b"")
    if session.closed or session.waits_for is not None:
        return
    session.connection.hold(False, "waits")
    if session.end_waits:
        session.ended()


def _refuse(failure: Failure, session: Session) -> Failure | None:
    session.waits_for = None
    if session.closed:
        return None  # cancelled, since the connection is gone
    error = failure.value
    if not isinstance(error, ProtocolError):
        return failure
    session.fail(error)
    return None


def _broken(failure: Failure, session: Session) -> None:
    """A bug costs this connection, not the daemon."""
    log.failure("[{address}] - connection closed", failure, address=session.address)
    session.dropped()
