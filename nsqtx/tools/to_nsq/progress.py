"""How far a file is published, on a terminal. It needs the library rich."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["FileProgress"]


class FileProgress:
    """A bar; ``size`` is what is to be read, in bytes."""

    def __init__(self, console: Console, size: int) -> None:
        # Drawn by us alone: rich's own refreshing is a thread.
        self._progress = Progress(
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[records]} messages"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=size, records=0)
        self._progress.start()

    def show(self, done: int, records: int) -> None:
        """So many bytes are read, so many records published."""
        self._progress.update(self._task, completed=done, records=records)
        self._progress.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()
