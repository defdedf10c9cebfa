"""Sessions: commands in, bytes out, no transport."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.interfaces import StorageError
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.session import WAITING_LIMIT, Session
from nsqtx.nsqd.upgrade import Upgrade
from tests.support.lists import ListLog, ListStore


@attrs.define(eq=False)
class RecordingConnection:
    """Keeps what a session does to its connection."""

    data: list[bytes] = attrs.Factory(list)
    closed: bool = False
    held: bool = False
    negotiations: list[bool] = attrs.Factory(list)
    upgrades: list[Upgrade | None] = attrs.Factory(list)
    errors: list[Exception] = attrs.Factory(list)

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.data.append(data)

    def close(self) -> None:
        self.closed = True

    def hold(self, on: bool, reason: str = "held") -> None:
        self.held = on

    def negotiated(self, first: bool) -> None:
        self.negotiations.append(first)

    def upgrade(self, upgrade: Upgrade) -> None:
        self.upgrades.append(upgrade)

    def upgraded(self) -> None:
        self.upgrades.append(None)

    def broken(self, error: Exception) -> None:
        self.errors.append(error)


class Desk:
    """A node under a clock, and as many sessions as wanted."""

    def __init__(self, must_commit: bool = False, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.store = ListStore(must_commit=must_commit)
        self.broker = Broker(self.store, self.clock.seconds, Settings())
        self.node = Node(NsqdOptions(**options), self.broker, self.clock, self.clock.seconds())

    def open(self) -> tuple[Session, RecordingConnection]:
        connection = RecordingConnection()
        session = Session(self.node, connection, "1.2.3.4", "1.2.3.4:5")
        session.receive(b"  V2")
        return session, connection

    def log(self, topic: str) -> ListLog:
        return self.store.logs[topic]


def sized(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def frame(kind: int, data: bytes) -> bytes:
    return sized(kind.to_bytes(4, "big") + data)


OK = frame(0, b"OK")


def test_one_write_for_all_that_a_read_causes() -> None:
    """Answers and messages that one read leads to leave in one write, answers in order."""
    desk = Desk()
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 10\nPUB t\n" + sized(b"a") + b"PUB t\n" + sized(b"b") + b"NOP\n")
    (data,) = connection.data
    assert data.count(OK) == 3
    assert session.subscription is not None
    assert all(record in data for record, _ in session.subscription.in_flight.values())
    assert len(session.subscription.in_flight) == 2


def test_messages_for_others_leave_in_one_write_each() -> None:
    """A run of PUBs in one read is one write to the consumer."""
    desk = Desk()
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 10\n")
    publisher, _ = desk.open()
    publisher.receive((b"PUB t\n" + sized(b"a")) * 5)
    assert len(connection.data) == 2
    assert publisher.published == {"t": 5}


def test_fatal_errors_end_the_pipeline() -> None:
    """What stands behind a fatal error is not done; what stood before it is answered."""
    desk = Desk()
    session, connection = desk.open()
    session.receive(b"PUB t\n" + sized(b"a") + b"FOO\nPUB t\n" + sized(b"b"))
    assert b"".join(connection.data) == OK + frame(1, b"E_INVALID invalid command FOO")
    assert connection.closed
    session.receive(b"PUB t\n" + sized(b"c"))
    assert desk.broker.topics["t"].message_count == 1


def test_answers_keep_their_order_while_a_commit_is_awaited() -> None:
    """An answer that is ready waits behind one that waits for the disk; messages do not."""
    desk = Desk(must_commit=True)
    session, connection = desk.open()
    session.receive(b"SUB t#ephemeral c#ephemeral\nRDY 1\n")
    connection.data.clear()
    session.receive(b"PUB d\n" + sized(b"a") + b"PUB t#ephemeral\n" + sized(b"b"))
    data = b"".join(connection.data)
    assert OK not in data
    assert data.endswith(b"b")
    connection.data.clear()
    desk.log("d").commits.pop()(None)
    assert b"".join(connection.data) == OK + OK
    assert session.published == {"d": 1, "t#ephemeral": 1}


def test_a_failed_commit_is_a_fatal_error() -> None:
    """When the sync fails the publisher gets E_PUB_FAILED in the place of its OK."""
    desk = Desk(must_commit=True)
    session, connection = desk.open()
    session.receive(b"MPUB d\n" + sized((1).to_bytes(4, "big") + sized(b"a")))
    desk.log("d").commits.pop()(StorageError("sync d: input/output error"))
    text = b"E_MPUB_FAILED MPUB failed sync d: input/output error"
    assert b"".join(connection.data) == frame(1, text)
    assert connection.closed


def test_a_commit_comes_after_the_connection_is_lost() -> None:
    """Then nothing is said or done any more."""
    desk = Desk(must_commit=True)
    session, connection = desk.open()
    session.receive(b"PUB d\n" + sized(b"a"))
    session.lost()
    desk.log("d").commits.pop()(None)
    assert not connection.closed
    assert connection.data == []


def test_the_end_of_the_client_waits_for_commits() -> None:
    """A client that closes its sending side behind a PUB still gets the OK, then the end."""
    desk = Desk(must_commit=True)
    session, connection = desk.open()
    session.receive(b"PUB d\n" + sized(b"a"))
    session.ended()
    assert (connection.data, connection.closed) == ([], False)
    desk.log("d").commits.pop()(None)
    assert (connection.data, connection.closed) == ([OK], True)


def test_an_error_behind_a_waiting_publish_comes_after_its_ok() -> None:
    """OK and error keep the order of their commands, and then the connection closes."""
    desk = Desk(must_commit=True)
    session, connection = desk.open()
    session.receive(b"PUB d\n" + sized(b"a") + b"FOO\n")
    assert not connection.closed
    desk.log("d").commits.pop()(None)
    error = frame(1, b"E_INVALID invalid command FOO")
    assert (b"".join(connection.data), connection.closed) == (OK + error, True)


def test_s8_a_publisher_is_held_while_too_much_waits_for_the_disk() -> None:
    """Beyond a limit of bytes in commits we stop reading from the client, until they are done."""
    desk = Desk(must_commit=True)
    session, connection = desk.open()
    body = b"x" * 1_000_000
    for _ in range(WAITING_LIMIT // len(body)):
        session.receive(b"PUB d\n" + sized(body))
    assert not connection.held
    session.receive(b"PUB d\n" + sized(body))
    assert connection.held
    for commit in list(desk.log("d").commits):
        commit(None)
    assert not connection.held


def test_a_closed_session_takes_no_more_messages() -> None:
    """From the fatal error on, the channel delivers to others."""
    desk = Desk()
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 10\nFOO\n")
    assert connection.closed
    publisher, _ = desk.open()
    publisher.receive(b"PUB t\n" + sized(b"a"))
    assert desk.broker.topics["t"].channels["c"].depth == 1


def test_run_of_fins_reports_each_that_is_not_in_flight() -> None:
    """Bad FINs in a run get an error each and the connection is kept."""
    desk = Desk()
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 10\nPUB t\n" + sized(b"a"))
    assert session.subscription is not None
    (id,) = session.subscription.in_flight
    connection.data.clear()
    unknown = [b"%016x" % i for i in range(2)]
    session.receive(b"".join(b"FIN %b\n" % each for each in (unknown[0], id, unknown[1])))
    texts = [b"E_FIN_FAILED FIN %b failed ID not in flight" % each for each in unknown]
    assert b"".join(connection.data) == frame(1, texts[0]) + frame(1, texts[1])
    assert not connection.closed
    assert desk.broker.topics["t"].channels["c"].in_flight_count == 0


def test_second_identify_changes_what_is_shown_but_not_deliveries() -> None:
    """Deliveries go by the first IDENTIFY, TOUCH and the echo by the last (nsqd-tcp 7.6)."""
    desk = Desk()
    session, connection = desk.open()
    for timeout in (2000, 5000):
        body = b'{"msg_timeout":%d,"feature_negotiation":true}' % timeout
        session.receive(b"IDENTIFY\n" + sized(body))
    assert b'"msg_timeout":5000' in connection.data[-1]
    assert connection.negotiations == [True, False]
    session.receive(b"SUB t c\n")
    assert session.subscription is not None
    assert session.subscription.msg_timeout == 2 * 10**9


def test_bodies_are_asked_for_in_time() -> None:
    """A size that is too big is refused before the body has come."""
    desk = Desk(max_msg_size=10)
    session, connection = desk.open()
    session.receive(b"PUB t\n\x00\x00\x00\x0b")
    assert connection.data == [frame(1, b"E_BAD_MESSAGE PUB message too big 11 > 10")]
    assert desk.broker.topics == {}


def test_big_deliveries_are_cut_into_writes() -> None:
    """S8: a client with a large RDY and large messages is not sent gigabytes in one write."""
    desk = Desk(max_msg_size=10**6)
    publisher, _ = desk.open()
    desk.broker.get_topic("t").get_channel("c")
    for _ in range(20):
        publisher.receive(b"PUB t\n" + sized(b"x" * 900_000))
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 20\n")
    assert sum(map(len, connection.data)) > 20 * 900_000
    assert max(map(len, connection.data)) < 3 * 2**20


def test_the_first_identify_says_how_near_a_client_is() -> None:
    """A later one changes nothing; without the experiment distance is nothing."""
    experiment = ["topology-aware-consumption"]
    desk = Desk(topology_zone="z", topology_region="r", enable_experiment=experiment)
    ranks = []
    for bodies in ([], [b'{"topology_zone":"z"}', b"{}"], [b"{}", b'{"topology_zone":"z"}']):
        session, _ = desk.open()
        for body in bodies:
            session.receive(b"IDENTIFY\n" + sized(body))
        session.receive(b"SUB t c\n")
        assert session.subscription is not None
        ranks.append(session.subscription.locality.rank)
    assert ranks == [2, 0, 2]
    desk = Desk(enable_experiment=["something else"])
    session, _ = desk.open()
    session.receive(b"IDENTIFY\n" + sized(b"{}") + b"SUB t c\n")
    assert session.subscription is not None
    assert session.subscription.channel.local is None


@pytest.mark.parametrize(
    ("options", "field", "allowed", "refused"),
    [
        ({"max_heartbeat_interval": 5 * 10**9}, "heartbeat_interval", 5000, 5001),
        ({"max_output_buffer_size": 128}, "output_buffer_size", 128, 129),
        ({"min_output_buffer_timeout": 10**8}, "output_buffer_timeout", 100, 99),
        ({"max_output_buffer_timeout": 10**9}, "output_buffer_timeout", 1000, 1001),
        ({"max_msg_timeout": 3 * 10**9}, "msg_timeout", 3000, 3001),
        ({}, "sample_rate", 99, 100),
    ],
)
def test_options_limit_what_a_client_may_ask_for(
    options: dict[str, Any], field: str, allowed: int, refused: int
) -> None:
    """The value at the limit takes effect, one beyond it ends the connection."""
    desk = Desk(**options)
    session, connection = desk.open()
    session.receive(b"IDENTIFY\n" + sized(b'{"%s":%d}' % (field.encode(), allowed)))
    assert getattr(session.settings, field) == allowed
    assert connection.data[-1] == OK
    session.receive(b"IDENTIFY\n" + sized(b'{"%s":%d}' % (field.encode(), refused)))
    assert (
        b"E_BAD_BODY IDENTIFY %s (%d) is invalid"
        % (
            field.replace("_", " ").encode(),
            refused,
        )
        in connection.data[-1]
    )
    assert connection.closed


def test_a_message_times_out_after_what_its_client_asked_for() -> None:
    """At the first IDENTIFY; TOUCH goes by the latest (nsqd-tcp section 7.6)."""
    desk = Desk()
    session, _ = desk.open()
    for milliseconds in (1000, 7000):
        session.receive(b"IDENTIFY\n" + sized(b'{"msg_timeout":%d}' % milliseconds))
    session.receive(b"SUB t c\nRDY 2\nMPUB t\n" + sized(b"\0\0\0\2" + sized(b"a") + sized(b"b")))
    assert session.subscription is not None
    touched, other = session.subscription.in_flight
    session.receive(b"RDY 0\nTOUCH %b\n" % touched)
    desk.clock.advance(1.01)
    desk.broker.scan()
    assert list(session.subscription.in_flight) == [touched] != [other]
    desk.clock.advance(6)
    desk.broker.scan()
    assert not session.subscription.in_flight


def test_sampling_is_that_of_the_first_identify() -> None:
    """A later one is shown and has no effect on what is delivered."""
    desk = Desk()
    session, _ = desk.open()
    for rate in (1, 0):
        session.receive(b"IDENTIFY\n" + sized(b'{"sample_rate":%d}' % rate))
    session.receive(b"SUB t c\nRDY 2500\n")
    desk.broker.topics["t"].publish([b"x"] * 1000)
    assert session.subscription is not None
    assert session.subscription.message_count < 200
    assert session.subscription.channel.depth == 0
    assert session.stats()["sample_rate"] == 0


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (b"PUB t\n" + sized(b"x"), b"PUB"),
        (b"MPUB t\n" + sized(b"\0\0\0\1" + sized(b"x")), b"MPUB"),
        (b"MPUB t\n" + sized(b"\0\0\0\0"), b"MPUB"),
        (b"DPUB t 5\n" + sized(b"x"), b"DPUB"),
    ],
)
def test_publishing_is_refused_while_draining(command: bytes, word: bytes) -> None:
    """The client is told and let go; no topic is made. Consumers may come."""
    desk = Desk()
    desk.node.draining = True
    session, connection = desk.open()
    session.receive(command)
    assert connection.data == [frame(1, b"E_%b_FAILED %b failed draining" % (word, word))]
    assert connection.closed
    assert desk.broker.topics == {}
    session, connection = desk.open()
    session.receive(b"SUB t c\nRDY 1\n")
    assert connection.data == [OK]
