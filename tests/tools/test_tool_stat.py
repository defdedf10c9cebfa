"""nsq_stat: polling, adding up, lines and the table."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.producers import Lookup, Producer
from nsqtx.cluster.stats import ChannelStats, Stats, TopicStats
from nsqtx.durations import SECOND
from nsqtx.tools.nsq_stat.columns import HEADER, Columns
from nsqtx.tools.nsq_stat.figures import Figures, report
from nsqtx.tools.nsq_stat.live import LiveTable
from nsqtx.tools.nsq_stat.options import NsqStatOptions, start_error
from nsqtx.tools.nsq_stat.poller import Poller, PollError, poll_again_and_again
from tests.support.logged import Logged


class Nsqd:
    """Answers /stats with one channel of so many messages, or fails."""

    def __init__(self, answer: int | Exception | None) -> None:
        self.answer = answer

    def stats(self, topic: str = "", *, include_clients: bool = True) -> Deferred[Stats]:
        """Of topic t and channel c. None: the topic is unknown."""
        assert (topic, include_clients) == ("t", False)
        if isinstance(self.answer, Exception):
            return fail(self.answer)
        if self.answer is None:
            return succeed(Stats())
        channels = [ChannelStats(channel_name="c", message_count=self.answer, client_count=1)]
        return succeed(Stats(topics=[TopicStats(topic_name="t", channels=channels)]))


class Lookupd:
    """Knows nsqd by their ports, or fails."""

    def __init__(self, *ports: int, error: ApiError | None = None) -> None:
        self.ports = ports
        self.error = error

    def lookup(self, topic: str) -> Deferred[Lookup]:
        """They all have the topic."""
        if self.error is not None:
            return fail(self.error)
        return succeed(
            Lookup(producers=[Producer(broadcast_address="h", http_port=p) for p in self.ports])
        )


def poll(
    nodes: Mapping[str, int | Exception | None], *lookupds: Lookupd, channel: str = "c"
) -> dict[str, Figures]:
    """What one poll brings."""
    poller = Poller(
        "t", channel, lambda address: Nsqd(nodes[address]), () if lookupds else nodes, lookupds
    )
    results: list[Any] = []
    Deferred.fromCoroutine(poller.poll()).addBoth(results.append)
    (result,) = results
    if isinstance(result, dict):
        return result
    raise result.value


def test_nsqd_that_are_named() -> None:
    """All of them; those without the topic do not count."""
    found = poll({"a": 3, "b": None, "c": 5})
    assert {name: each.messages for name, each in found.items()} == {"a": 3, "c": 5}


def test_nsqd_that_nsqlookupd_name() -> None:
    """Each once; one nsqlookupd that answers is enough, and who does not is in the log."""
    dead = Lookupd(error=ApiError("refused"))
    with Logged() as said:
        found = poll({"h:1": 3, "h:2": 4}, Lookupd(1), dead, Lookupd(1, 2))
    assert sorted(found) == ["h:1", "h:2"]
    assert said.lines == ["W WARNING: failed to query any nsqlookupd: refused"]


@pytest.mark.parametrize(
    ("nodes", "lookupds", "channel", "reason"),
    [
        ({"a": 1, "b": ApiError("gone")}, [], "c", "failed to get topic producers - .*: gone"),
        ({"h:1": ApiError("gone")}, [Lookupd(1)], "c", "failed to get nsqd stats - .*: gone"),
        ({"a": None}, [], "c", "failed to get nsqd stats - failed to query any nsqd: $"),
        ({}, [Lookupd(error=ApiError("no"))], "c", "failed to get topic producers - .*: no"),
        (
            {},
            [Lookupd(error=ApiError("no", code="TOPIC_NOT_FOUND"))],
            "c",
            "failed to get nsqd stats - failed to query any nsqd: $",
        ),
        ({"a": 1}, [], "x", r"failed to find channel\(x\) in stats metadata for topic\(t\)"),
    ],
)
def test_polls_that_fail(
    nodes: dict[str, Any], lookupds: list[Lookupd], channel: str, reason: str
) -> None:
    """A figure that is missing would make all sums wrong."""
    with pytest.raises(PollError, match=reason):
        poll(nodes, *lookupds, channel=channel)


def test_rates() -> None:
    """Toward zero; what was emptied counts as finished."""
    told = report(Figures(depth=10, messages=100), Figures(depth=5, messages=103), 2.0)
    assert (told.ingress, told.egress) == (1, 4)
    told = report(Figures(depth=0), Figures(depth=3), 2.0)
    assert (told.ingress, told.egress) == (0, -1)


def test_columns() -> None:
    """A header, a line for each poll but the first, the header again after 25."""
    out = io.StringIO()
    columns = Columns(out.write, 1.0)
    columns.show({"a": Figures(8, 3, 2, 1, 7, 6, 10, 1)})
    assert out.getvalue() == HEADER
    columns.show({"a": Figures(8, 3, 2, 1, 7, 6, 10, 1), "b": Figures(50, messages=50)})
    assert out.getvalue() == HEADER + (
        "     50       0 |      58      55       3     2     1 |"
        "       7       6           60       1\n"
    )
    for _ in range(24):
        columns.show({"a": Figures()})
    assert out.getvalue().count(HEADER) == 2
    assert not columns.trouble("gone")


class Screen:
    """A terminal of a fixed size, and what a table draws on it."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        console = Console(file=self.out, force_terminal=True, width=160, color_system=None)
        self.clock = Clock()
        self.table = LiveTable(console, "t / c", self.clock.seconds)

    def drawn(self) -> str:
        """What came since the last time."""
        text = self.out.getvalue()
        self.out.seek(0)
        self.out.truncate()
        return text


