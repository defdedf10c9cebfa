"""A client that runs while a test does something to the daemons."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.interop.running import ROOT

__all__ = ["ClientRun"]

#: How long it may take to end, in seconds.
_PATIENCE = 60.0


class ClientRun:
    """A process with an input, and what it has said so far. Leaving it ends the process.

    :param place: where its output goes, to ``place.out`` and ``place.err``.
    """

    def __init__(self, place: Path, command: Sequence[str | Path]) -> None:
        self._out, self._err = place.with_suffix(".out"), place.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "NODE_PATH": os.environ.get("NSQTX_NODE_MODULES", "")},
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
            )
        assert self._process.stdin is not None
        self._input = self._process.stdin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._input.close()

    def give(self, *lines: bytes) -> None:
        """Write lines to its input."""
        self._input.write(b"".join(line + b"\n" for line in lines))
        self._input.flush()

    def finish(self) -> int:
        """End its input; the exit code."""
        self._input.close()
        return self._process.wait(_PATIENCE)

    def stop(self) -> int:
        """Ask it to stop; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_PATIENCE)

    @property
    def lines(self) -> list[bytes]:
        """What it has printed so far."""
        return self._out.read_bytes().splitlines()

    @property
    def log(self) -> str:
        """What it has said of troubles so far."""
        return self._err.read_text("utf-8", "replace")
