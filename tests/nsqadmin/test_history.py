"""The last hour, and the charts of it."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsqtx.nsqadmin.charts import chart, nice_top, shares, sparkline
from nsqtx.nsqadmin.history import HOUR, POINTS, STEP, History

KEY = ("topic", "t")
BEGIN = 1_700_000_000 // STEP * STEP


def test_an_hour_is_kept() -> None:
    """Oldest first; what is older is gone, what is not known is None."""
    history = History()
    for minute in range(90):
        history.begin(BEGIN + minute * 60)
        history.add(KEY, (float(minute), None, None))
    points = history.points(KEY, "depth")
    assert len(points) == POINTS == HOUR // STEP
    known = [point for point in points if point is not None]
    assert known == [float(minute) for minute in range(30, 90)]
    assert points[-1] == 89.0
    assert points[-2] is None
    assert history.points(KEY, "rate") == [None] * POINTS
    assert history.points(("topic", "other"), "depth") == [None] * POINTS
    assert history.until == BEGIN + 89 * 60


def test_within_a_point_the_mean_is_kept() -> None:
    """Of the polls in its twenty seconds."""
    history = History()
    for second, depth in ((0, 10.0), (5, 20.0), (10, 60.0)):
        history.begin(BEGIN + second)
        history.add(KEY, (depth, 0.0, None))
    assert history.points(KEY, "depth")[-1] == 30.0


def test_a_young_history_is_short() -> None:
    """What is shown of it in rows grows with it, up to an hour."""
    history = History()
    seen = []
    for minute in range(0, 80, 5):
        history.begin(BEGIN + minute * 60)
        history.add(KEY, (1.0, None, None))
        assert len(history.recent(KEY, "depth")) == history.minutes * 3
        seen.append(history.minutes)
    assert seen == [4, 12, 12, 20, 40, 40, 40, 40, *[60] * 8]


def test_rows_are_limited_and_forgotten() -> None:
    """Where there is no room for a new row, there is once an old one was not seen for an hour."""
    history = History(max_rows=2)
    history.begin(BEGIN)
    for name in ("a", "b", "c"):
        history.add(("topic", name), (1.0, 1.0, 1.0))
    assert len(history) == 2
    assert history.points(("topic", "c"), "depth")[-1] is None
    history.begin(BEGIN + HOUR)
    assert len(history) == 0
    history.add(("topic", "c"), (1.0, 1.0, 1.0))
    assert history.points(("topic", "c"), "depth")[-1] == 1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1000, width=32)), max_size=20))
def test_it_is_what_a_list_would_be(steps: list[tuple[int, float]]) -> None:
    """Whatever the gaps between the points."""
    history = History()
    slot, kept = BEGIN // STEP, {}
    for gap, value in steps:
        slot += gap
        kept[slot] = value
        history.begin(slot * STEP)
        history.add(KEY, (value, None, None))
    wanted = [kept.get(each) for each in range(slot - POINTS + 1, slot + 1)]
    assert history.points(KEY, "depth") == (wanted if steps else [None] * POINTS)


class Shapes(HTMLParser):
    """What is drawn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.drawn: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """An element."""
        self.drawn.append((tag, dict(attributes)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """All of a kind."""
        return [attributes for name, attributes in self.drawn if name == tag]


def test_a_sparkline() -> None:
    """A gap divides the line, a lonely point is a dot, and there is a text instead."""
    shapes = Shapes(sparkline([1.0, 2.0, None, 5.0, None, 3.0, 4.0], "Depth"))
    assert shapes.of("svg")[0]["aria-label"] == "Depth: now 4, most 5"
    assert len(shapes.of("polyline")) == 2
    assert len(shapes.of("circle")) == 1
    assert "nothing known yet" in sparkline([None] * 180, "Depth")


def test_a_sparkline_loses_no_peak() -> None:
    """However many points there are."""
    points: list[float | None] = [0.0] * 180
    points[77] = 1000.0
    line = Shapes(sparkline(points, "Depth")).of("polyline")[0]["points"]
    assert line is not None
    assert line.count(",") == 60
    assert ",2.0" in line


def test_a_chart() -> None:
    """Axes from zero to a round number, times in UTC; a title is text whatever is in it."""
    points = [1.0, *[None] * 176, 1.0, 42.0, 7.0]
    text = chart(points, "<Depth>", 1_700_000_000.0, "/s", "rate")
    assert "&lt;Depth&gt;" in text
    assert 'class="chart rate"' in text
    assert "<span>at most 42/s</span>" in text
    assert ">80</text>" in text
    assert ">22:13</text>" in text
    assert ">21:13</text>" in text


def test_messages_come_whole_and_rates_do_not() -> None:
    """Points are means: where that of a depth is less than one there was a message nevertheless."""
    points: list[float | None] = [*[None] * 177, 0.0, 2.25, 0.07]
    assert "<span>at most 3</span>" in chart(points, "Depth", 1_700_000_000.0)
    assert "<span>at most 2.25/s</span>" in chart(points, "Rate", 1_700_000_000.0, "/s")
    assert ": now 1, most 3" in chart(points, "Depth", 1_700_000_000.0)
    assert ": now 0.07/s, most 2.25/s" in chart(points, "Rate", 1_700_000_000.0, "/s")


def test_a_chart_begins_with_what_is_known() -> None:
    """Soon after the start an hour of nothing would hide what there is."""
    young: list[float | None] = [*[None] * 175, 1.0, 2.0, 3.0, 4.0, 5.0]
    text = chart(young, "Depth", 1_700_000_000.0)
    assert 'aria-label="Depth, last 4 minutes: now 5, most 5"' in text
    assert ">22:09</text>" in text
    older: list[float | None] = [*[None] * 60, *[1.0] * 120]
    assert "last 40 minutes" in chart(older, "Depth", 1_700_000_000.0)


@pytest.mark.parametrize(
    ("most", "top"), [(0, 4), (1, 4), (4.1, 8), (7, 8), (9, 10), (42, 80), (999, 1000), (1e6, 1e6)]
)
def test_axes_end_at_round_numbers(most: float, top: float) -> None:
    """So that each of four parts is one as well."""
    assert nice_top(most) == pytest.approx(top)


def test_shares() -> None:
    """Parts of a bar, and their percentages; of nothing there is no bar."""
    bar = Shapes(shares([("zone", 1), ("region", 3)]))
    assert [each["width"] for each in bar.of("rect")] == ["25.00", "75.00"]
    assert bar.of("svg")[0]["aria-label"] == "zone 25.00%, region 75.00%"
    assert shares([("zone", 0), ("region", 0)]) == ""
