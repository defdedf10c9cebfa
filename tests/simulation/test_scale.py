"""A large cluster, in small: `tests.simulation.scale` has the figures of a large one."""

from __future__ import annotations

from tests.simulation.scale import LargeCluster, measure


def test_everybody_comes_to_know_everybody() -> None:
    """After a cold start, the loss of a nsqlookupd and that of a rack, and without a storm."""
    found = measure(LargeCluster(seed=1, nsqds=40, lookupds=2, readers=100, each=20))
    assert found["all nsqlookupd know all after (s)"] < 5
    assert found["all Readers know all after (s)"] < 85
    # Pauses are random, and up to 15 s long.
    assert found["a nsqlookupd that is back knows all after (s)"] <= 16
    assert found["connections to it in its busiest second"] < 20
    assert 290 < found["a lost rack is shown no more after (s)"] < 320
