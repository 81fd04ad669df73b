"""The benchmark's requests follow Zipf's law and are the same in every run."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.zipf import zipf_ranks


def test_equal_arguments_make_equal_requests() -> None:
    assert zipf_ranks(50, 200, 0.99, seed=3) == zipf_ranks(50, 200, 0.99, seed=3)
    assert zipf_ranks(50, 200, 0.99, seed=3) != zipf_ranks(50, 200, 0.99, seed=4)


def test_ranks_lie_within_the_key_space() -> None:
    ranks = zipf_ranks(10, 5_000, 0.99, seed=0)
    assert len(ranks) == 5_000
    assert set(ranks) == set(range(10))


def test_popularity_falls_with_the_power_of_the_rank() -> None:
    requests = 100_000
    counts = Counter(zipf_ranks(100, requests, 1.0, seed=0))
    total = sum(1 / (rank + 1) for rank in range(100))
    for rank in (0, 1, 9):
        assert counts[rank] / requests == pytest.approx(1 / (rank + 1) / total, rel=0.05)
