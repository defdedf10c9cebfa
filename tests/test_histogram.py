"""Counting in buckets."""

from __future__ import annotations

from nsqtx.histogram import Histogram

INFINITY = float("inf")


def test_a_value_counts_in_the_first_bucket_that_holds_it() -> None:
    """A bound belongs to its bucket; what is above all bounds counts as well."""
    histogram = Histogram((10, 20))
    for value in (1, 10, 11, 20, 21, 1000):
        histogram.add(value)
    assert list(histogram.cumulative()) == [(10, 2), (20, 4), (INFINITY, 6)]
    assert (histogram.count, histogram.sum) == (6, 1063)


def test_one_value_may_stand_for_many() -> None:
    """Both the count and the sum know."""
    histogram = Histogram((10,))
    histogram.add(7, 100)
    assert (histogram.count, histogram.sum) == (100, 700)


def test_a_clock_that_was_set_back_makes_no_negative_values() -> None:
    """They count as zero, so that the sum never falls."""
    histogram = Histogram((10,))
    histogram.add(-5)
    assert list(histogram.cumulative()) == [(10, 1), (INFINITY, 1)]
    assert histogram.sum == 0


def test_histograms_are_merged_by_adding() -> None:
    """Bucket by bucket, and the one added stays as it is."""
    one, other = Histogram((10,)), Histogram((10,))
    one.add(1)
    other.add(2)
    other.add(30)
    one.merge(other)
    assert list(one.cumulative()) == [(10, 2), (INFINITY, 3)]
    assert (one.sum, other.count) == (33, 2)
