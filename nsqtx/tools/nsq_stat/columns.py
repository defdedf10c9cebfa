"""Lines with the columns of the original, which scripts read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nsqtx.tools.nsq_stat.figures import Figures, report

__all__ = ["Columns"]

HEADER = (
    "------rate------+----------------depth----------------+--------------metadata---------------\n"
    "ingress  egress |   total     mem    disk inflt   def |     req     t-o         msgs clients\n"
)
#: Polls between two headers.
EVERY = 25


class Columns:
    """Writes a line for each poll but the first. ``seconds`` is what lies between two polls."""

    def __init__(self, write: Callable[[str], object], seconds: float) -> None:
        self._write = write
        self._seconds = seconds
        self._polls = 0
        self._before = Figures()

    def show(self, nodes: Mapping[str, Figures]) -> None:
        """These are the figures now, by nsqd."""
        if self._polls % EVERY == 0:
            self._write(HEADER)
        now = Figures.sum(nodes.values())
        if self._polls:
            self._write(self._line(now))
        self._polls += 1
        self._before = now

    def _line(self, now: Figures) -> str:
        told = report(self._before, now, self._seconds)
        rates = f"{told.ingress:7d} {told.egress:7d}"
        depths = f"{now.depth:7d} {now.depth - now.disk:7d} {now.disk:7d}"
        waiting = f"{now.in_flight:5d} {now.deferred:5d}"
        counts = f"{now.requeued:7d} {now.timed_out:7d} {now.messages:12d} {now.clients:7d}"
        return f"{rates} | {depths} {waiting} | {counts}\n"

    def trouble(self, text: str) -> bool:
        """Whether to go on although this went wrong: figures that miss a nsqd are of no use."""
        return False

    def close(self) -> None:
        """There is nothing to undo."""
