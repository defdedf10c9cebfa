"""Sessions on a reactor whose turns have an end: what is put off, and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nsqtx.broker.turn import Turn
from nsqtx.interfaces import StorageError
from nsqtx.nsqd.session import Session
from nsqtx.wire.frames import body_of
from tests.nsqd.test_session import OK, Desk, RecordingConnection, frame, sized
from tests.support.turns import ManualTurns

A = b"PUB t\n" + sized(b"a")
B = b"PUB t\n" + sized(b"b")


class TurningDesk(Desk):
    """One whose node has turns, which end when the test says so."""

    def __init__(self, must_commit: bool = False) -> None:
        super().__init__(must_commit)
        self.turns = ManualTurns()
        self.node.turn = Turn(self.broker, self.turns.at_turn_end)

    def end(self) -> None:
        self.turns.end()

    def publisher(self) -> tuple[Session, RecordingConnection]:
        """One that has published before, so that its next PUB is known by its line."""
        session, connection = self.open()
        session.receive(A)
        self.end()
        assert connection.data == [OK]
        connection.data.clear()
        return session, connection


def bodies(desk: Desk) -> list[list[bytes]]:
    """What was published, by batch."""
    return [list(map(body_of, batch.records)) for batch in desk.log("t").batches]


def test_publishers_share_a_batch() -> None:
    """A message each of two clients is one write to the log, and an OK for each, after it."""
    desk = TurningDesk()
    (one, first), (two, second) = desk.publisher(), desk.publisher()
    one.receive(B)
    two.receive(B)
    assert first.data == second.data == []
    desk.end()
    assert first.data == second.data == [OK]
    assert bodies(desk) == [[b"a"], [b"a"], [b"b", b"b"]]
    assert one.published == two.published == {"t": 2}


@pytest.mark.parametrize("more", [b"NOP\n", B + B, b"MPUB t\n" + sized(sized(b"x")), b"PU"])
def test_nothing_overtakes(more: bytes) -> None:
    """Whatever a client sends next is done after the message that was put off."""
    desk = TurningDesk()
    session, connection = desk.publisher()
    session.receive(B)
    session.receive(more)
    assert connection.data[0] == OK
    assert bodies(desk)[:2] == [[b"a"], [b"b"]]
    desk.end()
    assert b"".join(connection.data)[: len(OK)] == OK


@pytest.mark.parametrize("end", [Session.ended, Session.dropped])
def test_the_end_of_a_client(end: Callable[[Session], None]) -> None:
    """Who closes right behind a message gets its OK before we close."""
    desk = TurningDesk()
    session, connection = desk.publisher()
    session.receive(B)
    end(session)
    assert connection.data == [OK]
    assert connection.closed
    desk.end()
    assert bodies(desk) == [[b"a"], [b"b"]]


@pytest.mark.parametrize("must_commit", [False, True])
def test_a_lost_client(must_commit: bool) -> None:
    """The message of one that is gone is published; there is nobody to answer."""
    desk = TurningDesk(must_commit)
    session, connection = desk.open()
    session.receive(A)
    if must_commit:
        desk.log("t").commits.pop()(None)
    connection.data.clear()
    session.receive(B)
    session.lost()
    desk.end()
    if must_commit:
        desk.log("t").commits.pop()(None)
    assert connection.data == []
    assert bodies(desk) == [[b"a"], [b"b"]]


@pytest.mark.parametrize("error", [StorageError("no space left"), ZeroDivisionError()])
def test_a_lost_client_that_is_refused(error: Exception) -> None:
    """There is nobody to tell, whatever went wrong."""
    desk = TurningDesk()
    session, connection = desk.publisher()
    session.receive(B)
    session.lost()
    session.refused(error)
    assert (connection.data, connection.closed, connection.errors) == ([], False, [])


def test_a_refusal_closes() -> None:
    """The disk refuses: E_PUB_FAILED, as without turns (nsqd-tcp 5.2)."""
    desk = TurningDesk()
    session, connection = desk.publisher()
    desk.log("t").refuse = "no space left"
    session.receive(B)
    desk.end()
    assert connection.data == [frame(1, b"E_PUB_FAILED PUB failed no space left")]
    assert connection.closed


def test_a_bug_costs_one_connection() -> None:
    """What nobody expected is for the connection to deal with, and the others get their answers."""
    desk = TurningDesk()
    (one, first), (two, second) = desk.publisher(), desk.publisher()
    one.receive(B)
    two.receive(B)
    first.closed = True  # it fails to write now
    desk.end()
    assert [type(error) for error in first.errors] == [AssertionError]
    assert second.data == [OK]
    topic = desk.broker.topics["t"]
    topic.now = lambda: 1 // 0
    two.receive(B)
    desk.end()
    assert [type(error) for error in second.errors] == [ZeroDivisionError]


def test_answers_keep_their_order() -> None:
    """A put-off OK waits behind one that waits for a commit, and has a commit itself."""
    desk = TurningDesk(must_commit=True)
    session, connection = desk.open()
    session.receive(b"PUB e#ephemeral\n" + sized(b"x"))
    session.receive(A)
    session.receive(b"PUB e#ephemeral\n" + sized(b"y"))
    session.receive(b"PUB e#ephemeral\n" + sized(b"z"))
    desk.end()
    assert connection.data == [OK]
    desk.log("t").commits.pop()(None)
    assert b"".join(connection.data) == OK * 4


def test_a_commit_that_fails() -> None:
    """The error of a sync comes in the place of the OK."""
    desk = TurningDesk(must_commit=True)
    session, connection = desk.open()
    session.receive(A)
    desk.log("t").commits.pop()(None)
    connection.data.clear()
    session.receive(B)
    desk.end()
    desk.log("t").commits.pop()(StorageError("sync t: input/output error"))
    assert connection.data == [frame(1, b"E_PUB_FAILED PUB failed sync t: input/output error")]
    assert connection.closed


def test_draining() -> None:
    """A draining nsqd refuses at once."""
    desk = TurningDesk()
    session, connection = desk.publisher()
    desk.node.draining = True
    session.receive(B)
    assert connection.data == [frame(1, b"E_PUB_FAILED PUB failed draining")]


def test_consumers_are_served_when_the_turn_ends() -> None:
    """FINs of several consumers are followed by one look at the channel."""
    desk = TurningDesk()
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 1\n")
    publisher, _ = desk.publisher()
    publisher.receive(B)
    desk.end()
    assert session.subscription is not None
    assert len(session.subscription.in_flight) == 1
    (id,) = session.subscription.in_flight
    session.receive(b"FIN %b\n" % id)
    assert not session.subscription.in_flight
    desk.end()
    assert len(session.subscription.in_flight) == 1
    assert connection.data[-1].endswith(b"b")


def test_a_fin_of_something_else() -> None:
    """One FIN that is not in flight is answered as ever; the connection stays (nsqd-tcp 5.8)."""
    desk = TurningDesk()
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 1\n")
    connection.data.clear()
    session.receive(b"FIN 0123456789abcdef\n")
    text = b"E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight"
    assert connection.data == [frame(1, text)]
    assert not connection.closed
    session.receive(b"FIN 0123456789abcde\n")
    assert connection.data[1:] == [frame(1, b"E_INVALID invalid message ID")]


def test_a_publisher_that_consumes() -> None:
    """PUB and FIN on one connection, each alone in its read."""
    desk = TurningDesk()
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 1\n" + A)
    desk.end()
    assert session.subscription is not None
    for _ in range(3):
        (id,) = session.subscription.in_flight
        connection.data.clear()
        session.receive(B)
        session.receive(b"FIN %b\n" % id)
        desk.end()
        assert OK in connection.data
    assert session.subscription.finish_count == 3
    assert desk.broker.topics["t"].channels["c"].depth == 0


def test_one_refusal_ends_all() -> None:
    """Of two messages of one client in a turn that are refused, the first one's error is the last
    thing that it hears."""
    desk = TurningDesk()
    session, connection = desk.publisher()
    desk.log("t").refuse = "no space left"
    session.receive(B)
    session.receive(B)
    desk.end()
    assert connection.data == [frame(1, b"E_PUB_FAILED PUB failed no space left")]
    assert connection.closed
