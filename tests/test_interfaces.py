"""The seams between the parts of nsqd."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nsqtx.interfaces import ChannelState, Pending, PendingMessages

PENDING = st.lists(
    st.builds(Pending, st.integers(0, 2**54 - 1), st.integers(0, 65535), st.integers(0, 2**63))
)


@given(PENDING, PENDING)
def test_pending_messages_are_kept_in_columns(some: list[Pending], more: list[Pending]) -> None:
    """Each comes out as it went in; without due times they are 0."""
    state = ChannelState("c", False, 0, [], some)
    columns = state.pending
    assert list(columns) == some
    columns.extend(ChannelState("d", False, 0, [], more).pending)
    assert list(columns) == some + more
    assert len(columns) == len(some) + len(more)
    at_once = PendingMessages.of([each.position for each in more], [7] * len(more))
    assert list(at_once) == [Pending(each.position, 7, 0) for each in more]
