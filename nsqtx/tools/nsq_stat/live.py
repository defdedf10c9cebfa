"""A table on a terminal that is drawn again at each poll. It needs the library rich."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nsqtx.tools.nsq_stat.figures import Figures, Report, report, reports

__all__ = ["LiveTable"]

#: The original's words, which are short: a terminal may have 80 columns.
_COLUMNS = [
    "ingress",
    "egress",
    "total",
    "mem",
    "disk",
    "inflt",
    "def",
    "req",
    "t-o",
    "msgs",
    "clients",
]


class LiveTable:
    """Draws a line for each nsqd, and one for all together. ``clock`` gives seconds.

    Rates are for the time since there were figures last, which may be several polls ago.
    """

    def __init__(self, console: Console, title: str, clock: Callable[[], float]) -> None:
        self._title = title
        self._clock = clock
        self._before: Mapping[str, Figures] = {}
        self._at = -inf
        self._trouble = ""
        # Drawn by us alone: rich's own refreshing is a thread.
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def show(self, nodes: Mapping[str, Figures]) -> None:
        """These are the figures now, by nsqd."""
        before, at = self._before, self._at
        self._before, self._at = nodes, self._clock()
        self._trouble = ""
        self._draw(before, self._at - at)

    def trouble(self, text: str) -> bool:
        """Whether to go on although this went wrong: it is shown, and the next poll may do."""
        self._trouble = text
        self._draw(self._before, inf)
        return True

    def close(self) -> None:
        """Leave the last table on the terminal."""
        self._live.stop()

    def _draw(self, before: Mapping[str, Figures], seconds: float) -> None:
        self._live.update(self._table(before, seconds), refresh=True)

    def _table(self, before: Mapping[str, Figures], seconds: float) -> Table:
        caption = Text(self._trouble, style="bold red") if self._trouble else None
        table = Table(title=Text(self._title), caption=caption, box=None, padding=(0, 0, 0, 1))
        table.add_column("nsqd", no_wrap=True)
        for name in _COLUMNS:
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        told = reports(before, self._before, seconds)
        for name in sorted(told):
            table.add_row(Text(name), *_cells(told[name]))
        if len(told) > 1:
            total = Figures.sum(self._before.values())
            same = [before.get(name, each) for name, each in self._before.items()]
            table.add_row("all", *_cells(report(Figures.sum(same), total, seconds)), style="bold")
        return table


def _cells(told: Report) -> list[str]:
    now = told.now
    values = (
        told.ingress,
        told.egress,
        now.depth,
        now.depth - now.disk,
        now.disk,
        now.in_flight,
        now.deferred,
        now.requeued,
        now.timed_out,
        now.messages,
        now.clients,
    )
    return [str(value) for value in values]
