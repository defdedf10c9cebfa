"""Charts as SVG, drawn here: no script, no image to fetch, and a text for who cannot see them.

What they look like is in the style sheet; here are shapes and classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from nsqtx.nsqadmin.formats import clock_time, short
from nsqtx.nsqadmin.history import STEP, window

__all__ = ["chart", "nice_top", "shares", "sparkline"]

Points = Sequence[float | None]

#: Points of a sparkline: as many as its pixels can show.
SPARK_POINTS = 60
SPARK_WIDTH, SPARK_HEIGHT = 120, 24
WIDTH, HEIGHT = 560, 150
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 10, 26
#: Parts that both axes are divided into.
PARTS = 4


def nice_top(most: float) -> float:
    """The end of an axis, not less than ``most``, whose quarters are round numbers."""
    if most <= PARTS:
        return float(PARTS)
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= most * 0.999999)


def _squeezed(points: Points, count: int) -> list[float | None]:
    """Fewer points, each the largest of those it stands for, so that no peak is lost."""
    if len(points) <= count:
        return list(points)
    found: list[float | None] = []
    for index in range(count):
        start, end = index * len(points) // count, (index + 1) * len(points) // count
        known = [point for point in points[start:end] if point is not None]
        found.append(max(known) if known else None)
    return found


def _runs(points: Points) -> list[list[tuple[int, float]]]:
    """Points that follow each other without a gap."""
    runs: list[list[tuple[int, float]]] = [[]]
    for index, point in enumerate(points):
        if point is not None:
            runs[-1].append((index, point))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _shapes(
    points: Points, top: float, left: float, upper: float, width: float, height: float
) -> Markup:
    """Area and line of each run."""
    step = width / max(1, len(points) - 1)
    base = upper + height
    shapes = []
    for run in _runs(points):
        places = [
            f"{left + index * step:.1f},{base - min(point / top, 1.0) * height:.1f}"
            for index, point in run
        ]
        first, last = left + run[0][0] * step, left + run[-1][0] * step
        if len(run) == 1:
            x, y = places[0].split(",")
            shapes.append(f'<circle class="dot" cx="{x}" cy="{y}" r="1.5"/>')
            continue
        outline = " ".join(places)
        shapes.append(
            f'<polygon class="area" points="{first:.1f},{base} {outline} {last:.1f},{base}"/>'
            f'<polyline class="line" points="{outline}"/>'
        )
    return Markup("").join(Markup(shape) for shape in shapes)  # noqa: S704  # numbers alone


def _figure(point: float, unit: str) -> str:
    """A point in words. A rate has fractions; of messages there was one where the mean is less."""
    return f"{short(point if unit else math.ceil(point))}{unit}"


def _summary(points: Points, unit: str) -> str:
    known = [point for point in points if point is not None]
    if not known:
        return "nothing known yet"
    return f"now {_figure(known[-1], unit)}, most {_figure(max(known), unit)}"


def sparkline(points: Points, label: str, unit: str = "") -> Markup:
    """A line as large as a word."""
    few = _squeezed(points, SPARK_POINTS)
    known = [point for point in few if point is not None]
    shapes = _shapes(few, max([*known, 1e-9]), 1, 2, SPARK_WIDTH - 2, SPARK_HEIGHT - 4)
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}: {}">{}</svg>'
    ).format(SPARK_WIDTH, SPARK_HEIGHT, label, _summary(few, unit), shapes)


def chart(points: Points, title: str, until: float, unit: str = "", kind: str = "depth") -> Markup:
    """What is known of the last hour, with axes, up to the time ``until`` (seconds since 1970)."""
    known = next((index for index, point in enumerate(points) if point is not None), len(points))
    minutes = window(len(points) - known)
    points = points[-(minutes * 60 // STEP) :]
    most = max((point for point in points if point is not None), default=None)
    top = nice_top(most or 0.0)
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = []
    for line in range(PARTS + 1):
        y = TOP + height - height * line / PARTS
        text = short(top * line / PARTS)
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
                '<text class="tick" x="{}" y="{:.1f}">{}</text>'
            ).format(LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, text)
        )
    for part in range(PARTS + 1):
        x = LEFT + width * part / PARTS
        time = clock_time(until - minutes * 60 * (PARTS - part) / PARTS)
        place = {0: "start", PARTS: "end"}.get(part, "middle")
        parts.append(
            Markup('<text class="time {}" x="{:.1f}" y="{}">{}</text>').format(
                place, x, HEIGHT - 7, time
            )
        )
    parts.append(_shapes(points, top, LEFT, TOP, width, height))
    return Markup(
        '<figure class="chart {}"><figcaption>{} <span>{}</span></figcaption>'
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}, last {} minutes: {}">{}</svg></figure>'
    ).format(
        kind,
        title,
        f"at most {_figure(most, unit)}" if most is not None else "nothing known yet",
        WIDTH,
        HEIGHT,
        title,
        minutes,
        _summary(points, unit),
        Markup("").join(parts),
    )


def shares(parts: Sequence[tuple[str, int]]) -> Markup:
    """A bar of parts of a whole, each with a name."""
    total = sum(number for _, number in parts)
    if not total:
        return Markup("")
    x = 0.0
    shapes = []
    for index, (_, number) in enumerate(parts):
        width = 100.0 * number / total
        shapes.append(
            Markup('<rect class="part{}" x="{:.2f}" y="0" width="{:.2f}" height="10"/>').format(
                index, x, width
            )
        )
        x += width
    text = ", ".join(f"{name} {100 * number / total:.2f}%" for name, number in parts)
    return Markup(
        '<svg class="shares" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><title>{}</title>{}</svg>'
    ).format(text, text, Markup("").join(shapes))
