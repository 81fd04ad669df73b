"""What a sample of the records shows."""

from __future__ import annotations

import math
from itertools import count

import pytest

from kt_cache.inspector.survey import MOST_RECORDS, Survey, survey, take
from kt_cache.reserved import Kind, reserved
from kt_cache.stores import Entry, Store
from kt_cache.stores.embedded import EmbeddedStore
from tests.clock import Clock


def see(store: Store, clock: Clock, prefix: bytes = b"") -> Survey:
    return survey(store, prefix, clock=clock, timer=lambda: 0.0)


def groups(found: Survey) -> dict[bytes, int]:
    return {group.prefix: group.records for group in found.groups}


def test_an_empty_store(store: Store, clock: Clock) -> None:
    found = see(store, clock)
    assert (found.records, found.is_whole, found.own) == (0, True, 0)
    assert found.groups == found.largest == []
    assert all(life.records == 0 for life in found.lives)


def test_lives_are_sorted_by_time_left(store: Store, clock: Clock) -> None:
    for number, timeout in enumerate([5, 9, 30, 300, 1800, 7200, 50_000, 200_000, 1e6, None, None]):
        store.set(b"%02d" % number, b"v" * 8, timeout)
    assert [(life.name, life.records) for life in see(store, clock).lives] == [
        ("under 10 s", 2),
        ("10 s to 1 min", 1),
        ("1 to 10 min", 1),
        ("10 min to 1 h", 1),
        ("1 to 6 h", 1),
        ("6 h to 1 day", 1),
        ("1 to 7 days", 1),
        ("over 7 days", 1),
        ("for ever", 2),
    ]
    assert see(store, clock).lives[0].size == 2 * (2 + 8)


def test_prefixes_are_what_keys_share_up_to_a_separator(store: Store, clock: Clock) -> None:
    for number in range(10):
        store.set(b":1:user:%d:name" % number, b"v", None)
        store.set(b":1:page/%d" % number, b"v", None)
        store.set(b":1:plain%d" % number, b"v", None)
    found = see(store, clock)
    assert groups(found) == {b":1:user:": 10, b":1:page/": 10, b":1:": 10}
    assert [group.prefix for group in found.groups if group.is_rest] == [b":1:"]


def test_a_long_common_prefix_is_one(store: Store, clock: Clock) -> None:
    for number in range(10):
        store.set(b"django.contrib.sessions.cache%d" % number, b"v", None)
    assert groups(see(store, clock)) == {b"django.contrib.sessions.": 10}


def test_a_group_is_divided_only_while_that_says_something(store: Store, clock: Clock) -> None:
    for number in range(200):
        store.set(b"session:%d:data" % number, b"v", None)
    assert groups(see(store, clock)) == {b"session:": 200}


def test_small_groups_are_not_divided(store: Store, clock: Clock) -> None:
    for number in range(90):
        store.set(b"large:%d" % number, b"v", None)
    for name in (b"a", b"b"):
        for number in range(5):
            store.set(b"small:%s:%d" % (name, number), b"v", None)
    assert groups(see(store, clock)) == {b"large:": 90, b"small:": 10}


def test_prefixes_below_a_prefix(store: Store, clock: Clock) -> None:
    store.set_many(dict.fromkeys([b"a:x:1", b"a:x:2", b"a:x:3", b"a:y:1", b"b:x:1"], b"v"), None)
    found = see(store, clock, b"a:")
    assert found.records == 4
    assert groups(found) == {b"a:x:": 3, b"a:y:": 1}


def test_every_record_is_in_one_group(store: Store, clock: Clock) -> None:
    keys = [
        b"",
        b":",
        b"::",
        b"a",
        b"a:",
        b"a::b",
        b"a:b",
        b"\xff:\xfe",
        b"\x00",
        b"\x00:a",
        b"k" * 5000,
        b"k" * 300 + b":z",
    ]
    store.set_many(dict.fromkeys(keys, b"v"), None)
    found = see(store, clock)
    assert sum(group.records for group in found.groups) == len(keys) == found.records
    assert sum(group.size for group in found.groups) == sum(len(key) + 1 for key in keys)


def test_our_own_records_are_counted_apart(store: Store, clock: Clock) -> None:
    store.set_many({reserved(Kind.TAG, b"t"): 5, reserved(Kind.LOCK, b"l"): b"token", b"\0user": b"v"}, None)
    found = see(store, clock)
    assert (found.records, found.own) == (3, 2)
    assert [entry.key for entry in found.largest] == [b"\0user"]


def test_the_largest_come_first(store: Store, clock: Clock) -> None:
    for size in range(30):
        store.set(b"%02d" % size, b"v" * size, None)
    assert [entry.size for entry in see(store, clock).largest] == list(range(29, 19, -1))


def test_those_used_last_come_first(embedded: EmbeddedStore, clock: Clock) -> None:
    for number in range(15):
        embedded.set(b"g%d:k" % (number % 2), b"v", None)
        embedded.set(b"%02d" % number, b"v", None)
        clock.advance(10)
    found = see(embedded, clock)
    assert found.latest is not None
    assert [entry.key for entry in found.latest][:4] == [b"14", b"g0:k", b"13", b"g1:k"]
    recent = {group.prefix: group.recent for group in found.groups}
    assert recent[b"g0:"] == 1
    assert recent[b""] == 6


def test_a_store_may_not_know_uses(clock: Clock, store: Store) -> None:
    store.set(b"k", b"v", None)
    found = see(store, clock)
    knows = isinstance(store, EmbeddedStore)
    assert (found.latest is not None) is knows
    assert (found.groups[0].recent is not None) is knows


# -- how much is looked at ---------------------------------------------------------------------------------


def entries() -> list[Entry]:
    return [Entry(b"%d" % number, 1, math.inf, None) for number in range(MOST_RECORDS + 10)]


def test_so_many_records_are_looked_at() -> None:
    sample, is_whole = take(iter(entries()), lambda: 0.0)
    assert (len(sample), is_whole) == (MOST_RECORDS, False)


def test_as_many_as_there_are_may_be_all() -> None:
    sample, is_whole = take(iter(entries()[:MOST_RECORDS]), lambda: 0.0)
    assert (len(sample), is_whole) == (MOST_RECORDS, True)


def test_only_so_long_is_looked() -> None:
    ticks = count()
    sample, is_whole = take(iter(entries()), lambda: float(next(ticks)))
    assert is_whole is False
    assert len(sample) == 64 * 2


@pytest.mark.parametrize("number", [0, 1, 64, 65])
def test_a_few_are_all_looked_at(number: int) -> None:
    assert take(iter(entries()[:number]), lambda: 0.0) == (entries()[:number], True)
