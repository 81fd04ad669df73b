"""Deleting in batches: each is told of, none is larger than asked for, and no key is asked for before its turn."""

from __future__ import annotations

from collections.abc import Iterator

from kt_cache.deleting import delete_each
from kt_cache.stores.memory import MemoryStore


def test_each_batch_is_told_of() -> None:
    store = MemoryStore()
    store.set_many({b"%d" % number: 1 for number in range(5)}, None)
    keys = [b"0", b"1", b"gone", b"2", b"3"]
    assert list(delete_each(store, keys, 2)) == [2, 1, 1]
    assert store.keys() == [b"4"]


def test_nothing_is_listed_ahead() -> None:
    asked = []

    def keys() -> Iterator[bytes]:
        for key in (b"a", b"b", b"c"):
            asked.append(key)
            yield key

    deleting = delete_each(MemoryStore(), keys(), 2)
    assert asked == []
    next(deleting)
    assert asked == [b"a", b"b"]


def test_of_nothing_nothing_is_deleted() -> None:
    assert list(delete_each(MemoryStore(), [])) == []
