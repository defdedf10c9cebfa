"""Files of a stopped nsqd damaged by hand: it starts, says what is wrong, and delivers the rest."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import attrs
import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.wireclient import Message, WireClient

#: Messages of an MPUB, which are one batch of the log.
BATCH = 10
TOTAL = 400
DEFERRED = range(TOTAL, TOTAL + 5)
SEGMENT = 32 * 1024
#: What stands before the body in a message frame, and the header of a batch before that.
FRAME, HEADER = 34, 36
FLAGS = (f"--max-bytes-per-file={SEGMENT}", "--msg-timeout=60s")


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported the daemons and forks one when it is started."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def body_of(number: int) -> bytes:
    return b"<%d>" % number + b"x" * 500


def number_of(message: Message) -> int:
    return int(message.body[1 : message.body.index(b">")])


def segments(path: Path) -> list[Path]:
    """Oldest first."""
    return sorted(path.glob("*.log"))


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def newest_checkpoint(path: Path) -> Path:
    return max(path.glob("checkpoint.*"), key=lambda file: file.stat().st_mtime_ns)


def extents(path: Path) -> dict[int, tuple[Path, int, int]]:
    """By number of message where its batch stands: segment, start and end."""
    found: dict[int, tuple[Path, int, int]] = {}
    for segment in segments(path):
        data = segment.read_bytes()
        at = {int(match[1]): match.start() for match in re.finditer(rb"<(\d+)>x", data)}
        for number in at:
            size = 1 if number in DEFERRED else BATCH
            first = number - number % size
            last = first + size - 1
            end = at[last] + len(body_of(last))
            found[number] = (segment, at[first] - FRAME - HEADER, end)
    return found


#: Changes files of a topic, and says where: the segment and its bytes that are gone or wrong.
Damage = Callable[[Path], list[tuple[Path, int, int]]]


def a_byte(path: Path) -> list[tuple[Path, int, int]]:
    segment = segments(path)[4]
    at = SEGMENT // 2
    write(segment, at, bytes([segment.read_bytes()[at] ^ 0xFF]))
    return [(segment, at, at + 1)]


def zeros(path: Path) -> list[tuple[Path, int, int]]:
    segment = segments(path)[5]
    write(segment, 10_000, bytes(9000))
    return [(segment, 10_000, 19_000)]


def the_end(path: Path) -> list[tuple[Path, int, int]]:
    """Of the last segment, in the middle of a message."""
    segment = segments(path)[-1]
    size = segment.stat().st_size
    with segment.open("r+b") as file:
        file.truncate(size - 100)
    return [(segment, size - 100, size)]


def an_older_end(path: Path) -> list[tuple[Path, int, int]]:
    segment = segments(path)[3]
    size = segment.stat().st_size
    with segment.open("r+b") as file:
        file.truncate(size // 3)
    return [(segment, size // 3, size)]


def a_segment(path: Path) -> list[tuple[Path, int, int]]:
    segment = segments(path)[4]
    segment.unlink()
    return [(segment, 0, 10 * SEGMENT)]


def the_first_segment(path: Path) -> list[tuple[Path, int, int]]:
    segment = segments(path)[0]
    segment.unlink()
    return [(segment, 0, 10 * SEGMENT)]


def the_last_segment(path: Path) -> list[tuple[Path, int, int]]:
    segment = segments(path)[-1]
    segment.unlink()
    return [(segment, 0, 10 * SEGMENT)]


def garbage(path: Path) -> list[tuple[Path, int, int]]:
    segment = segments(path)[2]
    size = segment.stat().st_size
    segment.write_bytes(bytes(range(256)) * (size // 256))
    return [(segment, 0, 10 * SEGMENT)]


def an_index(path: Path) -> list[tuple[Path, int, int]]:
    index = min(path.glob("*.idx"))
    index.write_bytes(b"nonsense")
    return []


def the_newest_checkpoint(path: Path) -> list[tuple[Path, int, int]]:
    checkpoint = newest_checkpoint(path)
    checkpoint.write_bytes(checkpoint.read_bytes()[:50])
    return []


def all_checkpoints(path: Path) -> list[tuple[Path, int, int]]:
    for checkpoint in path.glob("checkpoint.*"):
        checkpoint.unlink()
    return []


#: What the log says of each; nothing where what is left could be that of a kill, and
#: where the index is made again.
TABLE: list[tuple[Damage, str]] = [
    (a_byte, r"messages \d+ to \d+ are damaged"),
    (zeros, r"no batch in bytes \d+ to \d+"),
    (the_end, "are damaged|at its end are not a whole batch"),
    (an_older_end, r"no batch in bytes \d+ to \d+"),
    (a_segment, r"deleted by somebody, messages \d+ to \d+ are lost"),
    (the_first_segment, r"deleted by somebody, messages \d+ to \d+ are lost"),
    (the_last_segment, ""),
    (garbage, r"no batch in bytes \d+ to \d+"),
    (an_index, ""),
    (the_newest_checkpoint, "no good checkpoint, an older one counts"),
    (all_checkpoints, ""),
]
DAMAGES = {damage.__name__: damage for damage, _ in TABLE}
REPORTS = {damage.__name__: report for damage, report in TABLE}


@attrs.frozen
class Stopped:
    """A data path, and the messages that the channel of each topic had finished."""

    path: Path
    clean: bool
    finished: dict[str, set[int]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> list[Stopped]:
    """An nsqd with messages that wait, are in flight and deferred, the same in a topic for each

    damage: its files when it was stopped, and a copy from before, which a kill would have left.
    """
    path = tmp_path_factory.mktemp("data") / "nsqd"
    killed = path.with_name("killed")
    finished = {}
    with Daemon(path, *FLAGS, launch=forks.launch) as daemon, ExitStack() as stack:
        for topic in DAMAGES:
            post(daemon.http, f"/topic/create?topic={topic}")
            post(daemon.http, f"/channel/create?topic={topic}&channel=c")
            client = stack.enter_context(WireClient(daemon.tcp))
            for first in range(0, TOTAL, BATCH):
                client.publish_many(topic, [body_of(first + at) for at in range(BATCH)])
            for number in DEFERRED:
                client.publish_deferred(topic, 1000, body_of(number))
            client = stack.enter_context(WireClient(daemon.tcp))
            client.subscribe(topic, "c", ready=100)
            messages = client.read_messages(100)
            client.finish_all(messages[::2])
            finished[topic] = {number_of(message) for message in messages[::2]}
        time.sleep(1.5)  # until the next checkpoint
        shutil.copytree(path, killed)
        daemon.stop()
    return [Stopped(path, True, finished), Stopped(killed, False, finished)]


@pytest.fixture(params=[0, 1], ids=["stopped", "killed"])
def stopped(request: pytest.FixtureRequest, both: list[Stopped]) -> Stopped:
    """One of them."""
    chosen: int = request.param
    return both[chosen]


def channel(daemon: Daemon, topic: str) -> list[int]:
    """What /stats says of its channel: messages that wait, are in flight, and deferred."""
    found = json.loads(get(daemon.http, f"/stats?format=json&topic={topic}")[1])
    figures = found["topics"][0]["channels"][0]
    return [figures[each] for each in ("depth", "in_flight_count", "deferred_count")]


def consume(daemon: Daemon, topic: str) -> list[int]:
    """All there is; numbers of messages."""
    found: list[int] = []
    with WireClient(daemon.tcp) as client:
        client.subscribe(topic, "c", ready=2000)
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            try:
                message = client.read_message(0.02)
            except TimeoutError:
                if not any(channel(daemon, topic)):
                    break
            else:
                found.append(number_of(message))
                client.finish(message.id)
                until = time.monotonic() + 5.0
    return sorted(found)


def lost_by(path: Path, damage: Damage) -> set[int]:
    """Damage a topic; what was hit."""
    places = extents(path)
    hit = damage(path)
    return {
        number
        for number, (segment, start, end) in places.items()
        if any(segment == file and start < last and first < end for file, first, last in hit)
    }


@pytest.mark.timeout(120)
def test_damaged_by_hand(tmp_path: Path, stopped: Stopped, forks: ForkServer) -> None:
    """What was not hit comes, and nothing is waited for that is gone; then all goes on as ever."""
    path = tmp_path / "nsqd"
    shutil.copytree(stopped.path, path)
    lost = {
        topic: lost_by(path / "nsqd.topics" / topic, damage) for topic, damage in DAMAGES.items()
    }
    with Daemon(path, *FLAGS, launch=forks.launch) as daemon:
        for topic in DAMAGES:
            found = consume(daemon, topic)
            unfinished = {*range(TOTAL), *DEFERRED} - stopped.finished[topic]
            assert sorted(unfinished - lost[topic] - set(found)) == []
            if stopped.clean and "checkpoint" not in topic:
                assert found == sorted(unfinished - lost[topic])
            if REPORTS[topic]:
                assert re.search(rf"ERROR: nsqd\.topics/{topic}/.*({REPORTS[topic]})", daemon.log)
            assert channel(daemon, topic) == [0, 0, 0]
            assert post(daemon.http, f"/pub?topic={topic}", body_of(5000)) == (200, b"OK")
            assert consume(daemon, topic) == [5000]
            assert post(daemon.http, f"/pub?topic={topic}", body_of(5001)) == (200, b"OK")
        assert get(daemon.http, "/ping") == (200, b"OK")
        daemon.stop()
    with Daemon(path, *FLAGS, launch=forks.launch) as daemon:
        assert [consume(daemon, topic) for topic in DAMAGES] == [[5001]] * len(DAMAGES)
        assert "Traceback" not in daemon.log
