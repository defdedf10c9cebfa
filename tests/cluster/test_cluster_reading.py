"""Objects out of JSON: what is passed over, what is a default, what is an error."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from nsqtx.cluster.reading import part, parts, read, unread


@attrs.define
class Inner:
    """A part."""

    number: int = 0


@attrs.define
class Outer:
    """One of each kind."""

    text: str = "none"
    whole: int = 1
    number: float = 0.5
    flag: bool = True
    one: Inner | None = part(Inner)
    many: list[Inner] = parts(Inner)
    names: list[str] = parts(str)
    place: str = unread("here")


def test_everything() -> None:
    """Each attribute from its key."""
    value = {
        "text": "t",
        "whole": 2,
        "number": 3,
        "flag": False,
        "one": {"number": 4},
        "many": [{"number": 5}, {}],
        "names": ["a"],
    }
    expected = Outer("t", 2, 3.0, False, Inner(4), [Inner(5), Inner(0)], ["a"])
    found = read(Outer, value)
    assert found == expected
    assert type(found.number) is float


def test_defaults() -> None:
    """For what is missing or null, and for what is not the JSON's; unknown keys do not matter."""
    nulls = dict.fromkeys(["text", "whole", "number", "flag", "one", "many", "names"])
    assert read(Outer, nulls) == read(Outer, {}) == Outer()
    assert read(Outer, {"place": "there", "later": {"x": [1]}}).place == "here"
    assert read(Outer, {}).many is not read(Outer, {}).many


def test_whole_numbers_may_have_a_fraction_of_nothing() -> None:
    """Some encoders write them so."""
    assert read(Outer, {"whole": 2.0}).whole == 2


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "no object where Outer is expected"),
        ("x", "no object where Outer is expected"),
        ({"text": 1}, "text: no string"),
        ({"whole": "1"}, "whole: no integer"),
        ({"whole": 1.5}, "whole: no integer"),
        ({"whole": True}, "whole: no integer"),
        ({"number": "1"}, "number: no number"),
        ({"number": False}, "number: no number"),
        ({"flag": 0}, "flag: no boolean"),
        ({"one": []}, "one: no object where Inner is expected"),
        ({"one": {"number": "x"}}, "one: number: no integer"),
        ({"many": {}}, "many: no list"),
        ({"many": [{}, 1]}, "many: no object where Inner is expected"),
        ({"names": [1]}, "names: no string"),
        ({"names": [None]}, "names: no string"),
    ],
)
def test_wrong_types(value: Any, reason: str) -> None:
    """The error says where."""
    with pytest.raises(ValueError) as caught:
        read(Outer, value)
    assert str(caught.value) == reason
