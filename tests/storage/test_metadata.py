"""nsqd.dat."""

from __future__ import annotations

import errno

import pytest

from nsqtx.interfaces import StorageError
from nsqtx.storage.metadata import (
    FILE_NAME,
    ChannelMetadata,
    Metadata,
    MetadataError,
    TopicMetadata,
    encode_metadata,
    read_metadata,
    write_metadata,
)
from tests.support.disk import Killed, SimulatedDisk
from tests.support.storage import make_store

TOPICS = [TopicMetadata("t", False, [ChannelMetadata("c", True)])]


def _read(data: bytes) -> tuple[Metadata | None, list[str]]:
    disk = SimulatedDisk()
    disk.write(FILE_NAME, data)
    warnings: list[str] = []
    return read_metadata(disk, "/data", warnings.append), warnings


def test_format() -> None:
    """The bytes are those of the original (engine section 7.1), with our mark at the end."""
    assert encode_metadata(TOPICS, "1.3.0") == (
        b'{"topics":[{"name":"t","paused":false,"channels":[{"name":"c","paused":true}]}],'
        b'"version":"1.3.0","nsqtx":1}'
    )


def test_empty_lists_are_null() -> None:
    """As Go has it, a list without entries is null."""
    assert encode_metadata([], "1") == b'{"topics":null,"version":"1","nsqtx":1}'
    assert b'"channels":null' in encode_metadata([TopicMetadata("t")], "1")


def test_ephemeral_names_are_left_out() -> None:
    """Neither ephemeral topics nor ephemeral channels are kept."""
    topics = [
        TopicMetadata("t#ephemeral", False, [ChannelMetadata("c")]),
        TopicMetadata("u", False, [ChannelMetadata("c#ephemeral")]),
    ]
    assert encode_metadata(topics, "1") == (
        b'{"topics":[{"name":"u","paused":false,"channels":null}],"version":"1","nsqtx":1}'
    )


def test_round_trip() -> None:
    """What was written is read, and known as ours."""
    assert _read(encode_metadata(TOPICS, "1.3.0")) == (Metadata(TOPICS, "1.3.0", True), [])


def test_a_file_of_the_original() -> None:
    """A file without our mark is read as well, and known as not ours."""
    data = b'{"topics":[{"name":"t","paused":true,"channels":null}],"version":"1.2.1"}\n'
    assert _read(data) == (Metadata([TopicMetadata("t", True)], "1.2.1", False), [])


@pytest.mark.parametrize("data", [b"null", b"{}", b'{"topics":null}', b' {"other":1} '])
def test_nothing_in_it(data: bytes) -> None:
    """An empty document is no error."""
    assert _read(data) == (Metadata([]), [])


def test_keys_in_any_case() -> None:
    """Go finds keys whatever their case, so the file may have been written by hand."""
    found, _ = _read(b'{"Topics":[{"NAME":"t","Paused":true}]}')
    assert found == Metadata([TopicMetadata("t", True)])


def test_invalid_names_are_skipped() -> None:
    """A topic or channel that may not be called so is left out with a warning."""
    found, warnings = _read(
        b'{"topics":[{"name":"a b"},{"name":"t","channels":[{"name":"$"},{"name":"c"},null]}]}'
    )
    assert found == Metadata([TopicMetadata("t", False, [ChannelMetadata("c")])])
    assert warnings == [
        "skipping creation of invalid topic a b",
        "skipping creation of invalid channel $",
        "skipping creation of invalid channel ",
    ]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "unexpected end of JSON input"),
        (b" \n", "unexpected end of JSON input"),
        (b"[]", "json: cannot unmarshal array into Go value of type nsqd.Metadata"),
        (
            b'{"topics":1}',
            "json: cannot unmarshal number into Go struct field Metadata.topics of type ",
        ),
        (
            b'{"topics":[true]}',
            "json: cannot unmarshal bool into Go struct field Metadata.topics of type ",
        ),
        (b'{"topics":[{"name":"t","paused":"yes"}]}', "json: cannot unmarshal string into Go"),
        (b'{"topics":[{"name":{}}]}', "json: cannot unmarshal object into Go struct field"),
        (b'{"topics":NaN}', "invalid character 'N' looking for beginning of value"),
        (b"[" * 100_000, ""),
        (b'{"topics"', ""),
        (b"\xff\xfe\xff", ""),
    ],
)
def test_what_cannot_be_used(data: bytes, text: str) -> None:
    """A file that is not a good one is fatal, with the original's text where it is known."""
    with pytest.raises(MetadataError) as caught:
        _read(data)
    assert str(caught.value).startswith(f"failed to parse metadata in /data/nsqd.dat - {text}")


def test_missing_and_unreadable() -> None:
    """No file is a fresh start; one that cannot be read is an error."""
    disk = SimulatedDisk()
    assert read_metadata(disk, "/data", print) is None
    disk.write(FILE_NAME, b"{}")
    disk.failures["read"] = errno.EIO
    with pytest.raises(MetadataError) as caught:
        read_metadata(disk, "/data", print)
    assert str(caught.value) == ("failed to read metadata from /data/nsqd.dat - input/output error")


@pytest.mark.parametrize("left", range(8))
def test_replaced_atomically(left: int) -> None:
    """After a kill or power cut at any moment the old file is there, or the new one."""
    disk = SimulatedDisk()
    volume = make_store(disk).volume
    write_metadata(volume, b"old", sync=True)
    disk.operations_left = left
    disk.tear = 0.5
    try:
        write_metadata(volume, b"the new one", sync=True)
        written = True
    except Killed:
        written = False
    disk.power_cut()
    assert disk.read(FILE_NAME) in ([b"the new one"] if written else [b"old", b"the new one"])


def test_a_full_disk() -> None:
    """When there is no room the old file stays, and nothing else does."""
    disk = SimulatedDisk()
    store = make_store(disk)
    write_metadata(store.volume, b"old", sync=False)
    disk.capacity = 5
    with pytest.raises(StorageError, match=r"write /data/nsqd\.dat: no space left on device"):
        write_metadata(store.volume, b"the new one", sync=False)
    assert disk.read(FILE_NAME) == b"old"
    assert sorted(disk.listdir("")) == ["nsqd.dat", "nsqd.topics"]
