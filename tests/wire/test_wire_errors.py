"""Error codes, error frames and quoting."""

from __future__ import annotations

import pytest

from nsqtx.wire.errors import CODES, ProtocolError, quote

QUOTED = [
    (b"", '""'),
    (b"a:b", '"a:b"'),
    (b"\xc3\xa9", '"é"'),
    (b"\xff", '"\\xff"'),
    (b'a"b', '"a\\"b"'),
    (b"a\\b", '"a\\\\b"'),
    (b"a'b", '"a\'b"'),
    (b"a\x00b", '"a\\x00b"'),
    (b"a\x07\x1b", '"a\\a\\x1b"'),
    (b"\b\f\n\r\t\v", '"\\b\\f\\n\\r\\t\\v"'),
    (b"a\x7fb", '"a\\x7fb"'),
    (b"a\xe2\x80\xa8b", '"a\\u2028b"'),
    (b"a\xf0\x9f\x98\x80", '"a\U0001f600"'),
    (b"\xc2\x80", '"\\u0080"'),
    (b"\xc2\xa0", '"\\u00a0"'),
    (b"\xef\xbf\xbd", '"\ufffd"'),
    (b"\xef\xbb\xbf", '"\\ufeff"'),
    (b"\xf3\xa0\x80\x81", '"\\U000e0001"'),
    (b"\xe2\x80", '"\\xe2\\x80"'),
    (b"\xed\xa0\x80", '"\\xed\\xa0\\x80"'),
    (b"\xf0\x9f\x98a", '"\\xf0\\x9f\\x98a"'),
]


@pytest.mark.parametrize(("text", "quoted"), QUOTED)
def test_quote(text: bytes, quoted: str) -> None:
    """Names are quoted as the original quotes them."""
    assert quote(text) == quoted


def test_quote_text() -> None:
    """Text is quoted like its UTF-8."""
    assert quote('é"') == '"é\\""'


def test_data() -> None:
    """An error frame has the code, a space and the description."""
    assert ProtocolError("E_INVALID", "cannot SUB in current state").data == (
        b"E_INVALID cannot SUB in current state"
    )


def test_description_of_any_bytes() -> None:
    """A description may repeat bytes that are no text."""
    error = ProtocolError("E_INVALID", b"invalid command F\xff\0O")
    assert error.data == b"E_INVALID invalid command F\xff\0O"
    assert str(error) == "E_INVALID invalid command F\\xff\0O"


def test_empty_command() -> None:
    """The space before an empty word stays."""
    assert ProtocolError("E_INVALID", b"invalid command ").data == b"E_INVALID invalid command "


def test_bad_protocol() -> None:
    """E_BAD_PROTOCOL stands alone."""
    assert ProtocolError("E_BAD_PROTOCOL").data == b"E_BAD_PROTOCOL"


def test_what_is_kept() -> None:
    """Only a FIN, REQ or TOUCH that fails leaves the connection open."""
    kept = {code for code, fatal in CODES.items() if not fatal}
    assert kept == {"E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED"}
    assert not ProtocolError("E_FIN_FAILED", "x").fatal
    assert ProtocolError("E_PUB_FAILED", "x").fatal
    assert not ProtocolError("E_PUB_FAILED", "x", fatal=False).fatal
