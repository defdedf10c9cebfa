"""Documents with commands say of each block where it is run; `tests/packaging` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.shelldocument import steps

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "doc/quickstart.md", "doc/tutorial.md"])
def test_every_block_of_commands_is_run(name: str) -> None:
    """None is without a place to run it, and no comment about one is misspelt."""
    assert steps(ROOT / name)
