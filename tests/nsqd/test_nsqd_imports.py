"""An nsqd started on what an original nsqd left: everything comes, once, and nothing is deleted."""

from __future__ import annotations

import contextlib
import errno
from random import Random

import pytest

from nsqtx.interfaces import StorageError
from tests.support.disk import Killed, SimulatedDisk
from tests.support.diskqueue import SECOND, TIME, Original, Started, start, stored
from tests.support.storage import Now

#: What each channel has to deliver of `make_original`.
EXPECTED = {
    ("t", "c"): [b"c0", b"c1", b"c2", b"t0", b"t1"],
    ("t", "d"): [b"d0", b"t0", b"t1"],
    ("u", "c"): [b"u0"],
}


def make_original() -> Original:
    """Two topics with channels, each with messages of its own, in files of two messages."""
    original = Original(max_bytes_per_file=70)
    original.put("t", stored(5, b"t0"), stored(6, b"t1"))
    original.put("t:c", stored(0, b"c0"), stored(1, b"c1", 3), stored(2, b"c2"))
    original.put("t:d", stored(3, b"d0"))
    original.put("u:c", stored(4, b"u0"))
    for queue in ("t", "t:c", "t:d", "u", "u:c"):
        original.sync(queue)
    original.list_topics(t=["c", "d"], u=["c"])
    return original


def make_disk(original: Original | None = None) -> SimulatedDisk:
    disk = SimulatedDisk()
    (original or make_original()).on(disk)
    return disk


def delivered(started: Started) -> dict[tuple[str, str], list[bytes]]:
    """What every channel delivers."""
    return {
        (topic.name, channel): started.bodies(topic.name, channel)
        for topic in started.broker.topics.values()
        for channel in list(topic.channels)
    }


def restart(disk: SimulatedDisk, seed: int = 50, **power: Random | None) -> Started:
    """Start again some time after the end of the process, or of power."""
    disk.power_cut(**power) if power else disk.restart()
    return start(disk, seed=seed, now=Now(TIME / SECOND + 5000))


def test_every_channel_gets_its_own_and_the_topic_s() -> None:
    """A channel's queue is for it alone, a topic's for all of its channels, the older first."""
    started = start(make_disk())
    assert delivered(started) == EXPECTED
    assert started.reports == started.warnings == []


def test_timestamps_and_attempts_are_kept() -> None:
    """The next delivery counts on from what the original counted; ids are new and of ours."""
    started = start(make_disk())
    consumer = started.consume("t", "c")
    assert consumer.attempts == [1, 4, 1, 1, 1]
    assert len(set(consumer.ids)) == 5
    assert all(int(id, 16) & 1023 == 7 for id in consumer.ids)
    assert [int.from_bytes(record[8:16], "big") for record in consumer.records] == [
        TIME + number * 1_000_000 for number in (0, 1, 2, 5, 6)
    ]


def test_nothing_is_deleted() -> None:
    """Every file is there under its new name, byte for byte."""
    original = make_original()
    disk = make_disk(original)
    start(disk)
    for name, data in original.files.items():
        if name != "nsqd.dat":
            assert disk.read(f"{name}.imported") == data
            assert name not in disk.listdir("")
    assert disk.read("nsqd.dat") == original.files["nsqd.dat"], "it is written when nsqd runs"


@pytest.mark.parametrize("durability", ["memory", "os", "fsync"])
def test_a_second_start_has_the_same(durability: str) -> None:
    """Imported messages are as safe as others: after a kill or a power cut they are there once."""
    disk = make_disk()
    start(disk, durability)
    assert delivered(restart(disk)) == EXPECTED
    assert delivered(restart(disk, seed=60, random=None)) == EXPECTED


def test_what_is_published_next_comes_after() -> None:
    """A topic with imported messages is one like any other."""
    started = start(make_disk())
    for topic in ("t", "u"):
        started.broker.get_topic(topic).publish([b"new"])
    assert delivered(started) == {key: [*value, b"new"] for key, value in EXPECTED.items()}


