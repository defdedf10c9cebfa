"""Checkpoints as bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nsqtx.interfaces import ChannelState, Pending, TopicState
from nsqtx.storage.checkpoint import decode_checkpoint, encode_checkpoint, parse_checkpoint

_POSITIONS = st.integers(0, 2**54 - 1)
_PENDING = st.builds(Pending, _POSITIONS, st.integers(0, 65535), st.integers(0, 2**63))
_CHANNELS = st.builds(
    ChannelState,
    st.text("ab._-", max_size=64),
    st.booleans(),
    st.integers(0, 2**40),
    st.lists(st.tuples(_POSITIONS, _POSITIONS), max_size=4),
    st.lists(_PENDING, max_size=5),
)
_STATES = st.builds(
    TopicState, _POSITIONS, st.booleans(), _CHANNELS, st.lists(_CHANNELS), st.booleans()
)

STATE = TopicState(
    1700000000000009,
    True,
    ChannelState("", False, 2, [(3, 5)], []),
    [
        ChannelState("c", True, 1, [(1, 2), (8, 9)], [Pending(1, 2), Pending(7, 65535, 10**18)]),
        ChannelState("d", False, 0, [], [Pending(1, 1)]),
    ],
    True,
)


@given(st.integers(1, 2**63), _STATES)
def test_states_come_back(sequence: int, state: TopicState) -> None:
    """Any state is read as it was written, whatever follows it in the file."""
    data = encode_checkpoint(sequence, state) + b"rest"
    assert decode_checkpoint(data) == state
    header = parse_checkpoint(data)
    assert header is not None
    assert (header.sequence, header.end, header.clean) == (sequence, state.end, state.clean)


def test_damage_is_seen() -> None:
    """With any byte changed or missing, there is no checkpoint."""
    data = encode_checkpoint(5, STATE)
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 0x10
        assert parse_checkpoint(bytes(bad)) is None
        assert decode_checkpoint(bytes(bad)) is None
        assert parse_checkpoint(data[:at]) is None
    assert parse_checkpoint(bytes(4096)) is None


def test_size() -> None:
    """An entry that is not deferred takes 12 bytes, so a million of them 12 MB."""
    held = ChannelState("", False, 0, [], [])
    pending = [Pending(number, 1) for number in range(1000)]
    small = TopicState(1, False, held, [ChannelState("c", False, 0, [], [])])
    large = TopicState(1, False, held, [ChannelState("c", False, 0, [], pending)])
    assert len(encode_checkpoint(1, large)) - len(encode_checkpoint(1, small)) == 12000
