"""Lines that say how long requests take."""

from __future__ import annotations

from nsqtx.tools.status import Statuses
from tests.support.logged import Logged


def test_a_line_when_the_next_one_begins() -> None:
    """With percentiles and the average of the last ones."""
    with Logged() as said:
        statuses = Statuses(["a"], 100)
        for number in range(1, 101):
            statuses.add("a", number / 1000)
        assert said.lines == []
        statuses.add("a", 1.0)
    assert said.lines == [
        "[aggregate]: finished 100 - 99th: 100.00ms - 95th: 97.00ms - avg: 50.50ms"
    ]


def test_several_hosts_have_lines_of_their_own() -> None:
    """Beside those of all together; few values are warned of, once for each."""
    with Logged() as said:
        statuses = Statuses(["a", "b"], 2)
        for host in "aaabb":
            statuses.add(host, 0.001)
    warnings, lines = said.lines[:3], said.lines[3:]
    assert set(warnings) == {
        "W Warning: use more than 100 status values for accurate percentiles (configured with 2)"
    }
    shown = "finished 2 - 99th: 1.00ms - 95th: 1.00ms - avg: 1.00ms"
    assert lines == [f"[aggregate]: {shown}", f"[a]: {shown}", f"[aggregate]: {shown}"]


def test_none() -> None:
    """0 turns them off."""
    with Logged() as said:
        statuses = Statuses(["a", "b"], 0)
        statuses.add("a", 1.0)
    assert said.lines == []
