"""Changes of many askers in one transaction: together where that goes, each alone where not, in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kt_core.database import NEVER, Database, DatabaseOptions, Environment, Origin
from kt_core.database.batch import Change
from kt_core.errors import NotACounter, StoreFull
from tests.clock import Clock


def store(database: Database, key: bytes, value: bytes) -> Change:
    row = database.operations.prepare(key, value, NEVER)
    return Change(database.operations.store, row, len(row[1]))


def add(database: Database, key: bytes, value: bytes) -> Change:
    return Change(database.operations.add, (key, value, NEVER), len(key) + len(value))


def append(database: Database, key: bytes, value: bytes) -> Change:
    return Change(database.operations.append, (key, value, NEVER), len(key) + len(value))


def count_up(database: Database, key: bytes) -> Change:
    return Change(database.operations.increment, (key, 1, Origin.TRY, NEVER, False, True), 8)


def remove(database: Database, key: bytes) -> Change:
    return Change(database.operations.remove, (key,), 0)


def transactions(environment: Environment) -> int:
    """Return how many transactions were committed so far."""
    return int(environment.handle.info()["last_txnid"])


def test_nothing_to_change_is_nothing(database: Database) -> None:
    assert database.change_all([]) == []


def test_stores_share_a_transaction(database: Database, environment: Environment) -> None:
    database.set(b"warm", b"up")
    before = transactions(environment)
    keys = [b"%d" % number for number in range(10)]
    assert database.change_all([store(database, key, key) for key in keys]) == [None] * 10
    assert transactions(environment) == before + 1
    assert database.get_bulk(keys) == {key: key for key in keys}


def test_changes_are_made_in_their_order(database: Database) -> None:
    changes = [
        add(database, b"k", b"first"),
        add(database, b"k", b"second"),
        append(database, b"k", b"!"),
        store(database, b"n", (41).to_bytes(8, "big")),
        count_up(database, b"n"),
        remove(database, b"none"),
        remove(database, b"k"),
        add(database, b"k", b"third"),
    ]
    assert database.change_all(changes) == [True, False, None, None, 42, False, True, True]
    assert database.get(b"k") == b"third"


def test_what_fails_fails_alone(database: Database) -> None:
    changes = [add(database, b"a", b"text"), count_up(database, b"a"), add(database, b"b", b"more")]
    first, failure, last = database.change_all(changes)
    assert (first, last) == (True, True)
    assert isinstance(failure, NotACounter)
    assert database.get(b"b") == b"more"


def test_many_changes_are_spread_over_bounded_transactions(database: Database, environment: Environment) -> None:
    database.set(b"warm", b"up")
    before = transactions(environment)
    changes = [store(database, b"%d" % number, b"v" * 1000) for number in range(300)]
    assert database.change_all(changes) == [None] * 300
    assert before + 3 <= transactions(environment) <= before + 20
    assert database.count() == 301


def test_an_append_that_needs_more_room_than_it_says_is_made(database: Database) -> None:
    """The room for it depends on what is there, which only its transaction sees."""
    for key in (b"a", b"b", b"c"):
        database.set(key, b"x" * 100_000)
    for _ in range(60):
        changes = [append(database, key, b"y") for key in (b"a", b"b", b"c")]
        assert database.change_all(changes) == [None] * 3
    assert database.get(b"b") == b"x" * 100_000 + b"y" * 60


@pytest.fixture
def small(tmp_path: Path, clock: Clock) -> Any:
    environment = Environment.open(tmp_path / "small", DatabaseOptions(1 << 20, eviction="none"), clock=clock)
    yield Database(environment)
    environment.close()


def test_a_full_database_refuses_what_does_not_fit_and_nothing_else(small: Database) -> None:
    outcomes = small.change_all([store(small, b"%03d" % number, b"v" * 10_000) for number in range(100)])
    stored = [number for number, outcome in enumerate(outcomes) if outcome is None]
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert refused
    assert all(isinstance(outcome, StoreFull) for outcome in refused)
    assert [int(key) for key in small.keys()] == stored  # noqa: SIM118 - it is no dictionary
    outcomes = small.change_all([remove(small, b"%03d" % number) for number in stored])
    assert outcomes == [True] * len(stored)


def test_records_are_found_with_their_expiry_in_the_order_asked_for(database: Database, clock: Clock) -> None:
    soon = clock.after(5)
    long = b"k" * 600
    database.set_bulk([(b"a", b"A", NEVER), (b"", b"empty", soon), (long, b"long", soon), (b"gone", b"G", soon - 5000)])
    found = database.find_all([long, b"none", b"", b"a", b"gone", b"a", b"k" * 601])
    a, empty = (b"A", NEVER), (b"empty", soon)
    assert found == [(b"long", soon), None, empty, a, None, a, None]
    assert database.find_all([b"a", b"none", b"a", b"gone"]) == [a, None, a, None]
    assert database.find_all([]) == []


def test_reading_records_counts_and_checking_one_does_not(database: Database, environment: Environment) -> None:
    database.set(b"a", b"A")
    database.find_all([b"a", b"b"])
    database.get_record(b"a")
    database.check(b"a")
    counters = environment.counters()
    assert (counters["hits"], counters["misses"]) == (2, 1)


@pytest.mark.parametrize(("limit", "most"), [(10, 10), (100, 106), (1000, 1062)])
def test_trimming_holds_the_number_of_records(database: Database, clock: Clock, limit: int, most: int) -> None:
    database.count_uses()
    for number in range(limit * 2):
        database.set(b"%05d" % number, b"v")
        database.trim(limit)
        assert database.count() <= most
        clock.advance(0.001)
    assert database.count() >= limit


def test_trimming_spares_what_is_used(database: Database, clock: Clock) -> None:
    database.count_uses()
    database.set(b"hot", b"v")
    for number in range(500):
        database.set(b"%03d" % number, b"v")
        assert database.get(b"hot") == b"v"
        database.trim(100)
        clock.advance(0.001)
    assert database.count() <= 106


def test_tidying_reclaims_what_has_expired(database: Database, environment: Environment, clock: Clock) -> None:
    database.set_bulk([(b"%d" % number, b"v", clock.after(1)) for number in range(50)])
    clock.advance(2)
    assert database.count() == 50
    for _ in range(4):
        environment.tidy()
    assert database.count() == 0
