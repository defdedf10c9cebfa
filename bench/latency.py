"""Percentiles of how long things took."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["QUANTILES", "percentiles"]

QUANTILES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """The quantiles, in microseconds; nothing if nothing was measured."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {name: ordered[min(int(len(ordered) * part), last)] * 1e6 for name, part in QUANTILES}
