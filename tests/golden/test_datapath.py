"""Data paths that an original nsqd wrote: ours delivers what the original does, or more."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.golden.recordings import DATA
from tests.support.disk import SimulatedDisk
from tests.support.diskqueue import Started, start

RECORDINGS = sorted((DATA / "datapath").glob("*.json"))
FILES = "*.diskqueue.*"

#: What the original loses although it is on disk (first bytes of bodies), by recording and queue.
FOUND: dict[tuple[str, str], list[str]] = {
    # Behind a length that cannot be true.
    ("bad-length", "t:c"): ["message number 11"],
    # Without metadata the original overwrites all. Topic and channel have each message once: it
    # was handed on, which only the metadata of the topic would have said.
    ("kill9-nometa", "t:c"): sorted(2 * [f"message number {i:02}" for i in range(20)]),
    # A message larger than --max-msg-size is now, and the one behind it.
    ("smaller-max-msg-size", "t:c"): ["large yyy", "small 2"],
}


def start_on(path: Path) -> tuple[dict[str, Any], SimulatedDisk, Started]:
    """The recording, and an nsqd of ours that started on a copy of its data path."""
    recording = json.loads(path.read_text(encoding="utf-8"))
    disk = SimulatedDisk()
    with tarfile.open(path.with_suffix(".tar.gz")) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                disk.write(member.name.removeprefix("./"), file.read())
    flags = dict(flag.split("=") for flag in recording["read_with"])
    size = int(flags.get("--max-msg-size", 1024 * 1024))
    return recording, disk, start(disk, max_msg_size=size)


def delivered_by_the_original(recording: dict[str, Any]) -> dict[tuple[str, str], Counter[Any]]:
    """By topic and channel: timestamp, attempts and body of each message."""
    nsqd = recording["go_nsqd"]
    return {
        (entry["topic"], entry["channel"]): Counter(
            (message["timestamp"], message["attempts"], message["body"].encode("latin-1"))
            for message in entry["messages"]
        )
        for entry in [*nsqd["delivered"], *nsqd.get("delivered_after_sub", [])]
    }


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_deliveries(path: Path) -> None:
    """Every message that the original delivers comes, with its attempts, and those it loses."""
    recording, _, started = start_on(path)
    started.unpause()
    for (topic, channel), wanted in delivered_by_the_original(recording).items():
        got = Counter(started.messages(topic, channel))
        assert wanted - got == Counter()
        found = sorted(body.decode() for _, _, body in (got - wanted).elements())
        expected = FOUND.get((path.stem, f"{topic}:{channel}"), [])
        assert [text[: len(start)] for text, start in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_topics_and_channels(path: Path) -> None:
    """The same topics and channels are there, and what was paused is paused."""
    recording, _, started = start_on(path)
    if path.stem == "no-nsqd-dat":
        assert list(started.broker.topics["t"].channels) == ["c"], "ours come from the files"
        return
    assert {
        topic.name: (topic.paused, {c.name: c.paused for c in topic.channels.values()})
        for topic in started.broker.topics.values()
    } == {
        topic["name"]: (topic["paused"], {c["name"]: c["paused"] for c in topic["channels"]})
        for topic in recording["go_nsqd"]["topics"]
    }


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_files(path: Path) -> None:
    """Every file is kept; those that were imported have another name."""
    recording, disk, started = start_on(path)
    names = {name.removesuffix(".imported") for name in disk.listdir("")} - {"nsqd.topics"}
    assert names == {file["name"] for file in recording["files"]}
    left = [name for name in disk.listdir("") if name.endswith(".dat") and name != "nsqd.dat"]
    assert all(name.startswith("gone#ephemeral:kept") for name in left)
    assert len(started.warnings) == len(left)
