"""Whatever others send, or leave on the disk, is read or refused, and nothing else happens."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.strangefiles import (
    HOW,
    Damage,
    damaged_data_path,
    known_options,
    metadata_of,
    takes_or_refuses,
)
from tests.support.streams import answers_for_nsqd, frames_for_a_client, same_frames

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
    frames_for_a_client(data, asked, subscribed)
    same_frames(data)


@FEW
@given(st.lists(st.one_of(st.binary(max_size=40), st.just(b"\0\0\0\2OK")), max_size=10))
def test_nsqd_takes_any_bytes_for_answers_of_nsqlookupd(data: list[bytes]) -> None:
    """They are answers, or the connection ends; who asked is told."""
    answers_for_nsqd(data)


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


@FEW
@given(st.data(), st.sampled_from(["nsqd", "nsqlookupd"]))
def test_option_files(data: st.DataObject, program: str) -> None:
    """Any value for any option is taken, or the file is refused, or nsqd does not start by it."""
    keys = known_options(program)
    chosen = data.draw(st.dictionaries(st.sampled_from(keys), values, max_size=4))
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in chosen.items())
    takes_or_refuses(program, text.encode())


@FEW
@given(st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode)))
@example(b"a = 1\nb = [")
@example(b"\xff")
def test_option_files_of_anything(data: bytes) -> None:
    """What is no TOML is refused."""
    takes_or_refuses("nsqd", data)


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
    metadata_of(data)


damages = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.floats(0, 1),
        st.sampled_from(HOW),
        st.binary(min_size=1, max_size=40),
    ),
    min_size=1,
    max_size=6,
)


@FEW
@given(damages, st.booleans())
def test_a_data_path_with_any_damage(damage: list[Damage], clean: bool) -> None:
    """The log opens, has nothing that was not written, in order, and goes on."""
    damaged_data_path(damage, clean)
