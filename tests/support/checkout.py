"""Copies of the project, and libraries that an environment without nsqtx borrows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

__all__ = ["borrowed", "not_of_the_project"]

_ROOT = Path(__file__).parents[2]
_IGNORED = shutil.ignore_patterns(
    ".git", ".venv", "*.egg-info", "build", "dist", "__pycache__", ".*_cache", ".hypothesis", "data"
)


def not_of_the_project(directory: str, names: list[str]) -> set[str]:
    """What a working copy has in a directory beside the project; for `shutil.copytree`."""
    ignored = _IGNORED(directory, names)
    # Recordings of the original are called data as well; only the one at the top is the README's.
    return ignored if Path(directory) == _ROOT else ignored - {"data"}


def borrowed() -> list[str]:
    """Where this interpreter has its libraries, without the checkout that it may run from."""
    places = [Path(place) for place in sys.path if place]
    return [str(place) for place in places if place.name in ("site-packages", "dist-packages")]
