"""Clients under authorization: what waits for an auth server, and what does not."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from nsqtx.interfaces import StorageError
from nsqtx.nsqd.admission import Admission
from nsqtx.nsqd.auth import AuthError, AuthState, decode_answer
from nsqtx.nsqd.session import Session
from nsqtx.wire import gojson
from tests.nsqd.test_session import OK, Desk, RecordingConnection, frame, sized
from tests.support.authservers import ALL, AskedServers


class GuardedDesk(Desk):
    """A desk whose auth server is the test."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.servers = AskedServers()
        self.node.admit = lambda: Admission(self.servers)  # type: ignore[arg-type]

    def answer(self, **changes: Any) -> None:
        """Answer the last question."""
        self.question.callback(decode_answer(gojson.encode({**ALL, **changes})))

    @property
    def question(self) -> Deferred[AuthState]:
        answer: Deferred[AuthState] = self.servers.asked[-1][1]
        return answer

    def admitted(self, **changes: Any) -> tuple[Session, RecordingConnection]:
        """A client that has done its AUTH."""
        session, connection = self.open()
        session.receive(AUTH)
        self.answer(**changes)
        connection.data.clear()
        return session, connection


AUTH = b"AUTH\n" + sized(b"s3cret")
PUB = b"PUB t\n" + sized(b"a")
INTRODUCED = frame(0, b'{"identity":"me","identity_url":"http://id.example/","permission_count":1}')
FAILED = frame(1, b"E_AUTH_FAILED AUTH failed")


def said(connection: RecordingConnection) -> bytes:
    """All that was sent; forgotten then."""
    data = b"".join(connection.data)
    connection.data.clear()
    return data


def test_what_is_behind_auth_waits() -> None:
    """Nothing behind AUTH is done, and nothing is read, until the server has answered."""
    desk = GuardedDesk()
    session, connection = desk.open()
    session.receive(b"NOP\n" + AUTH + PUB + b"SUB t c\nRDY 1\n" + b"PUB t\n\0\0")
    assert connection.held
    session.receive(b"\0\1b")
    assert desk.broker.topics == {}
    client = desk.servers.asked[0][0]
    assert (client.secret, client.remote_ip, client.tls) == (b"s3cret", "1.2.3.4", False)
    desk.answer()
    assert not connection.held
    data = said(connection)
    assert data.startswith(INTRODUCED + OK + OK)
    assert data.endswith(b"a" + OK)
    assert session.published == {"t": 2}


def test_answers_to_auth() -> None:
    """No answer, or no authorization in it, closes the connection; a second AUTH does so, too."""
    desk = GuardedDesk()
    session, connection = desk.open()
    session.receive(AUTH + PUB)
    desk.question.errback(AuthError("x"))
    assert (said(connection), connection.closed) == (FAILED, True)
    session, connection = desk.open()
    session.receive(AUTH)
    desk.answer(authorizations=[])
    text = b"E_UNAUTHORIZED AUTH no authorizations found"
    assert (said(connection), connection.closed) == (frame(1, text), True)
    session, connection = desk.admitted()
    session.receive(AUTH)
    assert said(connection) == frame(1, b"E_INVALID AUTH already set")
    assert desk.broker.topics == {}


def test_auth_required_is_announced() -> None:
    """IDENTIFY says whether there are auth servers."""
    for desk, text in ((Desk(), b"false"), (GuardedDesk(), b"true")):
        session, connection = desk.open()
        session.receive(b"IDENTIFY\n" + sized(b'{"feature_negotiation":true}'))
        assert b'"auth_required":' + text in said(connection)


def test_mpub_is_refused_before_its_body() -> None:
    """The body of an MPUB is not waited for where its line is refused; its topic is not made."""
    desk = GuardedDesk()
    session, connection = desk.open()
    session.receive(b"MPUB t\n")
    assert said(connection) == frame(1, b"E_AUTH_FIRST AUTH required before MPUB")
    session, connection = desk.admitted(
        authorizations=[{"topic": "^u$", "channels": [".*"], "permissions": ["publish"]}]
    )
    session.receive(b"MPUB u\n" + sized((1).to_bytes(4, "big") + sized(b"a")))
    assert said(connection) == OK
    session.receive(b"MPUB t\n\xff")
    assert said(connection) == frame(1, b'E_UNAUTHORIZED AUTH failed for MPUB on "t" ""')
    assert list(desk.broker.topics) == ["u"]


