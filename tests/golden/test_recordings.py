"""Every recorded session of the original nsqd, replayed against ours.

The sessions sleep more than they work, so all of them run in a pool of threads, each with its own
daemon; a test waits for its own session and reports that one.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.golden.certificates import make_certificates
from tests.golden.forked import ForkServer
from tests.golden.recordings import Recording, adapted, load_recordings
from tests.golden.replay import replay

# More than the cores: most of a session is waiting. Few enough that timed ones stay punctual.
WORKERS = 10

RECORDINGS = load_recordings()

pytestmark = pytest.mark.timeout(280)


class Replays:
    """All selected sessions, being replayed in the background."""

    def __init__(self, recordings: list[Recording], work: Path, server: ForkServer) -> None:
        self._work = work
        self._server = server
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(WORKERS)
        # The longest first, so that none of them is left alone at the end.
        ordered = sorted(recordings, key=lambda recording: -recording.seconds)
        self.outcomes: dict[str, Future[None]] = {
            recording.id: self._pool.submit(self._replay, number, recording)
            for number, recording in enumerate(ordered)
        }

    def _certificates(self) -> Path:
        path = self._work / "certificates"
        with self._lock:
            if not path.exists():
                make_certificates(path)
        return path

    def _replay(self, number: int, recording: Recording) -> None:
        work = self._work / str(number)
        work.mkdir()
        replay(adapted(recording), work, self._certificates, self._server.launch)
        shutil.rmtree(work)

    def close(self) -> None:
        """Wait for what still runs; drop what has not begun."""
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def replays(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replays]:
    """The sessions that this run selected."""
    selected = [
        item.callspec.params["recording"]
        for item in request.session.items
        if "replays" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec")
    ]
    work = tmp_path_factory.mktemp("golden")
    with ForkServer(work) as server:
        running = Replays(selected, work, server)
        try:
            yield running
        finally:
            running.close()


@pytest.mark.parametrize("recording", [pytest.param(r, id=r.id) for r in RECORDINGS])
def test_recorded_session(recording: Recording, replays: Replays) -> None:
    """nsqd answers a recorded session with what was recorded, or as a listed difference says."""
    replays.outcomes[recording.id].result()