def test_finished_messages_do_not_come_again() -> None:
    """A channel's holes are kept: what only another channel has is not read."""
    disk = make_disk()
    started = start(disk)
    topic = started.broker.topics["t"]
    consumer = started.consume("t", "d")
    for id in consumer.ids:
        topic.channels["d"].subscriptions[0].finish([id])
    topic.checkpoint()
    again = restart(disk)
    assert again.bodies("t", "d") == []
    assert again.bodies("t", "c") == EXPECTED["t", "c"]


def test_paused_topics_and_channels() -> None:
    """What is paused holds its messages: a topic for the channels that there will be."""
    disk = make_disk()
    text = disk.read("nsqd.dat").replace(b'"paused": false', b'"paused": true')
    disk.write("nsqd.dat", text)
    started = start(disk)
    assert [topic.depth for topic in started.broker.topics.values()] == [2, 0]
    assert set(map(tuple, delivered(started).values())) == {()}
    started = restart(disk)
    started.broker.topics["t"].get_channel("e")
    started.unpause()
    assert delivered(started) == {**EXPECTED, ("t", "e"): [b"t0", b"t1"]}


def test_a_topic_without_channels_holds() -> None:
    """The first channel gets what the topic had."""
    original = Original()
    original.put("t", stored(0, b"a"), stored(1, b"b"))
    original.sync("t")
    original.list_topics(t=[])
    started = start(make_disk(original))
    assert started.broker.topics["t"].depth == 2
    assert started.bodies("t", "first") == [b"a", b"b"]
    assert started.bodies("t", "second") == []


def test_without_nsqd_dat() -> None:
    """Topics and channels are those that have queues, empty ones too."""
    original = make_original()
    original.sync("t:empty")
    del original.files["nsqd.dat"]
    started = start(make_disk(original))
    assert delivered(started) == {**EXPECTED, ("t", "empty"): [b"t0", b"t1"]}
    assert "u" in started.broker.topics


def test_queues_that_nsqd_dat_does_not_name() -> None:
    """They are imported if there is a message in them, and else only renamed."""
    original = make_original()
    original.put("v:c", stored(7, b"v"))
    original.sync("t:empty")
    original.sync("w")
    disk = make_disk(original)
    assert delivered(start(disk)) == {**EXPECTED, ("v", "c"): [b"v"]}
    assert not [name for name in disk.listdir("") if name.endswith(".dat") and ":" in name]


def test_names_that_cannot_be_imported() -> None:
    """Their files are left alone, with a warning."""
    original = make_original()
    name = original.file("t#ephemeral:c")
    original.put("t#ephemeral:c", stored(8, b"x"))
    disk = make_disk(original)
    started = start(disk)
    assert disk.read(name) == original.files[name]
    assert started.warnings == [f"'{name}' is left alone: its topic or channel cannot be kept here"]


def test_damage_is_reported_once() -> None:
    """Whether or not a healthy message is left in the queue."""
    original = make_original()
    for name in (original.file("t:c"), original.file("t:d")):
        original.files[name] = bytes(10) + original.files[name][10:]
    started = start(make_disk(original))
    assert delivered(started) == {
        **EXPECTED,
        ("t", "c"): EXPECTED["t", "c"][1:],
        ("t", "d"): EXPECTED["t", "d"][1:],
    }
    assert sorted(report[:25] for report in started.reports) == [
        "t:c.diskqueue.000000.dat:",
        "t:d.diskqueue.000000.dat:",
    ]


def test_after_going_back_for_a_while() -> None:
    """The original ran again on the same data path: what it left is added to what was there."""
    disk = make_disk()
    start(disk)
    disk.restart()
    original = make_original()
    original.files = {}
    original.put("t:c", stored(9, b"later"))
    original.sync("t:c", read=(1, 31))
    original.list_topics(t=["c", "d"], u=["c"], v=[])
    original.on(disk)
    started = restart(disk)
    late = [b"c0", b"c1", b"c2", b"t0", b"t1", b"later"]
    assert delivered(started) == {**EXPECTED, ("t", "c"): late}
    assert f"{original.file('t:c', 1)}.imported.2" in disk.listdir("")