def test_what_was_allowed_counts_until_it_expires() -> None:
    """Within the ttl nobody is asked; after it the same secret is sent before the next publish."""
    desk = GuardedDesk()
    session, connection = desk.admitted(ttl=10)
    desk.clock.advance(10)
    session.receive(PUB * 3)
    assert said(connection) == OK * 3
    assert len(desk.servers.asked) == 1
    desk.clock.advance(0.1)
    session.receive(PUB + b"NOP\nDPUB u 0\n" + sized(b"b"))
    assert len(desk.servers.asked) == 2
    assert desk.servers.asked[1][0].secret == b"s3cret"
    assert (said(connection), connection.held) == (b"", True)
    desk.answer(ttl=10)
    assert (said(connection), connection.held) == (OK + OK, False)
    assert len(desk.servers.asked) == 2
    assert desk.broker.topics["t"].message_count == 4


def test_each_publishing_command_and_sub_ask_again() -> None:
    """After the ttl every command that needs a right asks, and is done once."""
    one = sized((1).to_bytes(4, "big") + sized(b"a"))
    for command in (PUB, b"DPUB t 0\n" + sized(b"a"), b"MPUB t\n" + one, b"SUB t c\n"):
        desk = GuardedDesk()
        session, connection = desk.admitted(ttl=1)
        desk.clock.advance(2)
        session.receive(command)
        assert (said(connection), len(desk.servers.asked)) == (b"", 2)
        desk.answer()
        assert said(connection) == OK
        assert sum(session.published.values()) == (0 if command.startswith(b"SUB") else 1)


def test_expired_rights() -> None:
    """When the server does not answer, or takes the right away, the publish is refused."""
    desk = GuardedDesk()
    session, connection = desk.admitted(ttl=1)
    session.receive(PUB)
    desk.clock.advance(2)
    said(connection)
    session.receive(PUB + PUB)
    desk.question.errback(AuthError("x"))
    assert (said(connection), connection.closed) == (FAILED, True)
    for authorizations in ([], [{"topic": "u", "channels": [""], "permissions": ["publish"]}]):
        session, connection = desk.admitted(ttl=1)
        session.receive(PUB)
        desk.clock.advance(2)
        said(connection)
        session.receive(PUB)
        desk.answer(authorizations=authorizations)
        assert said(connection) == frame(1, b'E_UNAUTHORIZED AUTH failed for PUB on "t" ""')
    assert desk.broker.topics["t"].message_count == 3


def test_consumers_go_on_after_the_ttl() -> None:
    """A subscription outlives its right: messages come and are finished, nobody is asked."""
    desk = GuardedDesk()
    session, _ = desk.admitted(ttl=1)
    session.receive(b"SUB t c\nRDY 2\n")
    desk.clock.advance(100)
    publisher, _ = desk.admitted()
    publisher.receive(PUB)
    assert session.subscription is not None
    (id,) = session.subscription.in_flight
    session.receive(b"FIN %b\nRDY 1\nNOP\n" % id)
    assert not session.subscription.in_flight
    assert len(desk.servers.asked) == 2


def test_messages_and_heartbeats_go_out_meanwhile() -> None:
    """A consumer that asks again for a publish of its own gets messages while it waits."""
    desk = GuardedDesk()
    session, connection = desk.admitted(ttl=1)
    session.receive(b"SUB t c\nRDY 2\n")
    desk.clock.advance(2)
    said(connection)
    session.receive(PUB)
    publisher, _ = desk.admitted()
    publisher.receive(b"PUB t\n" + sized(b"b"))
    session.heartbeat()
    data = said(connection)
    assert b"_heartbeat_" in data
    assert OK not in data
    assert session.subscription is not None
    assert len(session.subscription.in_flight) == 1
    desk.servers.asked[1][1].callback(decode_answer(gojson.encode(ALL)))
    assert said(connection).endswith(b"a" + OK)


