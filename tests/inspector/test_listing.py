"""Records chosen by prefix or pattern: listed, counted, deleted."""

from __future__ import annotations

from itertools import count as counter

import pytest

from kt_cache.inspector.listing import MOST_LOOKED_AT, PER_PAGE, Selection, count, delete, list_page, select
from kt_cache.reserved import Kind, reserved
from kt_cache.stores import Store
from kt_cache.stores.memory import MemoryStore

OWN = reserved(Kind.TAG, b"t")
KEYS = [b"a:1", b"a:2", b"a*", b"b:1", b"\x00user", b"\xff\xfe", "ü:1".encode(), OWN]


@pytest.fixture
def filled(store: Store) -> Store:
    """Return a store with a few keys of all kinds."""
    store.set_many(dict.fromkeys(KEYS, b"v"), None)
    return store


SELECTIONS = {
    "": set(KEYS) - {OWN},
    "a": {b"a:1", b"a:2", b"a*"},
    "a:": {b"a:1", b"a:2"},
    "a*": {b"a:1", b"a:2", b"a*"},
    "*": set(KEYS) - {OWN},
    "?:1": {b"a:1", b"b:1", "ü:1".encode()},
    "[ab]:1": {b"a:1", b"b:1"},
    "a\\*": {b"a*"},
    "ü": {"ü:1".encode()},
    "none": set(),
}


@pytest.mark.parametrize(("text", "keys"), SELECTIONS.items())
def test_what_is_written_chooses(filled: Store, text: str, keys: set[bytes]) -> None:
    page = list_page(filled, select(text), 1)
    assert {entry.key for entry in page.entries} == keys
    assert count(filled, select(text)).records == len(keys)


@pytest.mark.parametrize(("text", "keys"), SELECTIONS.items())
def test_what_is_written_is_deleted(filled: Store, text: str, keys: set[bytes]) -> None:
    assert delete(filled, select(text)) == len(keys)
    assert set(filled.keys()) == set(KEYS) - keys


def test_our_own_are_there_if_asked_for(filled: Store) -> None:
    assert {entry.key for entry in list_page(filled, select("", own=True), 1).entries} == set(KEYS)
    assert {entry.key for entry in list_page(filled, select("*", own=True), 1).entries} == set(KEYS)
    assert delete(filled, select("*", own=True)) == len(KEYS)
    assert filled.keys() == []


def test_a_prefix_of_ours_spares_ours(filled: Store) -> None:
    assert delete(filled, Selection(b"\0")) == 1
    assert OWN in filled.keys()  # noqa: SIM118 - a store is no mapping


def test_a_prefix_may_be_any_bytes(filled: Store) -> None:
    assert delete(filled, Selection(b"\xff")) == 1


def test_pages_follow_each_other(store: Store) -> None:
    keys = [b"%03d" % number for number in range(2 * PER_PAGE + 1)]
    store.set_many(dict.fromkeys(keys, b"v"), None)
    pages = [list_page(store, select(""), number) for number in (1, 2, 3, 4)]
    assert [entry.key for page in pages for entry in page.entries] == keys
    assert [len(page.entries) for page in pages] == [PER_PAGE, PER_PAGE, 1, 0]
    assert [page.has_next for page in pages] == [True, True, False, False]


def test_a_full_page_may_be_the_last(store: Store) -> None:
    store.set_many({b"%03d" % number: b"v" for number in range(PER_PAGE)}, None)
    assert list_page(store, select(""), 1).has_next is False


def test_sizes_are_added_up(store: Store) -> None:
    store.set_many({b"aa": b"v" * 10, b"ab": b"v" * 20}, None)
    assert count(store, select("a")) == (2, 34, False)


def test_many_are_deleted_in_batches(store: Store) -> None:
    store.set_many({b"k%04d" % number: b"v" for number in range(2500)}, None)
    assert delete(store, select("k*[0-9]")) == 2500


def test_the_time_is_bounded() -> None:
    store = MemoryStore()
    store.set_many({b"%04d" % number: b"v" for number in range(1000)}, None)
    ticks = counter()
    found = count(store, select(""), lambda: float(next(ticks)))
    assert found.is_cut is True
    assert found.records == 64 * 4 - 1


def test_so_is_the_number() -> None:
    store = MemoryStore()
    store.set_many({b"%06d" % number: b"v" for number in range(MOST_LOOKED_AT + 1)}, None)
    assert count(store, select(""), lambda: 0.0)[::2] == (MOST_LOOKED_AT, True)
    page = list_page(store, select("*x"), 1, lambda: 0.0)
    assert (page.entries, page.has_next, page.is_cut) == ([], False, True)
