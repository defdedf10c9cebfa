"""The files of the pages: style sheet, script, icon. All are ours, and there are few."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from importlib.resources import files
from pathlib import Path

import attrs

__all__ = ["Asset", "Assets"]

#: Not left to the machine's table of types.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".map": "application/json",
    ".woff": "application/font-woff",
    ".woff2": "application/font-woff2",
    ".ttf": "application/font-sfnt",
    ".eot": "application/vnd.ms-fontobject",
}


@attrs.frozen
class Asset:
    """One file. ``version`` changes with what is in it."""

    data: bytes
    type: str
    version: str

    @classmethod
    def of(cls, name: str, data: bytes) -> Asset:
        """A file of that name with these contents."""
        suffix = Path(name).suffix
        kind = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return cls(data, kind, hashlib.sha256(data).hexdigest()[:12])


@cache
def _built_in() -> dict[str, Asset]:
    folder = files("nsqtx.nsqadmin") / "static"
    return {each.name: Asset.of(each.name, each.read_bytes()) for each in folder.iterdir()}


class Assets:
    """The files, from the package, or from a folder of somebody who works on them.

    :param folder: empty: those of the package.
    """

    def __init__(self, folder: str = "") -> None:
        self._folder = folder

    def find(self, name: str) -> Asset | None:
        """The file of a name without slashes; None: there is none."""
        if not self._folder:
            return _built_in().get(name)
        if "/" in name or "\\" in name or "\0" in name or name in ("", ".", ".."):
            return None
        try:
            return Asset.of(name, (Path(self._folder) / name).read_bytes())
        except OSError:
            return None

    def version(self, name: str) -> str:
        """What stands for the contents of a file in its URL."""
        asset = self.find(name)
        return asset.version if asset is not None else ""
