"""Batches for one channel, and batches that come from one."""

from __future__ import annotations

import pytest

from nsqtx.interfaces import Batch, ChannelState, ITopicLog, StorageError, TopicState
from nsqtx.storage.batches import split_note, with_note
from nsqtx.storage.checkpoint import decode_checkpoint, encode_checkpoint
from tests.support.disk import SimulatedDisk
from tests.support.storage import (
    append,
    everything,
    make_records,
    make_state,
    make_store,
    read_all,
)

LONG = "t" * 64 + "/" + "c" * 64


def append_noted(log: ITopicLog, *bodies: bytes, due: int = 0, **note: str) -> Batch:
    """Append a batch with a channel or an origin."""
    first = log.end
    records = make_records(first, list(bodies))
    log.append(len(records), b"".join(records), due, **note)
    return Batch(first, records, due, **note)


@pytest.mark.parametrize("due", [0, 2**62 - 1])
@pytest.mark.parametrize(("channel", "origin"), [("c", ""), ("", LONG)])
def test_notes_come_back(due: int, channel: str, origin: str) -> None:
    """Beside any due time."""
    data, flagged = with_note(b"records", due, channel, origin)
    assert split_note(flagged, data) == (due, channel, origin, b"records")
    assert split_note(due, b"records") == (due, "", "", b"records")


@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_who_reads_what(durability: str) -> None:
    """What is for one channel is not read on, what comes from one is; both are found by position,
    and replayed with their notes, in whole or from the middle."""
    disk = SimulatedDisk()
    log = make_store(disk, durability).open("t")
    batches = [
        append(log, b"a", b"b"),
        append_noted(log, b"c", b"d", channel="c"),
        append_noted(log, b"e", b"f", origin=LONG),
        append_noted(log, b"g", channel="c", due=99),
        append(log, b"h"),
    ]
    ordinary = [batches[0], batches[2], batches[4]]
    assert read_all(log) == [record for batch in ordinary for record in batch.records]
    assert read_all(log, batches[2].first + 1) == [batches[2].records[1], batches[4].records[0]]
    records = [record for batch in batches for record in batch.records]
    assert log.fetch(range(batches[0].first, log.end)) == records
    assert everything(log) == batches
    for noted in (batches[1], batches[2]):
        half = everything(log, noted.first + 1)[0]
        assert half == Batch(noted.first + 1, noted.records[1:], 0, noted.channel, noted.origin)
    log.commit(lambda _: None)
    disk.restart()
    assert everything(make_store(disk, seed=2).open("t")) == batches


def test_they_do_not_wait_in_memory() -> None:
    """At durability memory they are written at once, after what was there before them."""
    disk = SimulatedDisk()
    log = make_store(disk, "memory").open("t")
    batches = [append(log, b"a"), append_noted(log, b"b", channel="c")]
    disk.restart()
    assert everything(make_store(disk, seed=2).open("t")) == batches


def test_a_disk_that_refuses_them() -> None:
    """Nothing of them is kept, and what waits in memory waits on."""
    disk = SimulatedDisk()
    log = make_store(disk, "memory").open("t")
    waiting = append(log, b"a")
    end = log.end
    disk.failures["write_at"] = 28
    with pytest.raises(StorageError):
        append_noted(log, b"b", channel="c")
    disk.failures.clear()
    assert log.end == end
    assert everything(log) == [waiting]
    noted = append_noted(log, b"c", origin="t/c")
    assert everything(log) == [waiting, noted]


def test_limits_in_checkpoints() -> None:
    """They stand after all the rest, so that older checkpoints, and older readers, miss nothing."""
    channels = [
        ChannelState("a", False, 0, [], [], 5, "dead"),
        ChannelState("b", True, 1, [(1, 2)], []),
        ChannelState("c", False, 0, [], [], 0, ""),
        ChannelState("d", False, 0, [], [], None, "x" * 64),
    ]
    held = ChannelState("", False, 0, [], [])
    state = TopicState(9, False, held, channels)
    assert decode_checkpoint(encode_checkpoint(1, state)) == state
    plain = make_state(9, "a", "b")
    assert b"dead" not in encode_checkpoint(1, plain)
    assert decode_checkpoint(encode_checkpoint(1, plain)) == plain
    longer, shorter = (
        encode_checkpoint(1, TopicState(9, False, held, some))[28:]
        for some in ([channels[0]], [ChannelState("a", False, 0, [], [])])
    )
    assert longer.startswith(shorter)
    assert len(longer) == len(shorter) + 15
