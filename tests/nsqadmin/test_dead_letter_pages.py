"""What the pages of nsqadmin say of dead letters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nsqtx.nsqadmin.rows import Snapshot
from tests.support.adminpages import Admin, Browser, elements, small

NewAdmin = Callable[..., Admin]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ([(5, "dead", 0), (5, "dead", 0)], "After attempt 5 a message goes to dead."),
        (
            [(0, "old", 2), (5, "dead", 1)],
            "After attempt 5 a message goes to dead; 3 moved since the start of nsqd.",
        ),
        (
            [(0, "old", 2), (0, "", 0)],
            "Messages are no longer moved to old; 2 moved since the start of nsqd.",
        ),
        ([(0, "", 0), (0, "", 0)], ""),
    ],
)
def test_dead_letters(new_admin: NewAdmin, limits: list[tuple[int, str, int]], said: str) -> None:
    """Where they go, and how many went; a limit of one node counts before none of another."""

    def snapshot() -> Snapshot:
        made = small()
        nodes = made.topics["orders"].channels["billing"].nodes
        for each, limit in zip(nodes.values(), limits, strict=True):
            each.max_attempts, each.dead_letter_topic, each.dead_letters = limit
        return made

    page = elements(Browser(new_admin(snapshot)).get("/topics/orders/billing"))
    legends = [each.text for each in page.named("p") if each.get("class") == "legend"]
    assert legends == ([said] if said else [])
