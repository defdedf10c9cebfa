"""to_nsq: cutting, batches, pace."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from nsqtx.tools.to_nsq.feeding import WINDOW, Feeding
from nsqtx.tools.to_nsq.options import ToNsqOptions, start_error
from nsqtx.tools.to_nsq.pace import Pace
from nsqtx.tools.to_nsq.progress import FileProgress
from nsqtx.tools.to_nsq.records import Records, batches


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=5)), st.sampled_from([b"\n", b"a", b"\0"]))
def test_any_cut_of_the_input_gives_the_same_records(pieces: list[bytes], delimiter: bytes) -> None:
    """What is between delimiters, unless it is empty; the last one needs none."""
    records = Records(delimiter)
    found = [record for piece in pieces for record in records.feed(piece)] + records.end()
    assert found == [part for part in b"".join(pieces).split(delimiter) if part]


def test_a_long_record_of_many_pieces() -> None:
    """Is put together once."""
    records = Records(b",")
    for _ in range(1000):
        assert records.feed(b"x" * 100) == []
    assert records.feed(b"y,z") == [b"x" * 100_000 + b"y"]
    assert records.end() == [b"z"]
    assert records.end() == []


def test_batches() -> None:
    """By count, by size; one that is too large goes alone."""
    records = [b"1", b"22", b"333", b"55555", b"1", b"1", b"1"]
    assert list(batches(records, 2, 4)) == [
        [b"1", b"22"],
        [b"333"],
        [b"55555"],
        [b"1", b"1"],
        [b"1"],
    ]
    assert list(batches([], 2, 4)) == []


class Nsqd:
    """Takes batches, at once or when told to."""

    def __init__(self, held: bool = False) -> None:
        self.batches: list[list[bytes]] = []
        self.waiting: list[Deferred[bytes]] = []
        self.held = held
        self.error: Exception | None = None

    def publish(self, batch: Sequence[bytes]) -> Deferred[bytes]:
        """Note it."""
        self.batches.append(list(batch))
        if self.error is not None:
            return fail(self.error)
        if not self.held:
            return succeed(b"OK")
        self.waiting.append(Deferred())
        return self.waiting[-1]

    @property
    def records(self) -> list[bytes]:
        """All of them."""
        return [record for batch in self.batches for record in batch]


class Input:
    """Pieces that are read one after the other, then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def read(self) -> Deferred[bytes]:
        """The next."""
        return succeed(self.pieces.pop(0) if self.pieces else b"")


def feed(
    nsqds: list[Nsqd], *pieces: bytes, rate: int = 0, clock: Clock | None = None
) -> tuple[Feeding, list[Any]]:
    """Publish these; how it ended is in the list, once it has."""
    clock = clock or Clock()
    pace = Pace(rate, clock.seconds) if rate else None
    feeding = Feeding(
        Input(*pieces).read, Records(b"\n"), [nsqd.publish for nsqd in nsqds], pace, clock
    )
    results: list[Any] = []
    Deferred.fromCoroutine(feeding.run()).addBoth(results.append)
    return feeding, results


def test_all_get_everything() -> None:
    """Also a last record without a delimiter."""
    nsqds = [Nsqd(), Nsqd()]
    feeding, results = feed(nsqds, b"one\ntw", b"o\n\nthree")
    assert results == [None]
    assert [nsqd.records for nsqd in nsqds] == [[b"one", b"two", b"three"]] * 2
    assert (feeding.published, feeding.bytes) == (3, 14)


def test_so_many_batches_at_a_time() -> None:
    """More wait for the OK of the first."""
    nsqd = Nsqd(held=True)
    feeding, results = feed([nsqd], *[b"x\n"] * (WINDOW + 5))
    assert len(nsqd.batches) == WINDOW
    assert feeding.published == 0
    nsqd.waiting[0].callback(b"OK")
    assert len(nsqd.batches) == WINDOW + 1
    nsqd.held = False
    for each in nsqd.waiting[1:]:
        each.callback(b"OK")
    assert results == [None]
    assert feeding.published == WINDOW + 5


def test_the_first_error_ends_it() -> None:
    """Nothing more is read."""
    nsqd = Nsqd()
    nsqd.error = OSError("refused")
    _, (failure,) = feed([nsqd], *[b"x\n"] * 50)
    assert failure.check(OSError)
    assert len(nsqd.batches) <= WINDOW


def test_a_pace_is_kept() -> None:
    """What comes due together goes together; an idle second is made up for."""
    clock = Clock()
    nsqd = Nsqd()
    _, results = feed([nsqd], b"x\n" * 350, rate=100, clock=clock)
    assert len(nsqd.records) == 1
    for _ in range(100):
        clock.advance(0.01)
    assert 99 <= len(nsqd.records) <= 101
    for _ in range(400):
        clock.advance(0.01)
    assert results == [None]
    assert len(nsqd.records) == 350
    assert clock.getDelayedCalls() == []


def test_a_slow_pace() -> None:
    """One each two seconds is possible."""
    clock = Clock()
    pace = Pace(0.5, clock.seconds)
    assert pace.take(5) == 1
    assert pace.take(5) == 0
    assert pace.wait == 2.0
    clock.advance(2.0)
    assert pace.take(5) == 1


def test_tokens_are_kept_for_a_second() -> None:
    """A burst after a pause is no longer than that."""
    clock = Clock()
    pace = Pace(10, clock.seconds)
    clock.advance(60)
    assert pace.take(100) == 10


def test_the_progress_of_a_file() -> None:
    """How much is read, how many are published."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    progress = FileProgress(console, 2_000_000)
    progress.show(1_000_000, 1234)
    progress.close()
    assert "1.0/2.0 MB" in out.getvalue()
    assert "1234 messages" in out.getvalue()


GOOD: dict[str, Any] = {"topic": "t", "nsqd_tcp_address": ["h:1"]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"topic": ""}, "--topic required"),
        ({"delimiter": "ab"}, "--delimiter must be a single byte"),
        ({"delimiter": ""}, "--delimiter must be a single byte"),
        ({"delimiter": "\udcff"}, None),
        ({"nsqd_tcp_address": []}, "--nsqd-tcp-address required"),
        ({"topic": "a:b"}, 'E_BAD_TOPIC PUB topic name "a:b" is not valid'),
        (
            {"producer_opt": [("tls_key", "x")]},
            "failed to create nsq.Producer - tls_cert and tls_key go together",
        ),
    ],
)
def test_options(options: dict[str, Any], reason: str | None) -> None:
    """What cannot be is said."""
    assert start_error(ToNsqOptions(**{**GOOD, **options})) == reason
