"""An nsqadmin that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.adminpages import Admin


@pytest.fixture
def new_admin() -> Iterator[Callable[..., Admin]]:
    """Makes one, and stops it after the test."""
    made: list[Admin] = []

    def make(*args: Any, **options: Any) -> Admin:
        made.append(Admin(*args, **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()
        assert each.clock.getDelayedCalls() == []
