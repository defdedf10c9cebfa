"""What `python -m tests.fuzz` fuzzes holds for its seeds, and for inputs that are made up."""

from __future__ import annotations

import pytest

from tests.fuzz.madeup import made_up
from tests.fuzz.targets import TARGETS

#: Fewer where one input costs milliseconds.
COUNTS = {"http": 200, "session": 500}


@pytest.mark.parametrize("name", TARGETS)
def test_made_up_inputs(name: str) -> None:
    """Each is taken or refused; one that is not is shown."""
    target = TARGETS[name]
    for data in made_up(target, COUNTS.get(name, 1000)):
        try:
            target.check(data)
        except BaseException:
            print(repr(data))
            raise