def test_many_messages_stay_on_disk() -> None:
    """A queue larger than a channel's memory is imported in pieces and left in the log."""
    original = Original(max_bytes_per_file=100_000)
    bodies = [b"%06d" % i + b"x" * 50 for i in range(6_000)]
    original.put("t:c", *(stored(i, body) for i, body in enumerate(bodies)))
    original.sync("t:c")
    original.list_topics(t=["c"])
    started = start(make_disk(original))
    channel = started.broker.topics["t"].channels["c"]
    assert channel.depth == channel.backend_depth == len(bodies)
    assert started.store.counters.append_count >= 3
    assert started.bodies("t", "c") == bodies


@pytest.mark.parametrize(("durability", "tear"), [("os", 0.0), ("fsync", 0.5)])
def test_killed_anywhere(durability: str, tear: float) -> None:
    """Wherever a kill ends an import, the next start has every message, once."""
    total = make_disk()
    start(total, durability)
    assert total.operations > 60
    for left in range(total.operations):
        disk = make_disk()
        disk.operations_left = left
        disk.tear = tear
        with pytest.raises(Killed):
            start(disk, durability)
        assert delivered(restart(disk)) == EXPECTED, left
        assert not [name for name in disk.listdir("") if name.endswith(".dat") and ":" in name]


def moments() -> list[int]:
    """When topic t is imported half, and when its checkpoint is written but not yet synced."""
    total = make_disk()
    start(total)
    first_append = next(
        number for number, (_, path) in enumerate(total.trace) if path.endswith(".log")
    )
    renamed = total.trace.index(("rename", "t.diskqueue.000000.dat"))
    checkpoint = max(
        number
        for number, (name, path) in enumerate(total.trace[:renamed])
        if name == "write_at" and "checkpoint" in path
    )
    return [first_append + 2, checkpoint + 1]


@pytest.mark.parametrize("left", moments(), ids=["half imported", "not yet renamed"])
def test_killed_again(left: int) -> None:
    """A kill while an import is taken back or completed changes nothing, nor does a power cut."""
    for again in range(40):
        for cut in (False, True):
            disk = make_disk()
            for run, operations in enumerate((left, again)):
                disk.operations_left = operations
                with contextlib.suppress(Killed):
                    start(disk, seed=10 + run, now=Now(TIME / SECOND + 2000 + run))
                disk.restart()
            started = restart(disk, random=None) if cut else restart(disk)
            assert delivered(started) == EXPECTED, again


@pytest.mark.parametrize("durability", ["os", "fsync"])
def test_power_cut_anywhere(durability: str) -> None:
    """The same when what was not synced is forgotten, or comes to the disk in part."""
    total = make_disk()
    start(total, durability)
    for left in range(total.operations + 1):
        disk = make_disk()
        disk.operations_left = left
        with contextlib.suppress(Killed):
            start(disk, durability)
        random = Random(left) if left % 3 == 0 else None
        assert delivered(restart(disk, random=random)) == EXPECTED, left


def test_a_full_disk() -> None:
    """At whatever byte it is full, the start fails with the reason, and the next one succeeds."""
    original = make_original()
    size = sum(map(len, original.files.values()))
    refusals = []
    for room in (*range(0, 1000, 37), *range(1000, 60_000, 6001)):
        disk = make_disk(original)
        disk.capacity = size + room
        try:
            start(disk)
        except StorageError as error:
            refusals.append(str(error))
        disk.capacity = None
        assert delivered(restart(disk)) == EXPECTED, room
    assert len(refusals) > 10
    assert all("no space left on device" in text for text in refusals)


@pytest.mark.parametrize("operation", ["open", "read", "read_at"])
def test_a_file_that_cannot_be_read(operation: str) -> None:
    """The start fails and names the file; nothing is lost."""
    disk = make_disk()
    disk.failures = {f"{operation} t:c.diskqueue": errno.EIO}
    with pytest.raises(StorageError, match=r"read /data/t:c\.diskqueue.*: input/output error"):
        start(disk)
    disk.failures.clear()
    assert delivered(restart(disk)) == EXPECTED
