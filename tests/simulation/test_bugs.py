"""The simulations notice bugs: each of the deliberate ones, by the promise that it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.bugs import BUGS, Bug
from tests.simulation.cluster import simulate

DOCUMENT = Path(__file__).parents[2] / "doc/reliability.md"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_bench_can_fail(bug: Bug) -> None:
    """With the bug a promise is not kept, in the simulation that is named or one of 200; without
    it that simulation goes well.
    """
    # Whatever changes what nsqd sends or writes changes all histories, hence the others.
    for seed in (bug.seed, *range(200)):
        with bug.applied():
            violations = simulate(seed, bug.profile).history.violations
        if bug.promise in {violation.promise for violation in violations}:
            break
    else:
        pytest.fail("nobody has noticed")
    assert simulate(seed, bug.profile).history.violations == []


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_document_has_its_seed(bug: Bug) -> None:
    """doc/reliability.md lists the bug with the simulation that catches it."""
    line = f"| {bug.what} | {bug.promise} | `--bug {bug.name}` | {bug.profile} {bug.seed} |"
    assert line in DOCUMENT.read_text(encoding="utf-8")
