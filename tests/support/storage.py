"""What tests of storage share: a clock, a thread that waits to be told, and records."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from nsqtx.interfaces import Batch, ChannelState, ITopicLog, Pending, StorageError, TopicState
from nsqtx.storage.store import Store
from nsqtx.storage.volume import Settings
from nsqtx.wire.frames import pack_records
from nsqtx.wire.guid import make_ids
from tests.support.disk import SimulatedDisk

__all__ = [
    "Answers",
    "Now",
    "Threads",
    "append",
    "everything",
    "make_records",
    "make_state",
    "make_store",
    "read_all",
]

#: About 2023, in seconds.
START = 1_700_000_000.0


class Now:
    """A clock that stands still until it is set."""

    def __init__(self, seconds: float = START) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


class Threads:
    """Runs what is given to a thread when the test says so, in order."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], Callable[[BaseException | None], None]]] = []

    def __call__(
        self, work: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        self.jobs.append((work, done))

    def run_one(self) -> None:
        """Do the oldest job."""
        work, done = self.jobs.pop(0)
        try:
            work()
        except (OSError, StorageError, RuntimeError) as error:
            done(error)
        else:
            done(None)

    def run(self) -> None:
        """Do all jobs, those that come from them too."""
        while self.jobs:
            self.run_one()


class Answers:
    """Collects what commits were answered."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str | None]] = []

    def to(self, name: str) -> Callable[[StorageError | None], None]:
        """A callback that notes the answer under a name."""
        return lambda error: self.got.append((name, None if error is None else str(error)))


def make_store(
    disk: SimulatedDisk,
    durability: str = "os",
    *,
    now: Now | None = None,
    threads: Threads | None = None,
    reports: list[str] | None = None,
    seed: int = 1,
    started: bool = True,
    **settings: float | dict[str, str],
) -> Store:
    """A store on that disk, started or not. Marks of segments are from the seed."""
    random = Random(seed)
    store = Store(
        disk,
        "/data",
        Settings(durability, **settings),  # type: ignore[arg-type]
        threads or Threads(),
        now or Now(),
        (reports if reports is not None else []).append,
        random.randbytes,
    )
    if started:
        store.start()
    return store


def make_records(first: int, bodies: list[bytes]) -> list[bytes]:
    """Records as a topic makes them."""
    return pack_records(bodies, make_ids(first, len(bodies), 1), 1234567890)


def append(log: ITopicLog, *bodies: bytes, due: int = 0) -> Batch:
    """Append a batch. Returns it."""
    first = log.end
    records = make_records(first, list(bodies))
    log.append(len(records), b"".join(records), due)
    return Batch(first, records, due)


def read_all(log: ITopicLog, start: int = 0, size: int = 4096) -> list[bytes]:
    """All ordinary records from ``start`` on, as a channel reads them."""
    records: list[bytes] = []
    position = start
    while position < log.end:
        some, following = log.read(position, log.end, size)
        assert following > position, "no progress"
        records += some
        position = following
    return records


def everything(log: ITopicLog, start: int = 0) -> list[Batch]:
    """All batches, as recovery reads them."""
    return list(log.replay(start))


def make_state(
    end: int,
    *names: str,
    clean: bool = False,
    pending: list[Pending] | None = None,
    ranges: list[tuple[int, int]] | None = None,
) -> TopicState:
    """A checkpoint with some channels."""
    held = ChannelState("", False, 0, [], [])
    channels = [ChannelState(n, False, 0, ranges or [], pending or []) for n in names]
    return TopicState(end, False, held, channels, clean)
