"""Snappy and deflate: what is written, what is taken, and what it costs when it is hostile."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
import snappy  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from nsqtx.wire.codecs import CodecError, Decoder, Encoder, make_deflate, make_snappy

IDENTIFIER = b"\xff\x06\x00\x00sNaPpY"
#: An OK frame, and the chunk it is in (nsqd-tcp section 7.5).
OK_FRAME = bytes.fromhex("00000006000000004f4b")
OK_CHUNK = bytes.fromhex("010e000026982bcf00000006000000004f4b")
MiB = 1024 * 1024

MAKERS: dict[str, Callable[[], tuple[Encoder, Decoder]]] = {
    "snappy": make_snappy,
    "deflate": lambda: make_deflate(6),
}
codecs = st.sampled_from(sorted(MAKERS))

#: Pieces of traffic, as bytes and how often they are repeated: some compress, some do not, some are
#: longer than a snappy chunk.
pieces = st.lists(
    st.tuples(st.binary(max_size=200), st.sampled_from([1, 1, 2, 30, 1000])), max_size=5
)
# Other programs may have the machine to themselves for a while.
unhurried = settings(max_examples=50, deadline=None)


def expand(sent: list[tuple[bytes, int]]) -> list[bytes]:
    """The pieces themselves."""
    return [part * count for part, count in sent]


def chunk(kind: int, data: bytes) -> bytes:
    """A snappy chunk."""
    return bytes([kind]) + len(data).to_bytes(3, "little") + data


def chunks(stream: bytes) -> list[tuple[int, bytes]]:
    """Kinds and data of the chunks of a snappy stream."""
    found = []
    while stream:
        end = 4 + int.from_bytes(stream[1:4], "little")
        found.append((stream[0], stream[4:end]))
        assert len(stream) >= end
        stream = stream[end:]
    return found


def take(decoder: Decoder, data: bytes, limit: int = MiB) -> bytes:
    """All that a decoder has for these bytes."""
    plain = [decoder.feed(data, limit)]
    while decoder.pending:
        plain.append(decoder.feed(b"", limit))
    return b"".join(plain)


def split(data: bytes, seed: int) -> list[bytes]:
    """The bytes, cut at up to 8 places, some of them close together."""
    generator = random.Random(seed)
    places = [generator.randint(0, len(data)) for _ in range(4)]
    places += [min(len(data), place + 1) for place in places]
    edges = [0, *sorted(places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


# -- both --------------------------------------------------------------------------------------


@unhurried
@given(codec=codecs, sent=pieces, seed=st.integers(), limit=st.integers(1, 100_000))
def test_split_anywhere(codec: str, sent: list[tuple[bytes, int]], seed: int, limit: int) -> None:
    """However a stream is cut, it gives the same bytes, about ``limit`` of them at a time."""
    encoder, decoder = MAKERS[codec]()
    received = []
    for part in split(b"".join(map(encoder.encode, expand(sent))), seed):
        received.append(decoder.feed(part, limit))
        while decoder.pending:
            received.append(decoder.feed(b"", limit))
    assert b"".join(received) == b"".join(expand(sent))
    assert max(map(len, received)) < limit + 65536


@unhurried
@given(codec=codecs, sent=pieces)
def test_each_piece_arrives_whole(codec: str, sent: list[tuple[bytes, int]]) -> None:
    """What was encoded can be decoded at once, without anything that comes later."""
    encoder, decoder = MAKERS[codec]()
    for piece in expand(sent):
        assert take(decoder, encoder.encode(piece)) == piece


@unhurried
@given(codec=codecs, sent=pieces, seed=st.integers())
def test_truncated(codec: str, sent: list[tuple[bytes, int]], seed: int) -> None:
    """The first part of a stream gives the first part of its bytes, and is no error."""
    encoder, decoder = MAKERS[codec]()
    stream = b"".join(map(encoder.encode, expand(sent)))
    end = random.Random(seed).randint(0, len(stream))
    assert b"".join(expand(sent)).startswith(take(decoder, stream[:end]))


@unhurried
@given(codec=codecs, sent=pieces, seed=st.integers(), flipped=st.integers(1, 255))
def test_damaged(codec: str, sent: list[tuple[bytes, int]], seed: int, flipped: int) -> None:
    """A damaged stream raises `CodecError` or nothing."""
    encoder, decoder = MAKERS[codec]()
    stream = bytearray(b"".join(map(encoder.encode, expand(sent))) or b"x")
    stream[random.Random(seed).randrange(len(stream))] ^= flipped
    try:
        for part in split(bytes(stream), seed):
            take(decoder, part)
    except CodecError:
        pass


@unhurried
@given(codec=codecs, data=st.lists(st.binary(max_size=100), max_size=5), begun=st.booleans())
def test_garbage(codec: str, data: list[bytes], begun: bool) -> None:
    """Anything at all raises `CodecError` or nothing."""
    encoder, decoder = MAKERS[codec]()
    if begun:
        take(decoder, encoder.encode(b"begun"))
    try:
        for part in data:
            take(decoder, part)
    except CodecError:
        pass


@pytest.mark.parametrize("codec", MAKERS)
def test_byte_by_byte(codec: str) -> None:
    """A stream in reads of one byte is decoded."""
    encoder, decoder = MAKERS[codec]()
    plain = random.Random(1).randbytes(3000) + bytes(5000)
    stream = encoder.encode(plain)
    assert b"".join(take(decoder, bytes([byte])) for byte in stream) == plain


# -- snappy ------------------------------------------------------------------------------------


def test_snappy_ok() -> None:
    """The stream identifier is sent once, before the first frame."""
    encoder, _ = make_snappy()
    assert encoder.encode(OK_FRAME) == IDENTIFIER + OK_CHUNK
    assert encoder.encode(OK_FRAME) == OK_CHUNK


def test_snappy_kinds_and_sizes_of_chunks() -> None:
    """No chunk has more than 65536 plain bytes, and what hardly shrinks is not compressed."""
    encoder, _ = make_snappy()
    noise = random.Random(1).randbytes(100_000)
    found = chunks(encoder.encode(noise)) + chunks(encoder.encode(bytes(100_000)))
    assert [kind for kind, _ in found] == [0xFF, 1, 1, 0, 0]
    sizes = [len(data) - 4 for kind, data in found if kind == 1]
    sizes += [len(snappy.uncompress(data[4:])) for kind, data in found if kind == 0]
    assert sizes == [65536, 34464, 65536, 34464]
    # Zeros before noise, which take nearly no space: less than an eighth of it, and more.
    for zeros, kind in ((720, 1), (900, 0)):
        data = bytes(zeros) + noise[: 6400 - zeros]
        assert chunks(encoder.encode(data))[0][0] == kind


def test_snappy_identifier_again_and_skippable_chunks() -> None:
    """The identifier may come again, and chunks of the kinds 0x80 to 0xfe are passed over."""
    _, decoder = make_snappy()
    skipped = b"".join(chunk(kind, b"?" * (kind - 0x80)) for kind in range(0x80, 0xFF))
    stream = IDENTIFIER + IDENTIFIER + skipped + OK_CHUNK + skipped + IDENTIFIER + OK_CHUNK
    assert take(decoder, stream) == OK_FRAME * 2


def test_snappy_empty_chunks() -> None:
    """A chunk of data may have no plain bytes, compressed or not."""
    _, decoder = make_snappy()
    crc = (0xA282EAD8).to_bytes(4, "little")
    empty = chunk(1, crc) + chunk(0, crc + b"\0") + chunk(0, crc + b"\x80\x00")
    assert take(decoder, IDENTIFIER + empty) == b""
    assert take(decoder, empty + OK_CHUNK + empty) == OK_FRAME
    with pytest.raises(CodecError):
        take(decoder, chunk(1, b"\0\0\0\0"))


@pytest.mark.parametrize(
    "stream",
    [
        b"PUB topic\n",
        OK_CHUNK,
        chunk(0xFE, b"skip") + IDENTIFIER,
        b"\xff\x05\x00\x00",
        b"\xff\x07\x00\x00",
        b"\xff\x06\x00\x00SNAPPY",
        *(IDENTIFIER + bytes([kind, 1, 0, 0]) for kind in range(0x02, 0x80)),
        IDENTIFIER + chunk(0, b"crc"),
        IDENTIFIER + chunk(1, b"crc"),
        IDENTIFIER + chunk(0, b"crc!"),
        IDENTIFIER + chunk(0, b"crc!" + b"\x80" * 10),
        IDENTIFIER + chunk(1, b"\0\0\0\0" + OK_FRAME),
        IDENTIFIER + OK_CHUNK + chunk(0, OK_CHUNK[4:8] + b"\x0a\x00"),
        IDENTIFIER + chunk(0, OK_CHUNK[4:8] + snappy.compress(OK_FRAME)[:-1]),
    ],
)
def test_snappy_refused(stream: bytes) -> None:
    """What the format forbids, or does not know, or whose checksum is wrong, is refused."""
    with pytest.raises(CodecError):
        take(make_snappy()[1], stream)


@pytest.mark.parametrize("place", range(4, len(OK_CHUNK)))
def test_snappy_damaged_data(place: int) -> None:
    """No bit of a chunk's checksum or data can be turned unnoticed; heads have no checksum."""
    for bit in range(8):
        damaged = bytearray(OK_CHUNK)
        damaged[place] ^= 1 << bit
        with pytest.raises(CodecError):
            take(make_snappy()[1], IDENTIFIER + damaged)


