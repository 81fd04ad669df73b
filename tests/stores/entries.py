"""What every store knows of its records without reading them, as a mixin that goes beside `StoreContract`."""

from __future__ import annotations

import math
from itertools import islice

import pytest

from kt_cache.stores import Store
from tests.clock import Clock

KEYS = {
    "empty": b"",
    "control characters": b"\x00\n\x1b\x7f",
    "not UTF-8": b"\xff\xfe",
    "markup": b"<script>alert(1)</script>",
    "ten kB": b"k" * 10_000,
}


class Entries:
    """Sizes and lives, in one walk."""

    def test_an_empty_store_has_no_entries(self, store: Store) -> None:
        assert list(store.iter_entries()) == []

    def test_entries_have_the_size_of_their_values(self, store: Store) -> None:
        sizes = {b"none": 0, b"one": 1, b"some": 300, b"many": 70_000}
        store.set_many({key: b"v" * size for key, size in sizes.items()}, None)
        store.set(b"counter", 5, None)
        assert {entry.key: entry.size for entry in store.iter_entries()} == {**sizes, b"counter": 8}

    def test_entries_have_the_time_left(self, store: Store) -> None:
        store.set(b"for ever", b"v", None)
        store.set(b"for a while", b"v", 600)
        left = {entry.key: entry.left for entry in store.iter_entries()}
        assert left == {b"for ever": math.inf, b"for a while": pytest.approx(600, abs=2)}

    def test_an_expired_record_is_no_entry(self, store: Store, clock: Clock) -> None:
        store.set(b"old", b"v", 1)
        store.set(b"new", b"v", None)
        clock.advance(3)
        assert [entry.key for entry in store.iter_entries()] == [b"new"]

    @pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
    def test_every_key_is_an_entry(self, store: Store, key: bytes) -> None:
        store.set(key, b"value", None)
        assert [(entry.key, entry.size) for entry in store.iter_entries()] == [(key, 5)]

    def test_only_those_with_the_prefix_are_entries(self, store: Store) -> None:
        store.set_many(dict.fromkeys([b"a", b"ab", b"abc", b"b", b"\x00ab"], b"v"), None)
        assert sorted(entry.key for entry in store.iter_entries(b"ab")) == [b"ab", b"abc"]
        assert list(store.iter_entries(b"none")) == []

    def test_more_than_a_batch_are_walked(self, store: Store) -> None:
        keys = [b"%04d" % number for number in range(1200)]
        store.set_many(dict.fromkeys(keys, b"v"), None)
        assert sorted(entry.key for entry in store.iter_entries()) == keys

    def test_a_walk_may_be_left(self, store: Store) -> None:
        store.set_many({b"%04d" % number: b"v" for number in range(700)}, None)
        assert len(list(islice(store.iter_entries(), 3))) == 3
        assert store.get(b"0000") == b"v"


class Uses:
    """The store notes when each record was last used; after the first call of `cull`, reads are uses, too."""

    def test_a_write_is_a_use(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", None)
        written = clock()
        clock.advance(100)
        assert [entry.used for entry in store.iter_entries()] == [pytest.approx(written, abs=0.002)]

    def test_a_read_is_a_use(self, store: Store, clock: Clock) -> None:
        store.cull(1000, 3)
        store.set(b"k", b"v", None)
        clock.advance(100)
        store.get(b"k")
        assert [entry.used for entry in store.iter_entries()] == [pytest.approx(clock(), abs=0.002)]


class Unread:
    """Looking at entries does not count as reading."""

    def test_looking_at_entries_is_no_read(self, store: Store) -> None:
        store.set(b"k", b"v", None)
        reads = store.stats().hits, store.stats().misses
        list(store.iter_entries())
        assert (store.stats().hits, store.stats().misses) == reads


class NoUses:
    """The store does not note when a record was last used."""

    def test_when_a_record_was_used_is_not_known(self, store: Store) -> None:
        store.set(b"k", b"v", None)
        store.get(b"k")
        assert [entry.used for entry in store.iter_entries()] == [None]
