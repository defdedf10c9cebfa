"""What an auth server's answer allows, and which answers count for nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsqtx.nsqd.auth import PUBLISH, SUBSCRIBE, AuthError, AuthState, decode_answer
from nsqtx.nsqd.expressions import ExpressionError, expression
from tests.support.authservers import ALL


def answer(**changes: Any) -> AuthState:
    return decode_answer(json.dumps({**ALL, **changes}).encode())


def one(**changes: Any) -> AuthState:
    """An answer with one authorization, changed so."""
    return answer(authorizations=[{**ALL["authorizations"][0], **changes}])


def test_fields() -> None:
    """An answer has a time to live, an identity and authorizations."""
    state = answer(more="is ignored")
    assert (state.ttl, state.identity, state.identity_url) == (60, "me", "http://id.example/")
    assert len(state.authorizations) == 1
    assert decode_answer(b'{"TTL":1,"authorizations":null}') == AuthState(1, "", "", ())


def test_permission_topic_and_channel_must_match() -> None:
    """One authorization has to have the permission, the topic and one of the channels."""
    state = one(topic="^t$", channels=["^a$", "^b$"], permissions=["subscribe"])
    assert state.allows(SUBSCRIBE, b"t", b"b")
    assert not state.allows(SUBSCRIBE, b"tt", b"b")
    assert not state.allows(SUBSCRIBE, b"t", b"c")
    assert not state.allows(PUBLISH, b"t")
    two = answer(
        authorizations=[
            {"topic": "a", "channels": [".*"], "permissions": ["subscribe"]},
            {"topic": "b", "channels": [".*"], "permissions": ["publish"]},
        ]
    )
    assert [two.allows(PUBLISH, name) for name in (b"a", b"b", b"xby")] == [False, True, True]


def test_publishing_needs_an_expression_that_matches_nothing() -> None:
    """To publish is to have no channel, so ``ch`` and no expression at all are not enough."""
    for channels, allowed in ((["ch"], False), ([], False), (["ch", ""], True), (["^$"], True)):
        assert one(channels=channels).allows(PUBLISH, b"t") is allowed


def test_null_is_what_it_is_in_go() -> None:
    """Null for a field is absent, in a list it is an empty value: an empty topic matches all."""
    assert not one(permissions=None).allows(PUBLISH, b"t")
    assert one(channels=[None], topic=None).allows(PUBLISH, b"t")
    state = answer(authorizations=[None])
    assert len(state.authorizations) == 1
    assert not state.allows(SUBSCRIBE, b"t", b"c")


@pytest.mark.parametrize(
    "change",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": "60"},
        {"ttl": 60.0},
        {"ttl": True},
        {"ttl": 2**63},
        {"ttl": None},
        {"identity": 1},
        {"identity_url": []},
        {"authorizations": {}},
        {"authorizations": [[]]},
        {"authorizations": ["x"]},
    ],
)
def test_bad_answers(change: dict[str, Any]) -> None:
    """A wrong type or a time to live of nothing is an error."""
    with pytest.raises(AuthError):
        answer(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"permissions": ["subscribe", "admin"]},
        {"permissions": [None]},
        {"permissions": "publish"},
        {"permissions": [1]},
        {"topic": "("},
        {"topic": ["t"]},
        {"channels": ["("]},
        {"channels": ".*"},
        {"channels": [1]},
        {"channels": [r"(?=x)"]},
        {"channels": [r"(a)\1"]},
    ],
)
def test_bad_authorizations(change: dict[str, Any]) -> None:
    """One bad authorization spoils the answer, though a good one stands in front of it."""
    bad = {**ALL["authorizations"][0], **change}
    with pytest.raises(AuthError):
        answer(authorizations=[*ALL["authorizations"], bad])


@pytest.mark.parametrize("data", [b"", b"hello", b"null", b"[]", b"1", b'{"ttl":1}x', b"\xff"])
def test_no_answer(data: bytes) -> None:
    """What is no JSON object is an error."""
    with pytest.raises(AuthError):
        decode_answer(data)


def test_expressions_mean_what_they_mean_in_go() -> None:
    """``$`` is the end of the name and not before a newline, and POSIX classes are there."""
    assert not expression("^a$").found_in(b"a\n")
    assert expression("^[[:word:]]+$").found_in(b"a_1")
    assert expression("(?i)ABC").found_in(b"xabcx")
    assert expression(r"^\Qa.b\E$").found_in(b"a.b")


def test_no_expression_takes_long() -> None:
    """What would keep Python's `re` busy for ages costs as much as any other, whatever the name."""
    hostile = expression("^(a|a|aa)*(a*)*(a+)+$")
    assert not hostile.found_in(b"a" * 63 + b"!")


def test_expressions_are_limited(capfd: pytest.CaptureFixture[str]) -> None:
    """Too large ones are refused, one or together, and nothing is written about it."""
    for large in (r"\pL{500}", "(((a{100}){100}){100})", "x" * 100_000):
        with pytest.raises(ExpressionError, match="bad expression"):
            expression(large)
    with pytest.raises(AuthError, match="too many"):
        one(channels=[f"^.{{1,64}}{i}$" for i in range(400)])
    assert len(one(channels=["^[a-z]{1,60}$"] * 5000).authorizations[0].channels) == 5000
    assert capfd.readouterr() == ("", "")


def test_expressions_are_shared() -> None:
    """Clients with the same rights share the compiled expressions."""
    first, second = one(topic="^some topic$"), one(topic="^some topic$")
    assert first.authorizations[0].topic is second.authorizations[0].topic


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_words = st.sampled_from(["publish", "subscribe", ".*", "(", "[", "a{1001}", "\ud800", ""])
_garbage = st.recursive(
    _scalars | _words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["topic", "channels", "permissions"]), inner)
    ),
    max_leaves=8,
)
_answers = st.fixed_dictionaries(
    {}, optional={key: _garbage | st.just(ALL[key]) for key in (*ALL, "authorizations")}
)


@given(_answers.map(lambda value: json.dumps(value).encode()) | st.binary())
@settings(max_examples=60, deadline=None)
def test_garbage_is_refused_or_understood(data: bytes) -> None:
    """Whatever an auth server sends is an answer or an `AuthError`."""
    try:
        state = decode_answer(data)
    except AuthError:
        return
    assert state.ttl > 0
    state.allows(PUBLISH, b"t")