def test_answers_keep_their_order_behind_a_commit() -> None:
    """OKs that wait for the disk come before the answer that waited for an auth server."""
    desk = GuardedDesk(must_commit=True)
    session, connection = desk.admitted(ttl=1)
    session.receive(PUB)
    desk.clock.advance(2)
    session.receive(PUB + b"FOO\n")
    desk.question.errback(AuthError("x"))
    assert (said(connection), connection.closed) == (b"", False)
    desk.log("t").commits.pop()(None)
    assert (said(connection), connection.closed) == (OK + FAILED, True)


def test_a_failed_commit_while_asking() -> None:
    """When the disk fails a publish, the question that a later one waits for is given up."""
    desk = GuardedDesk(must_commit=True)
    session, connection = desk.admitted(ttl=1)
    cancelled = desk.question
    session.receive(PUB)
    desk.clock.advance(2)
    session.receive(PUB)
    assert desk.question is not cancelled
    desk.log("t").commits.pop()(StorageError("full"))
    assert (said(connection), connection.closed) == (
        frame(1, b"E_PUB_FAILED PUB failed full"),
        True,
    )
    assert session.waits_for is None
    assert desk.question.called


def test_the_connection_ends_while_asking() -> None:
    """Lost, or dropped by nsqd: the question is given up, and nothing is sent or done any more."""
    for end in (Session.lost, Session.dropped):
        desk = GuardedDesk()
        session, connection = desk.open()
        session.receive(AUTH + PUB)
        failures: list[Failure] = []
        desk.question.addErrback(failures.append)
        end(session)
        assert session.waits_for is None
        assert desk.question.called
        assert connection.data == []
        assert desk.broker.topics == {}
        assert connection.closed is (end is Session.dropped)
        assert not [each for each in failures if not each.check(CancelledError)]


def test_a_client_that_sends_no_more_still_gets_its_answers() -> None:
    """The end of the sending side waits behind the commands, and says where it was."""
    desk = GuardedDesk()
    session, connection = desk.open()
    session.receive(AUTH + PUB + b"PUB t\n\0\0")
    session.ended()
    assert (connection.data, connection.closed) == ([], False)
    desk.answer()
    error = frame(1, b"E_BAD_MESSAGE PUB failed to read message body size")
    assert said(connection) == INTRODUCED + OK + error
    assert connection.closed


def test_an_error_behind_a_question() -> None:
    """What the parser refused in the same read is answered in its turn."""
    desk = GuardedDesk()
    session, connection = desk.admitted(ttl=1)
    desk.clock.advance(2)
    session.receive(PUB + b"PUB a:b\nNOP\n")
    desk.answer()
    error = frame(1, b'E_BAD_TOPIC PUB topic name "a:b" is not valid')
    assert (said(connection), connection.closed) == (OK + error, True)


def test_identify_behind_a_question() -> None:
    """A barrier behind a publish that has to wait is still one."""
    desk = GuardedDesk()
    session, connection = desk.admitted(ttl=1)
    desk.clock.advance(2)
    session.receive(PUB + b"IDENTIFY\n" + sized(b"{}") + PUB)
    session.receive(b"NOP\n")
    desk.answer()
    assert said(connection) == OK * 3
    assert session.identified


def test_stats() -> None:
    """What the server said is shown from AUTH on, and nothing before."""
    desk = GuardedDesk()
    session, _ = desk.open()
    assert "authed" not in session.stats()
    session, _ = desk.admitted(identity_url="")
    shown = session.stats()
    assert (shown["authed"], shown["auth_identity"]) == (True, "me")
    assert "auth_identity_url" not in shown


def test_a_bug_costs_one_connection() -> None:
    """What goes wrong in an unforeseen way behind a question closes the connection."""
    desk = GuardedDesk()
    session, connection = desk.open()
    session.receive(AUTH)
    desk.question.errback(ZeroDivisionError())
    assert connection.closed
    assert session.closed
