"""What only some stores can do, as mixins that go beside `StoreContract`."""

from __future__ import annotations

import pytest

from kt_cache.stores import Store
from tests.clock import Clock


class SubsecondExpiry:
    """Timeouts are exact to a few milliseconds."""

    @pytest.mark.parametrize("timeout", [0.002, 0.25, 1, 1.5, 86400.125])
    def test_a_record_lives_exactly_as_long_as_its_timeout(self, store: Store, clock: Clock, timeout: float) -> None:
        store.set_many({b"k": b"v", b"many": 1}, timeout)
        clock.advance(timeout - 0.001)
        assert store.get(b"k") == b"v"
        assert store.get_many([b"k", b"many"]) == {b"k": b"v", b"many": 1}
        assert store.exists(b"k") is True
        clock.advance(0.001 + 1e-6)
        assert store.get(b"k") is None
        assert store.get_many([b"k", b"many"]) == {}
        assert store.exists(b"k") is False

    def test_expire_at_is_exact(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", None)
        store.expire_at(b"k", clock() + 0.25)
        assert store.ttl(b"k") == pytest.approx(0.25, abs=0.002)
        clock.advance(0.2495)
        assert store.exists(b"k") is True
        clock.advance(0.0025)
        assert store.exists(b"k") is False

    def test_ttl_is_exact(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", 1.75)
        clock.advance(0.5)
        assert store.ttl(b"k") == pytest.approx(1.25, abs=0.002)


class Counting:
    """The store counts the reads that find something and those that do not."""

    def test_no_reads_have_no_hit_ratio(self, store: Store) -> None:
        assert store.stats().hit_ratio is None

    def test_reads_are_counted(self, store: Store) -> None:
        store.set(b"k", b"v", None)
        store.get(b"k")
        store.get(b"none")
        store.get_many([b"k", b"none", b"other"])
        store.get_with_ttl(b"k")
        store.get_with_ttl(b"none")
        stats = store.stats()
        assert (stats.hits, stats.misses) == (3, 4)
        assert stats.hit_ratio == 3 / 7

    def test_an_expired_record_is_a_miss(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", 1)
        clock.advance(3)
        store.get(b"k")
        store.get_many([b"k"])
        stats = store.stats()
        assert (stats.hits, stats.misses) == (0, 2)

    def test_nothing_else_counts_as_a_read(self, store: Store) -> None:
        store.set(b"k", 1, None)
        for key in (b"k", b"none"):
            store.exists(key)
            store.ttl(key)
            store.ttl_many([key])
            store.touch(key, 10)
            store.touch_many([key], 10)
            store.incr(key, 1)
            store.incr_many({key: 0})
            store.compare_and_set(key, 2, 3)
            store.add(key, 1, None)
            store.delete(key)
            store.set(key, 1, None)
            store.pop(key)
            store.pop(key)
        store.keys()
        store.ping()
        assert store.stats().hit_ratio is None


class Culling:
    """The store makes room by the number of its records."""

    def test_below_the_limit_all_stay(self, store: Store) -> None:
        store.set_many({b"%d" % number: b"v" for number in range(9)}, None)
        store.cull(10, 3)
        assert len(store.keys()) == 9

    @pytest.mark.parametrize(("divisor", "left"), [(1, 0), (2, 15), (3, 20), (30, 29), (31, 30), (0, 0)])
    def test_at_the_limit_one_in_divisor_goes(self, store: Store, divisor: int, left: int) -> None:
        store.set_many({b"%d" % number: b"v" for number in range(30)}, None)
        store.cull(30, divisor)
        assert len(store.keys()) == left

    def test_beyond_the_limit_one_in_divisor_goes(self, store: Store) -> None:
        store.set_many({b"%d" % number: b"v" for number in range(30)}, None)
        store.cull(-1, 3)
        assert len(store.keys()) == 20

    def test_an_empty_store_has_nothing_to_cull(self, store: Store) -> None:
        store.cull(0, 3)
        store.cull(-1, 0)
        assert store.keys() == []

    def test_thousands_are_culled_in_proportion(self, store: Store) -> None:
        store.set_many({b"%04d" % number: b"v" for number in range(3000)}, None)
        store.cull(3000, 2)
        assert len(store.keys()) == pytest.approx(1500, abs=5)


class CullingByUse(Culling):
    """Those records go first that were used least recently, and the store counts them."""

    def test_old_records_go_first(self, store: Store, clock: Clock) -> None:
        for number in range(9):
            store.set(b"%d" % number, b"v", None)
            clock.advance(1)
        store.set(b"0", b"v", None)
        store.cull(9, 3)
        assert sorted(store.keys()) == [b"0", b"4", b"5", b"6", b"7", b"8"]

    def test_records_that_are_read_stay(self, store: Store, clock: Clock) -> None:
        """Reads count as uses from the first call of cull on."""
        store.cull(100, 3)
        for number in range(9):
            store.set(b"%d" % number, b"v", None)
            clock.advance(1)
        store.get(b"0")
        clock.advance(1)
        store.get_many([b"1"])
        store.cull(9, 3)
        assert sorted(store.keys()) == [b"0", b"1", b"5", b"6", b"7", b"8"]

    def test_what_goes_is_counted(self, store: Store) -> None:
        store.set_many({b"%d" % number: b"v" for number in range(30)}, None)
        store.cull(30, 3)
        assert store.stats().evictions == 10
