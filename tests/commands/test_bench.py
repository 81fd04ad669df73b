"""``kt bench``."""

from __future__ import annotations

import time

import pytest

from kt_core.errors import ConnectionFailed, StoreFull
from tests.commands.desk import Desk

QUICKLY = ["--seconds", "0.06", "--keys", "20"]


@pytest.fixture
def timed(desk: Desk) -> Desk:
    """Return what measures time by a real clock."""
    desk.timer = time.perf_counter
    return desk


def test_a_load_is_measured_and_leaves_nothing(timed: Desk) -> None:
    facts = timed("bench", *QUICKLY).facts
    assert facts["url"] == timed.url
    assert facts["ops/s"] > 0
    assert 0 < facts["median µs"] <= facts["p99 µs"]
    assert facts["misses"] == 0
    assert timed("count").facts == {"count": 0}


def test_places_are_compared(timed: Desk, embedded_url: str) -> None:
    timed.watched, timed.width = True, 200
    text = timed("bench", timed.url, embedded_url, "--get", 0, "--connections", 1, "--size", "1k", *QUICKLY).text
    heads, first, second, ratio = text.splitlines()
    assert heads.split() == ["url", "ops/s", "median", "µs", "p99", "µs", "misses"]
    assert (first.split()[0], second.split()[0]) == (timed.url, embedded_url)
    assert "times as many operations a second as the first" in ratio


def test_a_place_that_fails_ends_it(own: Desk) -> None:
    with pytest.raises(ConnectionFailed):
        own("bench", "kt://127.0.0.1:1")
    small = f"{own.url}?max_size=1MiB&eviction=none"
    with pytest.raises(StoreFull):
        own("bench", small, "--size", "100k", "--get", 0, *QUICKLY)
    assert own("count").facts == {"count": 0}
