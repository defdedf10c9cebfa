"""Whatever others send, or leave on the disk, is read or refused, and nothing else happens."""

from __future__ import annotations

import json
import struct
from tempfile import NamedTemporaryFile
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nsqtx.client.config import ClientConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.interfaces import Batch, StorageError
from nsqtx.nsqd import options as nsqd_options
from nsqtx.nsqd.lookup_connection import LookupConnection
from nsqtx.nsqlookupd import options as nsqlookupd_options
from nsqtx.options import ConfigError, read_file, read_options
from nsqtx.storage.metadata import MetadataError, read_metadata
from tests.support.disk import SimulatedDisk
from tests.support.http import TcpTransport
from tests.support.logged import Logged
from tests.support.storage import Now, append, everything, make_state, make_store

FEW = settings(max_examples=60)


def frame(kind: int, data: bytes) -> bytes:
    """A frame of V2."""
    return struct.pack(">II", len(data) + 4, kind) + data


frames = st.builds(
    frame,
    st.integers(0, 3),
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from([b"OK", b"_heartbeat_", b"CLOSE_WAIT", b"E_INVALID no", b"{}"]),
    ),
)
#: Pieces of what a peer may send: frames, garbage, and frames that are cut short.
pieces = st.lists(
    st.one_of(frames, st.binary(max_size=30), st.builds(lambda f: f[:-1], frames)), max_size=12
)


@FEW
@given(pieces, st.integers(0, 4), st.booleans())
def test_a_client_takes_any_bytes_for_frames(
    data: list[bytes], asked: int, subscribed: bool
) -> None:
    """They are frames, or the connection ends; every request has an answer or a failure."""
    connection = NsqdConnection(
        "nsqd:4150", ClientConfig(client_id="c", hostname="h", max_msg_size=1000), Clock()
    )
    results: list[object] = []
    with Logged() as logged:
        connection.makeConnection(TcpTransport())
        if subscribed:
            connection.handshaken()
            connection.on_messages = lambda messages: None
        for _ in range(asked):
            request: Deferred[Any] = connection.request(b"NOP\n")
            request.addBoth(results.append)
        for piece in data:
            if not connection.closing:
                connection.dataReceived(piece)
        connection.connectionLost()
    assert logged.failures == []
    assert len(results) == asked


@FEW
@given(st.lists(st.one_of(st.binary(max_size=40), st.just(b"\0\0\0\2OK")), max_size=10))
def test_nsqd_takes_any_bytes_for_answers_of_nsqlookupd(data: list[bytes]) -> None:
    """They are answers, or the connection ends; who asked is told."""
    clock = Clock()
    results: list[object] = []
    connection = LookupConnection(clock, 1000)
    with Logged() as logged:
        connection.makeConnection(TcpTransport())
        asked: Deferred[Any] = connection.ask(b"IDENTIFY\n")
        asked.addBoth(results.append)
        for piece in data:
            connection.dataReceived(piece)
        connection.connectionLost()
    assert logged.failures == []
    assert len(results) == 1
    assert clock.getDelayedCalls() == []


values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(codec="ascii", exclude_characters='"\\\x7f', min_codepoint=32)),
        st.sampled_from(["1s", "60m", "fsync", "true", "127.0.0.1:4160", "tls1.2", "-1ms"]),
    ),
    lambda each: st.lists(each, max_size=3),
    max_leaves=4,
)


def read(cls: Any, data: bytes) -> Any:
    """The options in a file; None if it is refused."""
    with NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            return read_options(cls, {}, read_file(cls, file.name))
        except ConfigError:
            return None


DAEMONS = [
    (nsqd_options.NsqdOptions, nsqd_options.start_error),
    (nsqlookupd_options.NsqlookupdOptions, nsqlookupd_options.start_error),
]


@FEW
@given(st.data(), st.sampled_from(DAEMONS))
def test_option_files(data: st.DataObject, daemon: tuple[Any, Any]) -> None:
    """Any value for any option is taken, or the file is refused, or nsqd does not start by it."""
    cls, start_error = daemon
    keys = [each.metadata.get("key") or each.name for each in attrs.fields(cls)]
    chosen = data.draw(st.dictionaries(st.sampled_from(keys), values, max_size=4))
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in chosen.items())
    options = read(cls, text.encode())
    if options is not None:
        assert start_error(options) != ""


@FEW
@given(st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode)))
@example(b"a = 1\nb = [")
@example(b"\xff")
def test_option_files_of_anything(data: bytes) -> None:
    """What is no TOML is refused."""
    read(nsqd_options.NsqdOptions, data)


documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10)),
    lambda each: st.one_of(
        st.lists(each, max_size=3),
        st.dictionaries(
            st.sampled_from(["topics", "name", "channels", "paused", "version", "nsqtx", "x"]),
            each,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@FEW
@given(st.one_of(st.binary(max_size=60), documents.map(lambda d: json.dumps(d).encode())))
def test_nsqd_dat_of_anything(data: bytes) -> None:
    """It is read, or refused."""
    disk = SimulatedDisk()
    disk.write("nsqd.dat", data)
    try:
        assert read_metadata(disk, "/data", lambda text: None) is not None
    except MetadataError:
        pass


#: What happens to a file: where (as a share of it), and what stands there afterwards.
damages = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.floats(0, 1),
        st.sampled_from(["write", "cut", "insert", "zeros"]),
        st.binary(min_size=1, max_size=40),
    ),
    min_size=1,
    max_size=6,
)


@FEW
@given(damages, st.booleans())
def test_a_data_path_with_any_damage(
    damage: list[tuple[int, float, str, bytes]], clean: bool
) -> None:
    """The log opens, has nothing that was not written, in order, and goes on."""
    disk, now = SimulatedDisk(), Now()
    store = make_store(disk, now=now, segment_size=300)
    log = store.open("t")
    known: list[Batch] = [append(log, b"x" * (1 + i * 7 % 90), b"%d" % i) for i in range(9)]
    log.save(make_state(log.end, "c", clean=clean))
    if clean:
        log.close()
        store.close()
    names = sorted(disk.listdir("nsqd.topics/t"))
    for number, share, how, data in damage:
        path = f"nsqd.topics/t/{names[number % len(names)]}"
        old = disk.read(path)
        at = int(share * len(old))
        if how == "write":
            disk.write(path, old[:at] + data + old[at + len(data) :])
        elif how == "cut":
            disk.write(path, old[:at])
        elif how == "insert":
            disk.write(path, old[:at] + data + old[at:])
        else:
            disk.write(path, old[:at] + bytes(len(old) - at))
    disk.restart()
    now.seconds += 1
    log = make_store(disk, now=now, seed=2, segment_size=300).open("t")
    try:
        found = everything(log)
    except StorageError as error:
        pytest.fail(f"refused: {error}")
    assert [batch for batch in found if batch not in known] == []
    firsts = [batch.first for batch in found]
    assert firsts == sorted(set(firsts))
    log.load()
    after = append(log, b"after")
    assert everything(log) == [*found, after]
