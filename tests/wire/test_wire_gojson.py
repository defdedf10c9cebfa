"""JSON by Go's rules."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.wire import gojson
from nsqtx.wire.gojson import MAX_DEPTH, Fields, decode, encode

ACCEPTED: list[tuple[bytes, Any]] = [
    (b"null", None),
    (b" \t\r\n{} \n", {}),
    (b"[1,2.5e3,null,true,false]", [1, 2500.0, None, True, False]),
    (b"-0", 0),
    (b"9223372036854775807", 2**63 - 1),
    (b"-9223372036854775808", -(2**63)),
    (b'"\xff\xfe"', "\ufffd\ufffd"),
    (b'"\xe2\x80"', "\ufffd\ufffd"),
    (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
    (b'"\\ud800"', "\ufffd"),
    (b'"\\udc00x"', "\ufffdx"),
    (b'"\\ud800\\u0041"', "\ufffdA"),
    (b'"\\ud83d\\ude00"', "\U0001f600"),
    (b'"\\uD83D\\uDE00"', "\U0001f600"),
    (b'"\\ud800\\ud83d\\ude00"', "\ufffd\U0001f600"),
    (b'"\\\\ud800"', "\\ud800"),
    (b'"\\\\\\ud800"', "\\\ufffd"),
    (b'"\\u00e9\\n\\/\x7f"', "é\n/\x7f"),
    (b'{"a":1,"a":2}', {"a": 2}),
    (b'{"\\ud800":1}', {"\ufffd": 1}),
]

REJECTED = [
    b"",
    b" ",
    b"{",
    b"{}x",
    b"{} {}",
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b"[1}",
    b'{"a":1,}',
    b'{"a" 1}',
    b'{"a":}',
    b"{a:1}",
    b"{1:1}",
    b"{'a':1}",
    b'{"a":NaN}',
    b"Infinity",
    b"-Infinity",
    b"\xef\xbb\xbf{}",
    b"\xff",
    b"[1]\xff",
    b'"a\nb"',
    b'"a\0b"',
    b'"a\x1fb"',
    b'"a',
    b'"\\x"',
    b'"\\\'"',
    b'"\\u12"',
    b'"\\u00g0"',
    b'"\\ud8"',
    b"01",
    b"-",
    b"+1",
    b"1.",
    b".5",
    b"1e",
    b"0x10",
    b"tru",
    b"True",
    b"nul",
    b"/**/1",
    b"\x0b1",
    b"\xc2\xa01",
    "{}".encode("utf-16"),
    "{}".encode("utf-32-le"),
]


#: Deeper than Python's own decoder goes.
DEPTH = 1500


def deep(data: bytes) -> Any:
    """What the decoder for deep nesting makes of it."""
    return decode(b"[" * DEPTH + data + b"]" * DEPTH)


def unwrap(value: Any) -> Any:
    """Take off the arrays of `deep`."""
    for _ in range(DEPTH):
        (value,) = value
    return value


@pytest.mark.parametrize(("data", "value"), ACCEPTED)
def test_accepted(data: bytes, value: Any) -> None:
    """What Go accepts is accepted, at the top and far down."""
    assert decode(data) == value
    assert type(decode(data)) is type(value)
    assert unwrap(deep(data)) == value


@pytest.mark.parametrize("data", REJECTED)
def test_rejected(data: bytes) -> None:
    """What Go refuses is refused."""
    with pytest.raises(ValueError):
        decode(data)


@pytest.mark.parametrize("data", [d for d in REJECTED if d.strip()])
def test_rejected_deep(data: bytes) -> None:
    """What Go refuses is refused far down too."""
    with pytest.raises(ValueError):
        deep(data)


@pytest.mark.parametrize("data", [b"1000.0", b"1e3", b"1E3", b"-0.0"])
def test_floats(data: bytes) -> None:
    """A fraction or an exponent makes a float, whole or not."""
    assert type(decode(data)) is float


@pytest.mark.parametrize("digits", [b"1" * 21, b"-" + b"9" * 5000, b"7" * 1_000_000])
def test_endless_numbers(digits: bytes) -> None:
    """A number of any length is accepted, and is no int beyond all fields."""
    assert type(decode(digits)) is float


@pytest.mark.parametrize(("start", "stop"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth(start: bytes, stop: bytes) -> None:
    """Ten thousand levels are accepted, one more is not."""
    middle = b"1" if start != b"[" else b""
    decode(start * MAX_DEPTH + middle + stop * MAX_DEPTH)
    with pytest.raises(ValueError, match="deep"):
        decode(start * (MAX_DEPTH + 1) + middle + stop * (MAX_DEPTH + 1))
    with pytest.raises(ValueError):
        decode(start * 1_000_000)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_there_and_back(value: Any) -> None:
    """What is encoded decodes to the same, by both decoders and by Python's."""
    data = encode(value)
    assert decode(data) == value
    assert json.loads(data) == value
    assert gojson._decode_deep(data.decode(), dict) == value


