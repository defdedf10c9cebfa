"""``nsqd.dat``: which topics and channels exist, in the original's format (engine section 7.1).

Ours has one more key at the end, ``"nsqtx":1``. The original ignores it, and from it we know that
the messages are in our logs and not in disk queues that have to be imported first.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import attrs

from nsqtx.interfaces import IFiles
from nsqtx.storage.volume import Volume, error_text
from nsqtx.wire.names import is_ephemeral, valid_name

__all__ = [
    "FILE_NAME",
    "ChannelMetadata",
    "DamagedMetadata",
    "Metadata",
    "MetadataError",
    "TopicMetadata",
    "decode_metadata",
    "encode_metadata",
    "read_metadata",
    "write_metadata",
]

FILE_NAME = "nsqd.dat"


class MetadataError(Exception):
    """``nsqd.dat`` cannot be used. The text is the one that the original logs."""


class DamagedMetadata(MetadataError):
    """What is in ``nsqd.dat`` makes no sense."""


@attrs.frozen
class ChannelMetadata:
    """A channel in ``nsqd.dat``."""

    name: str
    paused: bool = False


@attrs.frozen
class TopicMetadata:
    """A topic in ``nsqd.dat``."""

    name: str
    paused: bool = False
    channels: list[ChannelMetadata] = attrs.Factory(list)


@attrs.frozen
class Metadata:
    """What ``nsqd.dat`` says. ``ours``: nsqtx wrote it."""

    topics: list[TopicMetadata]
    version: str = ""
    ours: bool = False


def encode_metadata(topics: Iterable[TopicMetadata], version: str) -> bytes:
    """The file. ``#ephemeral`` topics and channels are left out, empty lists are null."""
    listed = [
        {
            "name": topic.name,
            "paused": topic.paused,
            "channels": [
                {"name": channel.name, "paused": channel.paused}
                for channel in topic.channels
                if not is_ephemeral(channel.name)
            ]
            or None,
        }
        for topic in topics
        if not is_ephemeral(topic.name)
    ]
    document = {"topics": listed or None, "version": version, "nsqtx": 1}
    return json.dumps(document, separators=(",", ":")).encode()


def decode_metadata(data: bytes, warn: Callable[[str], None]) -> Metadata:
    """Read the file; names that are not valid are skipped with a warning.

    :raises ValueError: it is not what it should be. The text is Go's where that is known.
    """
    if not data.strip():
        raise ValueError("unexpected end of JSON input")
    try:
        document = json.loads(data, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise _misfit(document, "value of type nsqd.Metadata")
    topics = []
    for entry in _field(document, "topics", list, "Metadata.topics", "[]nsqd.TopicMetadata"):
        topic = _object(entry, "Metadata.topics", "nsqd.TopicMetadata")
        name = _field(topic, "name", str, "TopicMetadata.topics.name", "string")
        paused = _field(topic, "paused", bool, "TopicMetadata.topics.paused", "bool")
        channels = _field(
            topic, "channels", list, "TopicMetadata.topics.channels", "[]nsqd.ChannelMetadata"
        )
        if not valid_name(name):
            warn(f"skipping creation of invalid topic {name}")
            continue
        topics.append(TopicMetadata(name, paused, _channels(channels, warn)))
    version = _field(document, "version", str, "Metadata.version", "string")
    return Metadata(topics, version, document.get("nsqtx") == 1)


def _channels(entries: list[Any], warn: Callable[[str], None]) -> list[ChannelMetadata]:
    channels = []
    where = "ChannelMetadata.topics.channels"
    for entry in entries:
        channel = _object(entry, where, "nsqd.ChannelMetadata")
        name = _field(channel, "name", str, f"{where}.name", "string")
        paused = _field(channel, "paused", bool, f"{where}.paused", "bool")
        if valid_name(name):
            channels.append(ChannelMetadata(name, paused))
        else:
            warn(f"skipping creation of invalid channel {name}")
    return channels


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"invalid character {text[0]!r} looking for beginning of value")


def _misfit(value: object, into: str) -> ValueError:
    return ValueError(f"json: cannot unmarshal {_kind(value)} into Go {into}")


def _kind(value: object) -> str:
    """What Go calls a JSON value that does not fit."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


def _object(value: object, where: str, go_type: str) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise _misfit(value, f"struct field {where} of type {go_type}")


def _field(document: dict[str, Any], key: str, kind: type, where: str, go_type: str) -> Any:
    """A value by its key, whose case does not matter; the empty one if missing or null."""
    value = None
    for found, candidate in document.items():
        if found.lower() == key:
            value = candidate
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise _misfit(value, f"struct field {where} of type {go_type}")
    return value


def read_metadata(files: IFiles, root: str, warn: Callable[[str], None]) -> Metadata | None:
    """Read ``nsqd.dat`` of the data path ``root``; None when there is none.

    :raises MetadataError: it cannot be read.
    :raises DamagedMetadata: it cannot be used.
    """
    try:
        data = files.read(FILE_NAME)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MetadataError(
            f"failed to read metadata from {root}/{FILE_NAME} - {error_text(error)}"
        ) from error
    try:
        return decode_metadata(data, warn)
    except ValueError as error:
        text = f"failed to parse metadata in {root}/{FILE_NAME} - {error}"
        raise DamagedMetadata(text) from error


def write_metadata(volume: Volume, data: bytes, sync: bool) -> None:
    """Replace ``nsqd.dat`` atomically; with ``sync`` it survives a power cut too.

    :raises StorageError: the disk refused, the old one is as it was.
    """
    files = volume.files
    temporary = f"{FILE_NAME}.{int.from_bytes(volume.mark(), 'big')}.tmp"
    try:
        file = files.open(temporary, create=True)
        try:
            file.write_at(data, 0)
            if sync:
                file.datasync()
        finally:
            file.close()
        files.rename(temporary, FILE_NAME)
        if sync:
            files.sync_directory("")
    except OSError as error:
        with contextlib.suppress(OSError):
            files.unlink(temporary)
        raise volume.refused("write", FILE_NAME, error) from error
