"""What one V1 connection asks for, and what it is answered (nsqlookupd section 3). No transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

from twisted.logger import Logger

from nsqtx.durations import format_duration
from nsqtx.nsqlookupd.entries import Full, Producer, Registration
from nsqtx.nsqlookupd.node import Node
from nsqtx.version import NSQ_VERSION
from nsqtx.wire import gojson
from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.lookup import (
    MAGIC_V1,
    Body,
    Line,
    LookupParser,
    Magic,
    parse_peer,
    v1_frame,
)
from nsqtx.wire.names import valid_name

__all__ = ["Connection", "Session"]

log = Logger(namespace="nsqlookupd.tcp")

OK = v1_frame(b"OK")
#: So many registrations of a connection that was lost are removed in one turn of the reactor.
SLICE = 50
#: Of what a client sent, so much is repeated in the log (characters).
LOGGED = 200


class Connection(Protocol):
    """What a session wants of its connection."""

    def write(self, data: bytes) -> None:
        """Send."""

    def close(self) -> None:
        """Close when all is sent."""


class Session:
    """One connection: from the magic to its loss. ``address`` is the remote one."""

    def __init__(self, node: Node, connection: Connection, address: str) -> None:
        self.node = node
        self.address = address
        #: The magic was right.
        self.opened = False
        self.closed = False
        self.producer: Producer | None = None
        self._connection = connection
        self._parser = LookupParser()
        self._answers: list[bytes] = []
        self._reason = "EOF"
        #: It was nsqlookupd that closed the connection, because it stops.
        self._dropped = False

    def receive(self, data: bytes) -> None:
        """Do what a read asks for; all answers go out together."""
        parser = self._parser
        parser.feed(data)
        try:
            while not self.closed and (event := parser.next()) is not None:
                if isinstance(event, Line):
                    self._command(event.word, event.params)
                elif isinstance(event, Body):
                    self._identify(event.data)
                else:
                    self._begin(event)
        except ProtocolError as error:
            self._refuse(error)
        self._flush()

    def ended(self) -> None:
        """The client sends no more."""
        if not self.closed:
            error = self._parser.end()
            if error is not None:
                self._refuse(error)
            self._flush()
            self._end()

    def dropped(self) -> None:
        """Close, without a word."""
        if not self.closed:
            self._reason = "closed"
            self._dropped = True
            self._end()

    def _end(self) -> None:
        if not self.closed:
            self.closed = True
            self._connection.close()

    def _flush(self) -> None:
        if self._answers:
            data = b"".join(self._answers)
            self._answers.clear()
            self._connection.write(data)

    def _refuse(self, error: ProtocolError) -> None:
        """Every error ends the connection (section 3.8)."""
        self._answers.append(v1_frame(error.data))
        self._reason = str(error)[:LOGGED]
        if error.code != "E_BAD_PROTOCOL":
            log.error("[{address}] - {error}", address=self.address, error=self._reason)
        self._flush()
        self._end()

    def _begin(self, magic: Magic) -> None:
        text = magic.data.decode("utf-8", "backslashreplace")
        log.info(
            "CLIENT({address}): desired protocol magic '{magic}'", address=self.address, magic=text
        )
        if magic.data != MAGIC_V1:
            log.error(
                "client({address}) bad protocol magic '{magic}'", address=self.address, magic=text
            )
            raise ProtocolError("E_BAD_PROTOCOL")
        self.opened = True

    # Commands.

    def _command(self, word: bytes, params: list[bytes]) -> None:
        command = _COMMANDS.get(word)
        if command is None:
            raise ProtocolError("E_INVALID", b"invalid command " + word)
        command(self, params)

    def _ping(self, params: list[bytes]) -> None:
        if self.producer is not None:
            elapsed = self.node.registry.touch(self.producer)
            log.info(
                "CLIENT({address}): pinged (last ping {elapsed})",
                address=self.address,
                elapsed=format_duration(elapsed),
            )
        self._answers.append(OK)

    def _expect_identify(self, params: list[bytes]) -> None:
        if self.producer is not None:
            raise ProtocolError("E_INVALID", "cannot IDENTIFY again")
        self._parser.expect_body()

    def _identify(self, body: bytes) -> None:
        node = self.node
        info = parse_peer(body)
        log.info(
            "CLIENT({address}): IDENTIFY Address:{broadcast} TCP:{tcp} HTTP:{http} "
            "Version:{version}",
            address=self.address,
            broadcast=info.broadcast_address,
            tcp=info.tcp_port,
            http=info.http_port,
            version=info.version,
        )
        self.producer = Producer(self.address, info, node.now())
        node.registry.add(self.producer)
        self._log_registered([Registration("client")])
        answer = {
            "tcp_port": node.tcp_port,
            "http_port": node.http_port,
            "version": NSQ_VERSION,
            "broadcast_address": node.options.broadcast_address,
            "hostname": node.hostname,
        }
        self._answers.append(v1_frame(gojson.encode(answer)))

    def _register(self, params: list[bytes]) -> None:
        producer, topic, channel = self._names(b"REGISTER", params)
        try:
            made = self.node.registry.register(producer, topic, channel)
        except Full as error:
            raise ProtocolError("E_INVALID", f"REGISTER failed: {error}") from None
        self._log_registered(made)
        self._answers.append(OK)

    def _unregister(self, params: list[bytes]) -> None:
        producer, topic, channel = self._names(b"UNREGISTER", params)
        for each in self.node.registry.unregister(producer, topic, channel):
            self._log_change("UNREGISTER", each)
        self._answers.append(OK)

    def _names(self, word: bytes, params: list[bytes]) -> tuple[Producer, str, str]:
        """The producer, the topic and the channel, or an empty one, of a command."""
        if self.producer is None:
            raise ProtocolError("E_INVALID", "client must IDENTIFY")
        if not params:
            raise ProtocolError("E_INVALID", word + b" insufficient number of params")
        topic, channel = params[0], params[1] if len(params) > 1 else b""
        if not valid_name(topic):
            text = b"%b topic name '%b' is not valid" % (word, topic)
            raise ProtocolError("E_BAD_TOPIC", text)
        if channel and not valid_name(channel):
            text = b"%b channel name '%b' is not valid" % (word, channel)
            raise ProtocolError("E_BAD_CHANNEL", text)
        return self.producer, topic.decode("ascii"), channel.decode("ascii")

    # The log.

    def _log_registered(self, made: list[Registration]) -> None:
        for each in made:
            self._log_change("REGISTER", each)

    def _log_change(self, what: str, registration: Registration) -> None:
        # One field to format: with one for each word, this line would cost twice what it tells of.
        text = (
            f"DB: client({self.address}) {what} category:{registration.category} "
            f"key:{registration.key} subkey:{registration.subkey}"
        )
        log.info("{text}", text=text)

    # The end.

    def lost(self) -> None:
        """The connection is gone."""
        self.closed = True
        if not self.opened:
            return
        log.info("PROTOCOL(V1): [{address}] exiting ioloop", address=self.address)
        if self.producer is None:
            self._gone()
        else:
            removed = self.node.registry.remove(self.producer)
            self.node.work_off(self._removals(removed), self._gone)

    def _removals(self, removed: Iterator[Registration]) -> Iterator[None]:
        while some := list(islice(removed, SLICE)):
            for each in some:
                self._log_change("UNREGISTER", each)
            if len(some) == SLICE:
                yield

    def _gone(self) -> None:
        say = log.info if self._dropped else log.error
        say("client({address}) - {reason}", address=self.address, reason=self._reason)


_COMMANDS: dict[bytes, Callable[[Session, list[bytes]], None]] = {
    b"PING": Session._ping,
    b"IDENTIFY": Session._expect_identify,
    b"REGISTER": Session._register,
    b"UNREGISTER": Session._unregister,
}