@pytest.mark.parametrize("size", [65536, 65537])
@pytest.mark.parametrize("compressed", [False, True])
def test_snappy_plain_bytes_of_a_chunk(size: int, compressed: bool) -> None:
    """65536 plain bytes are allowed in a chunk, compressed or not, and one more is not."""
    plain = bytes(65536) if compressed else random.Random(1).randbytes(65536)
    stream = make_snappy()[0].encode(plain)
    kind, data = chunks(stream)[1]
    assert kind == (not compressed)
    if size > 65536:
        grown = snappy.compress(plain + b"x") if compressed else plain + b"x"
        stream = IDENTIFIER + chunk(kind, data[:4] + grown)
        with pytest.raises(CodecError, match="65537 plain bytes"):
            take(make_snappy()[1], stream)
    else:
        assert take(make_snappy()[1], stream) == plain


def test_snappy_chunks_too_long_are_refused_by_their_head() -> None:
    """Nobody waits for, or keeps, data that will be refused."""
    _, decoder = make_snappy()
    take(decoder, IDENTIFIER)
    with pytest.raises(CodecError, match="16777215 bytes"):
        decoder.feed(b"\x00\xff\xff\xff", MiB)


def test_snappy_long_chunks_are_skipped_and_not_kept() -> None:
    """Skippable chunks of 16 MB pass by, however they come."""
    _, decoder = make_snappy()
    take(decoder, IDENTIFIER)
    head, part = b"\x80\xff\xff\xff", bytes(65536)
    tracemalloc.start()
    try:
        for _ in range(3):
            assert decoder.feed(head, MiB) == b""
            left = (1 << 24) - 1
            while left:
                assert decoder.feed(part[: min(left, 65536)], MiB) == b""
                left -= min(left, 65536)
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()
    assert take(decoder, OK_CHUNK) == OK_FRAME


