"""Data paths that an original nsqd has written, on a real disk."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.golden.recordings import DATA

__all__ = ["bodies_of", "left_by_the_original"]


def left_by_the_original(name: str, directory: Path) -> Any:
    """Put a data path of the original into a directory; what the original itself made of it."""
    path = DATA / "datapath" / f"{name}.json"
    with tarfile.open(path.with_suffix(".tar.gz")) as archive:
        archive.extractall(directory, filter="data")
    return json.loads(path.read_text("utf-8"))["go_nsqd"]


def bodies_of(original: Any, topic: str, channel: str) -> Counter[bytes]:
    """What the original would have delivered."""
    (found,) = [
        each
        for each in original["delivered"]
        if (each["topic"], each["channel"]) == (topic, channel)
    ]
    return Counter(each["body"].encode("latin-1") for each in found["messages"])
