"""The exact LRU that stores are held against, and the search for a size that holds a number of records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hit_ratio import TrueLRU, fitting_size, replay


def test_the_key_asked_for_longest_ago_leaves_first() -> None:
    lru = TrueLRU(2)
    assert [lru.request(key) for key in ("a", "b", "a", "c", "a", "b")] == [False, False, True, False, True, False]


@given(st.integers(1, 5), st.lists(st.sampled_from("abcdefgh")))
def test_a_request_hits_when_fewer_other_keys_than_the_capacity_came_between(capacity: int, keys: list[str]) -> None:
    lru = TrueLRU(capacity)
    for index, key in enumerate(keys):
        before = keys[:index]
        since = before[len(before) - before[::-1].index(key) :] if key in before else None
        assert lru.request(key) == (since is not None and len(set(since)) < capacity)


class Sized:
    """A store whose records take 300 bytes each, beside 5,000 of its own."""

    def __init__(self, size: int) -> None:
        self.capacity = (size - 5_000) // 300
        self._lru = TrueLRU(self.capacity)
        self._stored = 0

    def request(self, key: str) -> bool:
        hit = self._lru.request(key)
        self._stored += not hit
        return hit

    def entries(self) -> int:
        return min(self._stored, self.capacity)


@contextmanager
def opener(size: int) -> Iterator[Sized]:
    yield Sized(size)


def test_the_size_found_holds_about_the_capacity() -> None:
    assert Sized(fitting_size(opener, 1_000)).capacity == pytest.approx(1_000, rel=0.03)


def test_replay_counts_hits_and_the_entries_of_a_warm_store() -> None:
    with opener(5_000 + 300 * 100) as store:
        hits, entries = replay(store, [str(number % 50) for number in range(4_000)])
    assert hits == (4_000 - 50) / 4_000
    assert entries == 50