def test_snappy_claims_are_not_believed() -> None:
    """A block that says it has 4 GB is refused before anything is made of it."""
    _, decoder = make_snappy()
    take(decoder, IDENTIFIER)
    bomb = chunk(0, b"crc!" + b"\xff\xff\xff\xff\x0f" + b"\xfe\x01\x00" * 20_000)
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="4294967295 plain bytes"):
            decoder.feed(bomb, MiB)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_snappy_gives_about_the_limit() -> None:
    """Of a read full of chunks that inflate twentyfold it gives no more than was asked for."""
    encoder, decoder = make_snappy()
    stream = encoder.encode(bytes(64 * 65536))
    assert len(stream) < 4 * 65536
    received = [decoder.feed(stream, 100_000)]
    while decoder.pending:
        received.append(decoder.feed(b"", 100_000))
    assert list(map(len, received)) == [2 * 65536] * 32


# -- deflate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", range(1, 10))
def test_deflate_is_raw_and_flushed(level: int) -> None:
    """At every level there is no header, and each piece ends with a sync flush."""
    encoder, _ = make_deflate(level)
    reader = zlib.decompressobj(-15)
    for _ in range(3):
        compressed = encoder.encode(OK_FRAME)
        assert compressed.endswith(b"\x00\x00\xff\xff")
        assert reader.decompress(compressed) == OK_FRAME


def test_deflate_levels_differ() -> None:
    """A higher level makes less of the same."""
    text = b"".join(b"%d " % (number * number) for number in range(5000))
    sizes = [len(make_deflate(level)[0].encode(text)) for level in (1, 6)]
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize(
    "stream",
    [
        "6260606063606060f0f706000000ffff000000ffff",
        "000a00f5ff00000006000000004f4b000000ffff000000ffff",
    ],
)
def test_deflate_of_another_encoder(stream: str) -> None:
    """An OK as the original writes it is read, with its empty sync blocks."""
    assert take(make_deflate(6)[1], bytes.fromhex(stream)) == OK_FRAME


@pytest.mark.parametrize("stream", [b"\xff" * 8, bytes.fromhex("789cf3f30fe0020002d300f8")])
def test_deflate_refused(stream: bytes) -> None:
    """Garbage and streams with a zlib header are refused."""
    with pytest.raises(CodecError):
        take(make_deflate(6)[1], stream)


def test_deflate_end() -> None:
    """A stream may end, but what comes after its end is refused."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    stream = compressor.compress(OK_FRAME) + compressor.flush()
    _, decoder = make_deflate(6)
    assert take(decoder, stream) == OK_FRAME
    assert take(decoder, b"") == b""
    with pytest.raises(CodecError, match="after the end"):
        take(decoder, b"x")
    _, decoder = make_deflate(6)
    assert decoder.feed(stream + b"x", MiB) == OK_FRAME
    assert decoder.pending
    with pytest.raises(CodecError, match="after the end"):
        decoder.feed(b"", MiB)


def test_deflate_bomb() -> None:
    """A few kilobytes that stand for 16 MiB cost no more than was asked for at a time."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = compressor.compress(bytes(16 * MiB)) + compressor.flush()
    assert len(bomb) < 20_000
    limit = MiB // 4
    _, decoder = make_deflate(6)
    tracemalloc.start()
    try:
        sizes = [len(decoder.feed(bomb, limit))]
        while decoder.pending:
            sizes.append(len(decoder.feed(b"", limit)))
        assert tracemalloc.get_traced_memory()[1] < 4 * limit
    finally:
        tracemalloc.stop()
    assert (max(sizes), sum(sizes)) == (limit, 16 * MiB)


@pytest.mark.parametrize("limit", [1, 2, 257, 1000])
def test_deflate_holds_nothing_back(limit: int) -> None:
    """Whatever zlib still has when its input is used up is asked for, too."""
    encoder, decoder = make_deflate(9)
    assert take(decoder, encoder.encode(bytes(20_000)), limit) == bytes(20_000)
