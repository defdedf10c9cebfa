"""Placeholders accept what they stand for and nothing else."""

from __future__ import annotations

import pytest

from tests.golden.placeholders import Bindings, Mismatch

KNOWN = {"<nsqd.tcp>": "127.0.0.1:5", "<nsqd.tcp_port>": "5", "<peer:A>": "127.0.0.1:77"}
ID = "0123456789abcdef"


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("plain (text) [x]*", "plain (text) [x]*"),
        ("<me> and <z>", "<me> and <z>"),
        ("a <int> b", "a -12 b"),
        ("<float>", "1.25e-05"),
        ("[V2 hosta:<str>] state", "[V2 hosta:1234 [ua]] state"),
        ("at <addr>!", "at 127.0.0.1:65535!"),
        ("(built w/<go>)", "(built w/nsqtx-0.1.0-python3.11.2)"),
        ("<date>", "2025-11-25T00:39:01.123456789Z"),
        ("<date>", "2025/11/25 00:39:01.123456"),
        ("up <duration>", "up 1h2m3.5s"),
        ("<duration>", "837.100353ms"),
        ("<duration>", "12µs"),
        ("<nsqd.tcp> <peer:A>", "127.0.0.1:5 127.0.0.1:77"),
        ("FIN <id:m1>: <id:m1>", f"FIN {ID}: {ID}"),
        ("", ""),
    ],
)
def test_accepts(expected: str, actual: str) -> None:
    """Text that a placeholder allows matches."""
    Bindings(KNOWN).match_text(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("plain", "plain "),
        ("<me>", "you"),
        ("<int>", "1.5"),
        ("<int>", ""),
        ("<float>", "x"),
        ("<str>", "two\nlines"),
        ("<addr>", "10.0.0.1:5"),
        ("<date>", "yesterday"),
        ("<duration>", "5 seconds"),
        ("<duration>", ""),
        ("<nsqd.tcp>", "127.0.0.1:6"),
        ("<peer:A>", "127.0.0.1:78"),
        ("<id:m1>", ID.upper()),
        ("<id:m1>", ID + "0"),
        ("<id:m1>: <id:m1>", f"{ID}: {ID[::-1]}"),
        ("<id:m1>: <id:m2>", f"{ID}: {ID}"),
    ],
)
def test_refuses(expected: str, actual: str) -> None:
    """Text that a placeholder does not allow is a mismatch."""
    with pytest.raises(Mismatch):
        Bindings(KNOWN).match_text(expected, actual)


def test_an_id_keeps_its_value() -> None:
    """The same number is the same id later on, and is sent as that; another number is another."""
    bindings = Bindings()
    bindings.match_text("<id:m1>", ID)
    bindings.match_text("<id:m1>", ID)
    assert bindings.substitute("FIN <id:m1>\n") == f"FIN {ID}\n"
    with pytest.raises(Mismatch):
        bindings.match_text("<id:m1>", ID[::-1])
    with pytest.raises(Mismatch):
        bindings.match_text("<id:m2>", ID)


def test_an_unknown_id_cannot_be_sent() -> None:
    """A recording that uses an id before it was seen does not go out with brackets in it."""
    with pytest.raises(Mismatch):
        Bindings().substitute("FIN <id:m1>\n")


def test_a_message_keeps_its_timestamp() -> None:
    """Another timestamp for the same id is a mismatch, for another id it is not."""
    bindings = Bindings()
    bindings.match_timestamp(ID, 5)
    bindings.match_timestamp(ID, 5)
    bindings.match_timestamp(ID[::-1], 6)
    with pytest.raises(Mismatch):
        bindings.match_timestamp(ID, 6)


@pytest.mark.parametrize(
    ("expected", "actual", "fits"),
    [
        ("<int>", 3, True),
        ("<int>", 3.0, False),
        ("<int>", True, False),
        ("<int>", "3", False),
        ("<float>", 3, True),
        ("<float>", 0.5, True),
        ("<float>", None, False),
        ("<nsqd.tcp_port>", 5, True),
        ("<nsqd.tcp_port>", "5", False),
        ("<nsqd.tcp_port>", 6, False),
        ("text", "text", True),
        ("5", 5, False),
    ],
)
def test_json_scalars(expected: str, actual: object, fits: bool) -> None:
    """In JSON a lone number placeholder stands for a number, never for its text."""
    bindings = Bindings(KNOWN)
    if fits:
        bindings.match_scalar(expected, actual)
    else:
        with pytest.raises(Mismatch):
            bindings.match_scalar(expected, actual)
