"""What nsqd answers on one TCP connection (nsqd-tcp). Knows no transport and no timer.

The unit of work is a read: `receive` gets what came, the parser makes a list of commands of it,
and all answers and messages that they cause leave in one write at the end.

A command that is only a line is in the table of `nsqtx.nsqd.line_commands`, publishing in
`nsqtx.nsqd.publish_commands`; a read of one PUB or FIN goes by `nsqtx.nsqd.singles`. Answers to a
client keep the order of its commands, also when some wait for a commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from nsqtx.broker.commit import Commit
from nsqtx.broker.errors import BrokerError
from nsqtx.broker.locality import FAR, Locality
from nsqtx.broker.subscription import Subscription
from nsqtx.interfaces import ISubscriber, StorageError
from nsqtx.nsqd.client import INIT, client_stats, identify, wire_limits
from nsqtx.nsqd.connection import Connection
from nsqtx.nsqd.later import Later, wait
from nsqtx.nsqd.line_commands import finish, run
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.publish_commands import Waiting, bad_mpub, checked, dpub, mpub, pub, refused
from nsqtx.nsqd.singles import is_single
from nsqtx.nsqd.upgrade import Layering, Upgrade
from nsqtx.wire import commands, frames
from nsqtx.wire.commands import Event, Parser
from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.identify import Identify, Settings

if TYPE_CHECKING:
    from nsqtx.nsqd.admission import Admission

__all__ = ["Session"]

log = Logger(namespace="nsqd.tcp")

MS = 1_000_000
#: What is gathered in one read before it is written all the same, in bytes.
GATHER_LIMIT = 1024 * 1024
#: How many bytes of messages may wait for commits before we stop reading from their client.
WAITING_LIMIT = 8 * 1024 * 1024


Handler = Callable[["Session", Event], None]


@implementer(ISubscriber)
@attrs.define(eq=False)
class Session:
    """One client of nsqd."""

    node: Node
    connection: Connection
    host: str
    address: str
    parser: Parser = attrs.field(init=False)
    state: int = INIT
    closed: bool = False
    #: The connection is lost: there is nobody to answer, and nothing to close.
    gone: bool = False
    subscription: Subscription | None = None
    #: What the client said of itself, and what is in effect for it.
    identity: Identify = attrs.field(init=False)
    settings: Settings = attrs.field(init=False)
    #: As the first IDENTIFY set them; a later one changes `settings` only (nsqd-tcp 7.6).
    delivery: Settings = attrs.field(init=False)
    identified: bool = False
    #: How near the client is; None unless that matters (nsqd-tcp section 11).
    locality: Locality | None = attrs.field(init=False)
    layering: Layering = attrs.Factory(Layering)
    #: What IDENTIFY has granted and is to be done when all answers are out.
    upgrade: Upgrade | None = None
    #: What the client may do; None: everything, there are no auth servers.
    admission: Admission | None = None
    #: What must come before the next command can be done, and whether the end waits behind that.
    waits_for: Deferred[None] | None = None
    end_waits: bool = False
    #: Messages published, by topic.
    published: dict[str, int] = attrs.Factory(dict)
    connect_time: float = attrs.field(init=False)
    #: When the last command was complete; the read deadline counts from here.
    last_command: float = attrs.field(init=False)
    _out: list[bytes] = attrs.Factory(list)
    _out_size: int = 0
    _gathering: bool = False
    _waiting: deque[bytes | Waiting] = attrs.Factory(deque)
    _waiting_size: int = 0
    #: How many messages of ours are published when the turn ends.
    put_off: int = 0
    _handlers: dict[Any, Handler] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        options = self.node.options
        self.parser = Parser(wire_limits(options), locked=options.tls_required != "false")
        self._handlers = EVENTS
        if self.node.admit is not None:
            self.admission = self.node.admit()
            self._handlers = CHECKED
            self.parser.announce_mpub = True
        self.identity = Identify(client_id=self.host, hostname=self.host)
        self.settings = self.delivery = Settings(
            msg_timeout=options.msg_timeout // MS,
            output_buffer_timeout=options.output_buffer_timeout // MS,
        )
        self.locality = FAR if options.topology_aware else None
        self.connect_time = self.last_command = self.node.clock.seconds()

    # Bytes in, bytes out.

    def receive(self, data: bytes) -> None:
        """Do all that one read brought, and send what comes of it in one write.

        Without data, go on with what had to wait.
        """
        if self.closed:
            return
        turn = self.node.turn
        if turn is not None:
            if is_single(self, data, turn):
                return
            if self.put_off:
                turn.finish()
        self._gathering = True
        handlers = self._handlers
        try:
            events = self.parser.feed(data) if data else self.parser.resume()
            while events:
                rest = iter(events)
                for event in rest:
                    handlers[event[0]](self, event)
                    if self.closed:
                        return
                self.last_command = self.node.clock.seconds()
                if self.upgrade is not None:
                    break
                events = self.parser.resume()
        except Later as later:
            wait(self, later, [event, *rest] if later.again else [*rest])
        except ProtocolError as error:
            self.fail(error)
        finally:
            if self.subscription is not None and not self.closed:
                if turn is None:
                    self.subscription.channel.pump()
                else:
                    turn.pump(self.subscription.channel)
            self._gathering = False
            self._flush()
            if self.upgrade is not None:
                self._begin_upgrade()

    def taken(self, topic: str, size: int, commit: Commit | None) -> None:
        """See `nsqtx.broker.turn.Publisher`."""
        self.put_off -= 1
        try:
            if commit is not None:
                self.wait_for_commit(Waiting(commit, frames.OK, "PUB", topic, 1, size))
                return
            published = self.published
            published[topic] = published.get(topic, 0) + 1
            if self._waiting:
                self._waiting.append(frames.OK)
            elif not self.gone:
                self.connection.write(frames.OK)
        except Exception as error:  # noqa: BLE001  # the others are not to blame
            self.connection.broken(error)

    def refused(self, error: Exception) -> None:
        """See `nsqtx.broker.turn.Publisher`."""
        self.put_off -= 1
        if self.closed:
            return
        if isinstance(error, (BrokerError, StorageError)):
            self.fail(refused("PUB", error))
            self._flush()
        else:
            self.connection.broken(error)

    def deliver(self, data: bytes, count: int) -> None:
        """Messages from the channel."""
        if self._gathering:
            self._out.append(data)
            self._out_size += len(data)
            if self._out_size > GATHER_LIMIT:
                self._flush()
        else:
            self.connection.write(data)

    def reply(self, data: bytes) -> None:
        """Send an answer, in the order of the commands."""
        if self._waiting:
            self._waiting.append(data)
        else:
            self._out.append(data)
            self._out_size += len(data)

    def _flush(self) -> None:
        out = self._out
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            self._out_size = 0
            self.connection.write(data)

    def fail(self, error: ProtocolError) -> None:
        """Send an error frame; close when it is fatal."""
        log.error("[{address}] - {error}", address=self.address, error=error)
        self.reply(frames.error(error.data))
        if error.fatal:
            self._close()

    def _close(self) -> None:
        """No more commands. Answers that wait for a commit are still sent, then it is the end."""
        self.closed = True
        self.parser.stop()
        self.node.sessions.pop(self, None)
        if self.subscription is not None:
            self.subscription.leave()
        if self.waits_for is not None:
            self.waits_for.cancel()
        if not self._waiting:
            self._flush()
            self.connection.close()

    # TLS and compression.

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.layering.tls

    @property
    def common_name(self) -> str:
        """The common name in the client's certificate; empty without one."""
        return self.layering.common_name

    def _begin_upgrade(self) -> None:
        """Add layers, unless answers from before them still wait for a commit."""
        upgrade = self.upgrade
        if self.closed or upgrade is None:
            return
        if self._waiting:
            self.connection.hold(True)
        else:
            self.upgrade = None
            self.connection.upgrade(upgrade)
            self.connection.hold(False)

    def upgraded(self) -> None:
        """All layers are there: go on with the commands."""
        self.parser.locked = self.parser.locked and not self.layering.tls
        self.parser.resume()
        self.last_command = self.node.clock.seconds()
        self.connection.upgraded()

    # Answers that wait for a commit.

    def wait_for_commit(self, entry: Waiting) -> None:
        """Keep an answer, and all behind it, until the log has made its messages safe."""
        if self.gone:
            return
        self._waiting.append(entry)
        self._waiting_size += entry.size
        if self._waiting_size > WAITING_LIMIT:
            self.connection.hold(True)
        entry.commit.add(self._committed)

    def _committed(self, _: StorageError | None) -> None:
        """A commit came, maybe not the one at the front of the queue."""
        if self.gone:
            return
        waiting = self._waiting
        while waiting:
            entry = waiting[0]
            if isinstance(entry, Waiting):
                if not entry.commit.done:
                    break
                self._waiting_size -= entry.size
                if entry.commit.error is not None:
                    waiting.clear()
                    self.fail(refused(entry.word, entry.commit.error))
                    return
                self.published[entry.topic] = self.published.get(entry.topic, 0) + entry.count
                entry = entry.answer
            waiting.popleft()
            self._out.append(entry)
        if self._waiting_size <= WAITING_LIMIT and self.upgrade is None:
            self.connection.hold(False)
        if self.closed and not waiting:
            self._flush()
            self.connection.close()
        elif not self._gathering:
            self._flush()
            self._begin_upgrade()

    # Commands.

    def _on_fin(self, event: Event) -> None:
        finish(self, event[1])

    def _on_line(self, event: Event) -> None:
        if self.parser.locked and event[1] != b"IDENTIFY":
            text = b"cannot " + event[1] + b" in current state (TLS required)"
            raise ProtocolError("E_INVALID", text)
        run(self, event[1], event[2])

    def _on_body(self, event: Event) -> None:
        _, word, body = event
        if word == b"AUTH":
            if self.admission is None:
                raise ProtocolError("E_AUTH_DISABLED", "AUTH disabled")
            self.admission.authenticate(self, body)
        first = not self.identified
        self.reply(frames.response(identify(self, body)))
        self.connection.negotiated(first)

    def _on_error(self, event: Event) -> None:
        raise event[1]

    def _on_too_long(self, event: Event) -> None:
        log.error("[{address}] - command line too long", address=self.address)
        self._close()

    def _on_magic(self, event: Event) -> None:
        log.info("CLIENT({address}): desired protocol magic '  V2'", address=self.address)

    # The connection.

    def heartbeat(self) -> None:
        """Send a heartbeat, whatever answers wait."""
        if not self.closed:
            self.connection.write(frames.HEARTBEAT)

    def set_blocked(self, blocked: bool) -> None:
        """The client stopped, or began again, to read."""
        subscription = self.subscription
        if subscription is not None:
            subscription.blocked = blocked
            if not blocked:
                subscription.channel.pump()

    def ended(self) -> None:
        """The client sends no more, or took too long: say so if it was inside a body."""
        if self.closed:
            return
        self._finish_turn()
        if self.waits_for is not None:
            self.end_waits = True
            return
        error = self.parser.eof()
        topic = self.parser.mpub_topic
        if error is None:
            self._close()
        elif topic is None:
            self.fail(error)
        else:
            self._end_in_mpub(topic, error)
        self._flush()

    def _finish_turn(self) -> None:
        """Have what we published answered before we close."""
        if self.put_off and self.node.turn is not None:
            self.node.turn.finish()

    def _end_in_mpub(self, topic: str, error: ProtocolError) -> None:
        try:
            bad_mpub(self, (commands.BAD_MPUB, topic, error))
        except ProtocolError as said:
            self.fail(said)

    def lost(self) -> None:
        """The connection is gone."""
        self.closed = self.gone = True
        self._waiting.clear()
        self._out.clear()
        if self.subscription is not None:
            self.subscription.leave()
            self.subscription = None  # it refers to us
        if self.waits_for is not None:
            self.waits_for.cancel()

    def dropped(self) -> None:
        """The channel is gone, or nsqd stops: close without a frame."""
        self._finish_turn()
        if not self.closed:
            self._close()

    def stats(self, topic: str = "") -> dict[str, Any]:
        """This client in ``/stats``; see `ISubscriber.stats`."""
        return client_stats(self, topic)


EVENTS: dict[Any, Handler] = {
    commands.MAGIC: Session._on_magic,
    commands.PUB: pub,
    commands.MPUB: mpub,
    commands.DPUB: dpub,
    commands.BAD_MPUB: bad_mpub,
    commands.FIN: Session._on_fin,
    commands.LINE: Session._on_line,
    commands.BODY: Session._on_body,
    commands.ERROR: Session._on_error,
    commands.TOO_LONG: Session._on_too_long,
}
#: Where there are auth servers. MPUB is checked at its line, before its body is read, and SUB is
#: a line as well.
CHECKED: dict[Any, Handler] = {
    **EVENTS,
    commands.PUB: checked("PUB", pub),
    commands.DPUB: checked("DPUB", dpub),
}