@given(st.text(alphabet='{}[]",:0123.eE-+ \ntrufalsn\\ud8', max_size=30))
def test_both_decoders_agree(text: str) -> None:
    """Whatever one decoder accepts or refuses, the other does."""
    try:
        expected = repr(decode(text.encode()))
    except ValueError:
        with pytest.raises(ValueError):
            gojson._decode_deep(text, dict)
    else:
        if "\\ud" not in text:
            assert repr(gojson._decode_deep(text, dict)) == expected


@given(st.binary(max_size=40))
def test_garbage(data: bytes) -> None:
    """Whatever comes, it is decoded or refused with a ValueError."""
    with contextlib.suppress(ValueError):
        decode(data)


def fields(data: bytes) -> Fields:
    """Read an object."""
    value = decode(data, Fields)
    assert isinstance(value, Fields)
    return value


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{}", "default"),
        (b'{"hostname":null}', "default"),
        (b'{"other":"x"}', "default"),
        (b'{"HostName":"a"}', "a"),
        (b'{"hostname":"a","HOSTNAME":"b"}', "b"),
        (b'{"HOSTNAME":"b","hostname":"a"}', "a"),
        (b'{"hostname":"a","HOSTNAME":"b","hostname":"c"}', "c"),
        (b'{"hostname":"a","hostname":null}', "a"),
        ('{"ho\u017ftname":"s"}'.encode(), "s"),
        ('{"hostnamé":"s"}'.encode(), "default"),
    ],
)
def test_keys(data: bytes, text: str) -> None:
    """Keys match in any case, the last one wins, and null changes nothing."""
    assert fields(data).text("hostname", "default") == text


def test_kelvin() -> None:
    """The Kelvin sign is a k."""
    assert fields('{"to\u212aen":"x"}'.encode()).text("token") == "x"


@pytest.mark.parametrize("value", [b"1", b"true", b"[]", b"{}", b"1.5"])
def test_text_type(value: bytes) -> None:
    """A string field takes strings only, also when a later value replaces it."""
    with pytest.raises(ValueError, match="no string"):
        fields(b'{"a":%b,"a":"x"}' % value).text("a")


@pytest.mark.parametrize("value", [b"1", b"0", b'"true"', b"[]"])
def test_flag_type(value: bytes) -> None:
    """A boolean field takes booleans only."""
    with pytest.raises(ValueError, match="no boolean"):
        fields(b'{"a":%b}' % value).flag("a")
    assert fields(b'{"a":true}').flag("a")


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (b"1000.0", 64),
        (b"1e3", 64),
        (b'"1"', 64),
        (b"true", 64),
        (b"9223372036854775808", 64),
        (b"-9223372036854775809", 64),
        (b"1" * 100, 64),
        (b"2147483648", 32),
        (b"-2147483649", 32),
    ],
)
def test_integer_type(value: bytes, bits: int) -> None:
    """An integer field takes integers of its size only."""
    with pytest.raises(ValueError, match="no integer"):
        fields(b'{"a":%b}' % value).integer("a", bits=bits)


@pytest.mark.parametrize(
    ("value", "bits"), [(2**63 - 1, 64), (-(2**63), 64), (2**31 - 1, 32), (-(2**31), 32)]
)
def test_integer(value: int, bits: int) -> None:
    """The largest and the smallest integers fit."""
    assert fields(b'{"a":%d}' % value).integer("a", bits=bits) == value


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"b": 1, "a": [True, None, "x"]}, b'{"b":1,"a":[true,null,"x"]}'),
        ("<a>&\u2028\u2029", b'"\\u003ca\\u003e\\u0026\\u2028\\u2029"'),
        ("é\U0001f600\x7f", '"é\U0001f600\x7f"'.encode()),
        ('"\\/\n\r\t\0\x1f', b'"\\"\\\\/\\n\\r\\t\\u0000\\u001f"'),
        ("\b\f\\b\\f\\\b", b'"\\u0008\\u000c\\\\b\\\\f\\\\\\u0008"'),
        ("\ud800x", '"\ufffdx"'.encode()),
        ({"<": 0.5}, b'{"\\u003c":0.5}'),
    ],
)
def test_encode(value: Any, data: bytes) -> None:
    """JSON is compact, with the characters escaped that Go escapes."""
    assert encode(value) == data


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_encode_no_number(value: float) -> None:
    """What JSON has no number for is refused."""
    with pytest.raises(ValueError):
        encode([value])
