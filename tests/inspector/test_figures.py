"""Figures of a moment, the history of them, and that looking does not change them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any, cast

import pytest

from kt_cache.inspector.figures import HISTORY, OWN_HITS, OWN_MISSES, PROBES, Figures, look
from kt_cache.stores import AsyncStore, Store
from kt_cache.stores.embedded import EmbeddedStore
from kt_cache.stores.memory import MemoryStore
from kt_cache.stores.tolerant import TolerantStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import ConnectionFailed, StoreFull
from tests.clock import Clock


class Ticks:
    """A timer on which each read takes a microsecond more than the one before."""

    def __init__(self) -> None:
        self._now = 0.0
        self._calls = count()

    def __call__(self) -> float:
        call = next(self._calls)
        self._now += 0 if call % 2 == 0 else (call // 2 + 1) * 1e-6
        return self._now


def see(store: Store, clock: Clock) -> Figures:
    return look(store, clock=clock, timer=Ticks())


def test_reads_are_counted_without_those_of_the_page(store: Store, clock: Clock) -> None:
    store.set(b"k", b"v", None)
    for _ in range(3):
        see(store, clock)
    for _ in range(10):
        store.get(b"k")
    store.get(b"none")
    now = see(store, clock).now
    assert (now.hits, now.misses) == (10, 1)
    assert now.own_hits + now.own_misses == 4 * (PROBES + 1)
    assert now.reads == 11
    assert now.hit_ratio == 10 / 11


def test_nothing_was_read_by_others(store: Store, clock: Clock) -> None:
    assert see(store, clock).now.hit_ratio is None
    assert see(store, clock).now.hit_ratio is None


def test_times_of_reads_are_ranked(store: Store, clock: Clock) -> None:
    latency = see(store, clock).latency
    assert latency.median == pytest.approx(PROBES / 2 + 1)
    assert latency.slow == pytest.approx(31)
    assert latency.slowest == pytest.approx(PROBES)


def test_a_sample_has_what_the_store_knows(store: Store, clock: Clock) -> None:
    store.set(b"k", b"v" * 100, None)
    figures = see(store, clock)
    assert figures.now.at == clock()
    assert figures.now.entries == figures.stats.entries
    assert figures.now.size == figures.stats.size
    assert (figures.now.evictions, figures.now.expirations) == (0, 0)


def test_what_a_store_does_not_know_is_no_number(clock: Clock) -> None:
    class Ignorant(MemoryStore):
        def stats(self) -> Any:
            return replace(super().stats(), evictions=None, expirations=None)

    now = see(Ignorant(clock=clock), clock).now
    assert math.isnan(now.evictions)
    assert math.isnan(now.expirations)


def test_the_next_one_finds_a_history(store: Store, clock: Clock) -> None:
    seen = []
    for _ in range(4):
        figures = see(store, clock)
        assert figures.history == seen
        seen.append(figures.now)
        clock.advance(5)


def test_samples_are_kept_every_few_seconds_only(store: Store, clock: Clock) -> None:
    for _ in range(11):
        figures = see(store, clock)
        clock.advance(1)
    assert [sample.at for sample in figures.history] == [clock.seconds - 11, clock.seconds - 6]


def test_the_history_is_bounded(store: Store, clock: Clock) -> None:
    for _ in range(300):
        figures = see(store, clock)
        clock.advance(5)
    assert len(figures.history) == 240
    stored = store.get(HISTORY)
    assert isinstance(stored, bytes)
    assert len(stored) < 22_000


def test_old_samples_are_dropped(store: Store, clock: Clock) -> None:
    see(store, clock)
    clock.advance(1800)
    see(store, clock)
    clock.advance(1801)
    assert len(see(store, clock).history) == 1
    clock.advance(3601)
    assert see(store, clock).history == []


def test_samples_of_a_clock_that_was_set_back_are_dropped(store: Store, clock: Clock) -> None:
    see(store, clock)
    clock.advance(-100)
    assert see(store, clock).history == []


@pytest.mark.parametrize("damage", [b"", b"\0", b"\0" + b"x" * 87, b"\0" + b"x" * 89, 5], ids=repr)
def test_a_damaged_history_is_begun_anew(store: Store, clock: Clock, damage: bytes | int) -> None:
    store.set(HISTORY, damage, None)
    assert see(store, clock).history == []
    clock.advance(5)
    assert len(see(store, clock).history) == 1


def test_own_counts_that_are_no_numbers_do_no_harm(store: Store, clock: Clock) -> None:
    store.set_many({OWN_HITS: b"text", OWN_MISSES: b"text"}, None)
    store.get(b"none")
    now = see(store, clock).now
    assert (now.hits, now.misses) == (0, 1)


def test_counts_never_fall_below_nothing(store: Store, clock: Clock) -> None:
    store.set_many({OWN_HITS: 1 << 40, OWN_MISSES: 1 << 40}, None)
    now = see(store, clock).now
    assert (now.hits, now.misses) == (0, 0)


class Refusing(MemoryStore):
    """A full store that evicts nothing."""

    def incr_many(self, *args: Any, **kwargs: Any) -> Any:
        raise StoreFull("full")

    def compare_and_set(self, *args: Any, **kwargs: Any) -> Any:
        raise StoreFull("full")


def test_a_full_store_has_figures_but_no_history(clock: Clock) -> None:
    store = Refusing(clock=clock)
    store.set(b"k", b"v", None)
    store.get(b"k")
    see(store, clock)
    clock.advance(5)
    figures = see(store, clock)
    assert figures.history == []
    assert figures.stats.entries == 1
    assert figures.latency.median > 0


@pytest.fixture
def sessions(tmp_path: Any, clock: Clock) -> Iterator[EmbeddedStore]:
    """Return a store that is full, as small as one can be."""
    options = DatabaseOptions(max_size=1 << 20, durability="process", eviction="none")
    environment = Environment.open(tmp_path / "sessions", options, clock=clock)
    store = EmbeddedStore(Database(environment))
    with suppress(StoreFull):
        for number in range(10_000):
            store.set(b"%d" % number, b"v" * 4000, None)
    yield store
    environment.close()


def test_a_real_full_store_loses_nothing(sessions: EmbeddedStore, clock: Clock) -> None:
    before = sessions.keys()
    see(sessions, clock)
    assert set(before) <= set(sessions.keys())


class Down(MemoryStore):
    """A store whose server is out of order."""

    def stats(self) -> Any:
        raise ConnectionFailed("refused")

    ping = stats


def test_a_server_that_is_out_of_order_is_an_error(clock: Clock) -> None:
    with pytest.raises(ConnectionFailed, match="refused"):
        see(Down(), clock)


def test_so_is_one_that_the_cache_goes_on_without(clock: Clock) -> None:
    with pytest.raises(ConnectionFailed, match="out of order"):
        see(cast(Store, TolerantStore(cast(AsyncStore, Down()))), clock)