def test_the_live_table() -> None:
    """A line for each nsqd and one for all; trouble is shown, and goes when it is over."""
    screen = Screen()
    screen.table.show({"a:1": Figures(depth=8, disk=3, messages=1000)})
    drawn = screen.drawn()
    assert "t / c" in drawn
    assert "1000" in drawn
    assert "all" not in drawn
    screen.clock.advance(2.0)
    screen.table.show({"a:1": Figures(depth=8, messages=1100), "b:[x]": Figures(messages=5)})
    (both,) = [line for line in screen.drawn().splitlines() if "all" in line]
    assert both.split()[1] == "50"
    assert "1105" in both
    assert screen.table.trouble("gone [/bold]")
    assert "gone [/bold]" in screen.drawn()
    screen.clock.advance(2.0)
    screen.table.show({"a:1": Figures()})
    assert "gone" not in screen.drawn()
    screen.table.close()


def test_rates_after_a_poll_that_failed() -> None:
    """They are for all the time since the last one that did not."""
    screen = Screen()
    screen.table.show({"a:1": Figures(messages=1000)})
    screen.clock.advance(2.0)
    screen.table.trouble("gone")
    screen.clock.advance(2.0)
    screen.drawn()
    screen.table.show({"a:1": Figures(messages=1100)})
    (line,) = [line for line in screen.drawn().splitlines() if "a:1" in line]
    assert line.split()[1:3] == ["25", "25"]
    screen.table.close()


class Shown:
    """A display that counts."""

    def __init__(self, patient: bool) -> None:
        self.patient = patient
        self.polls = self.troubles = 0

    def show(self, nodes: Mapping[str, Figures]) -> None:
        """Count."""
        self.polls += 1

    def trouble(self, text: str) -> bool:
        """Count."""
        self.troubles += 1
        return self.patient


def run(display: Shown, nodes: dict[str, Any], count: int | None, clock: Clock) -> list[Any]:
    """Poll; how it ended is in the list, once it has."""
    poller = Poller("t", "c", lambda address: Nsqd(nodes[address]), nodes)
    results: list[Any] = []
    Deferred.fromCoroutine(poll_again_and_again(poller, display, 2.0, count, clock)).addBoth(
        results.append
    )
    return results


def test_so_many_reports() -> None:
    """One poll more than reports, and no waiting after the last."""
    clock, display = Clock(), Shown(False)
    results = run(display, {"a": 1}, 2, clock)
    clock.advance(2)
    assert results == []
    clock.advance(2)
    assert (display.polls, results) == (3, [None])
    assert clock.getDelayedCalls() == []


def test_trouble_ends_it_unless_the_display_goes_on() -> None:
    """A terminal shows the trouble and tries again."""
    clock, display = Clock(), Shown(False)
    nodes: dict[str, Any] = {"a": ApiError("gone")}
    (failure,) = run(display, nodes, None, clock)
    assert failure.check(PollError)
    display = Shown(True)
    results = run(display, nodes, 1, clock)
    nodes["a"] = 1
    clock.advance(2)
    clock.advance(2)
    assert (display.polls, display.troubles, results) == (2, 1, [None])


GOOD: dict[str, Any] = {"topic": "t", "channel": "c", "nsqd_http_address": ["h:1"]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"channel": ""}, "--topic and --channel are required"),
        ({"interval": 0}, "--interval should be positive"),
        ({"http_client_connect_timeout": 0}, "--http-client-connect-timeout should be positive"),
        ({"http_client_request_timeout": -1}, "--http-client-request-timeout should be positive"),
        ({"count": 0}, "--count should be positive"),
        ({"count": 1}, None),
        ({"nsqd_http_address": []}, "--nsqd-http-address or --lookupd-http-address required"),
        (
            {"lookupd_http_address": ["h:2"]},
            "use --nsqd-http-address or --lookupd-http-address not both",
        ),
        (
            {"nsqd_http_address": ["http://h:1"]},
            "--nsqd-http-address error - address should not contain scheme",
        ),
        ({"nsqd_http_address": ["httpd:1"]}, None),
        ({"interval": SECOND}, None),
    ],
)
def test_options(options: dict[str, Any], reason: str | None) -> None:
    """What cannot be is said."""
    assert start_error(NsqStatOptions(**{**GOOD, **options})) == reason
