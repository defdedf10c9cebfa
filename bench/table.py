"""The report of ``bench.run --json`` as the table of the documentation.

``python -m bench.table REPORT.json [SERVER]``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.measure import REFERENCE_CALL_NS
from bench.run import CEILING, OURS

__all__ = ["main", "rows"]

HEADS = (
    "case", "msg/s", "of the ceiling", "CPU us", "in calls", "p50 / p99 / p99.9 us", "else"
)  # fmt: skip


def rows(report: dict[str, Any], server: str) -> list[list[str]]:
    """The cells of each case that this server has run."""
    found = []
    for name, figures in report["cases"].items():
        if server not in figures:
            continue
        mine, ceiling = figures[server], figures.get(CEILING)
        latency = mine["latency"]
        shown = [f"{latency[each]:,.0f}" for each in ("p50", "p99", "p99.9") if each in latency]
        found.append(
            [
                name,
                f"{mine['rate']:,.0f}",
                f"{mine['rate'] / ceiling['rate']:.2f}" if ceiling else "",
                _short(mine["cpu_us"]),
                f"{mine['cpu_us'] * 1000 / report['call_ns']:,.0f}",
                " / ".join(shown),
                ", ".join(f"{note} {_short(value)}" for note, value in mine["notes"].items()),
            ]
        )
    return found


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def main(path: str, server: str = OURS) -> None:
    """Print it."""
    report = json.loads(Path(path).read_text(encoding="utf-8"))
    print(
        f"A Python call took {report['call_ns']:.0f} ns ({REFERENCE_CALL_NS:.0f} in the design).\n"
    )
    print(f"| {' | '.join(HEADS)} |")
    print("|---" + "|--:" * 4 + "|---" * 2 + "|")
    for cells in rows(report, server):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
