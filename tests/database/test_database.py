"""Every operation on records but counting, as the Kyoto Tycoon protocol reference has it (sections 3.5 and 5)."""

from __future__ import annotations

import pytest

from kt_core.database import NEVER, Database, DatabaseOptions, Environment, Record
from kt_core.errors import InvalidInput, StoreFull
from tests.clock import Clock

EDGE_KEYS = [b"", b"\0", b"\0a", b"\xff", b"k" * 510, b"k" * 511, b"k" * 600, b"\0" * 510, b"k" * 70_000]
KEY = b"key"


# -- one record ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", EDGE_KEYS)
@pytest.mark.parametrize("value", [b"", b"value", bytes(5000)])
def test_any_key_and_value_can_be_stored(database: Database, key: bytes, value: bytes, late: int) -> None:
    assert database.get(key) is None
    database.set(key, value, late)
    assert database.get(key) == value
    assert database.get_bulk([key]) == {key: value}
    assert database.get_record(key) == Record(value, late)
    assert database.check(key) == (len(value), late)
    assert not database.add(key, b"other")
    assert database.replace(key, value)
    assert database.touch(key, late)
    database.append(key, b"+")
    assert database.cas(key, value + b"+", value)
    assert database.seize(key) == Record(value, NEVER)
    assert not database.remove(key)
    assert database.count() == 0


def test_a_key_too_long_is_refused(database: Database) -> None:
    key = bytes((1 << 28) + 1)
    with pytest.raises(InvalidInput, match="up to 268435456"):
        database.set(key, b"value")


def test_keys_that_share_their_beginning_are_different(database: Database) -> None:
    one, other = b"k" * 600 + b"1", b"k" * 600 + b"2"
    database.set(one, b"1")
    assert database.get(other) is None
    assert database.get_bulk([one, other]) == {one: b"1"}
    assert database.add(other, b"2")
    assert database.get(one) == b"1"


def test_add_stores_only_where_there_is_none(database: Database) -> None:
    assert database.add(KEY, b"first")
    assert not database.add(KEY, b"second")
    assert database.get(KEY) == b"first"


def test_replace_stores_only_where_there_is_one(database: Database) -> None:
    assert not database.replace(KEY, b"first")
    assert database.get(KEY) is None
    database.set(KEY, b"first")
    assert database.replace(KEY, b"second")
    assert database.get(KEY) == b"second"


def test_append_stores_behind_what_is_there(database: Database) -> None:
    database.append(KEY, b"first")
    database.append(KEY, b"")
    database.append(KEY, b", second")
    assert database.get(KEY) == b"first, second"


def test_remove_tells_whether_there_was_one(database: Database) -> None:
    database.set(KEY, b"value")
    assert database.remove(KEY)
    assert not database.remove(KEY)


def test_seize_returns_what_it_removes(database: Database, soon: int) -> None:
    database.set(KEY, b"value", soon)
    assert database.seize(KEY) == Record(b"value", soon)
    assert database.seize(KEY) is None
    assert database.get(KEY) is None


def test_check_tells_size_and_expiry(database: Database, soon: int) -> None:
    assert database.check(KEY) is None
    database.set(KEY, b"value", soon)
    assert database.check(KEY) == (5, soon)


def test_touch_gives_another_expiry_and_keeps_the_value(database: Database, clock: Clock, late: int) -> None:
    assert not database.touch(KEY, late)
    database.set(KEY, b"value")
    assert database.touch(KEY, late)
    assert database.get_record(KEY) == Record(b"value", late)
    assert database.touch(KEY, NEVER)
    assert database.get_record(KEY) == Record(b"value", NEVER)
    assert database.touch(KEY, clock.after(0))
    assert database.get(KEY) is None
    assert not database.touch(KEY, late)


# -- compare and swap ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "old", "new", "done", "after"),
    [
        (None, None, b"new", True, b"new"),
        (None, None, None, True, None),
        (None, b"old", b"new", False, None),
        (None, b"old", None, False, None),
        (None, b"", b"new", False, None),
        (b"old", None, b"new", False, b"old"),
        (b"old", None, None, False, b"old"),
        (b"old", b"old", b"new", True, b"new"),
        (b"old", b"old", b"", True, b""),
        (b"old", b"old", None, True, None),
        (b"old", b"other", b"new", False, b"old"),
        (b"old", b"other", None, False, b"old"),
        (b"old", b"", b"new", False, b"old"),
        (b"", b"", b"new", True, b"new"),
        (b"", b"", None, True, None),
        (b"", None, b"new", False, b""),
    ],
)
def test_cas_swaps_only_what_it_expects(
    database: Database, stored: bytes | None, old: bytes | None, new: bytes | None, done: bool, after: bytes | None
) -> None:
    if stored is not None:
        database.set(KEY, stored)
    assert database.cas(KEY, old, new) is done
    assert database.get(KEY) == after


def test_cas_gives_a_new_record_the_expiry_even_if_it_should_keep_one(database: Database, soon: int) -> None:
    assert database.cas(KEY, None, b"new", soon, keep_expiry=True)
    assert database.get_record(KEY) == Record(b"new", soon)


# -- many records --------------------------------------------------------------------------------------


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("number", [0, 1, 127, 128, 129, 500])
def test_bulks_have_any_length(database: Database, number: int, atomic: bool, late: int) -> None:
    items = [(b"%d" % index, b"value %d" % index, late) for index in range(number)]
    assert database.set_bulk(iter(items), atomic=atomic) == number
    assert database.count() == number
    keys = [key for key, *_ in items]
    assert database.get_bulk(iter([*keys, b"none"])) == {key: value for key, value, _ in items}
    assert database.remove_bulk(iter([*keys, b"none"]), atomic=atomic) == number
    assert database.count() == 0


def test_bulks_take_any_keys(database: Database, late: int) -> None:
    items = [(key, b"value of %d" % len(key), late) for key in EDGE_KEYS]
    database.set_bulk(items)
    assert database.get_bulk(EDGE_KEYS) == {key: value for key, value, _ in items}
    assert [database.get_record(key) for key, *_ in items] == [Record(value, late) for _, value, _ in items]
    assert database.remove_bulk(EDGE_KEYS) == len(EDGE_KEYS)


@pytest.mark.parametrize("keys", [[], [b"a", b"b"], EDGE_KEYS, [b"%d" % index for index in range(300)]])
def test_many_values_can_expire_together(database: Database, keys: list[bytes], late: int) -> None:
    values = {key: b"value of %d" % len(key) for key in keys}
    assert database.set_all(values, late) == len(keys)
    assert database.get_bulk(values) == values
    assert [database.get_record(key) for key in keys] == [Record(value, late) for value in values.values()]
    assert database.set_all(values) == len(keys)
    assert all(record.expiry == NEVER for _, record in database.scan())


def test_the_last_of_a_bulk_wins(database: Database) -> None:
    assert database.set_bulk([(KEY, b"first", NEVER), (KEY, b"last", NEVER)]) == 2
    assert database.get(KEY) == b"last"
    assert database.remove_bulk([KEY, KEY]) == 1


@pytest.mark.parametrize("options", [DatabaseOptions(max_size=4 << 20)])
def test_an_atomic_bulk_that_fails_stores_nothing(database: Database) -> None:
    """A bulk that is not atomic may have stored a part."""
    items = [(b"%d" % index, bytes(10_000), NEVER) for index in range(400)]
    with pytest.raises(StoreFull):
        database.set_bulk(items, atomic=True)
    assert database.count() == 0


def test_a_bulk_of_records_that_each_fit_is_stored(database: Database) -> None:
    """However large they are together."""
    items = [(b"%d" % index, bytes(12_000), NEVER) for index in range(150)]
    assert database.set_bulk(items) == 150
    assert database.get_bulk([b"0", b"149"]) == {b"0": bytes(12_000), b"149": bytes(12_000)}


def test_clear_deletes_everything(database: Database) -> None:
    database.set_bulk([(b"%d" % index, b"value", NEVER) for index in range(500)])
    database.clear()
    assert database.count() == 0
    assert list(database.keys()) == []
    database.set(KEY, b"value")
    assert database.get(KEY) == b"value"


def test_vacuum_deletes_the_expired_of_all_databases(environment: Environment, clock: Clock) -> None:
    databases = [Database(environment, index) for index in range(3)]
    for database in databases:
        database.set(b"dead", b"value", clock.after(1))
        database.set(b"alive", b"value")
    assert databases[0].vacuum() == 0
    clock.advance(1)
    assert databases[0].vacuum() == 3
    assert [database.match_prefix(b"") for database in databases] == [[b"alive"]] * 3


@pytest.mark.parametrize(
    ("number", "divisor", "left"), [(300, 3, 200), (300, 1, 0), (2, 3, 2), (0, 3, 0), (5000, 2, 2500)]
)
def test_cull_deletes_one_in_so_many(database: Database, number: int, divisor: int, left: int) -> None:
    database.set_bulk([(b"%d" % index, b"", NEVER) for index in range(number)])
    database.cull(divisor)
    assert database.count() == pytest.approx(left, abs=5)


def test_cull_takes_the_least_recently_used(database: Database, environment: Environment, clock: Clock) -> None:
    keys = [b"%d" % index for index in range(30)] + [b"k" * 600 + b"%d" % index for index in range(30)]
    database.set_bulk([(key, b"value", NEVER) for key in keys])
    clock.advance(1)
    database.count_uses()
    kept = keys[::2]
    for key in kept:
        database.get(key)
    before = environment.counters()["evictions"]
    database.cull(2)
    assert set(database.keys()) == set(kept)
    assert environment.counters()["evictions"] - before == len(kept)


# -- listing -------------------------------------------------------------------------------------------


def test_a_scan_gives_records(database: Database, clock: Clock) -> None:
    database.set_bulk([(b"b", b"B", NEVER), (b"a", b"A", clock.after(1)), (b"a1", b"", clock.after(0))])
    assert list(database.scan()) == [(b"a", Record(b"A", clock.after(1))), (b"b", Record(b"B", NEVER))]
    assert list(database.scan(b"b")) == [(b"b", Record(b"B", NEVER))]


def test_a_scan_lets_others_write(database: Database) -> None:
    database.set_bulk([(b"%d" % number, b"value", NEVER) for number in range(9)])
    for key, _ in database.scan():
        assert database.remove(key)
    assert database.count() == 0


def test_what_is_removed_meanwhile_is_not_scanned(database: Database) -> None:
    database.set_bulk([(b"%d" % number, b"value", NEVER) for number in range(9)])
    found = database.scan()
    assert next(found)[0] == b"0"
    database.remove_bulk([b"1", b"2", b"8"])
    assert [key for key, _ in found] == [b"%d" % number for number in range(3, 8)]


# -- several databases, and figures about them ---------------------------------------------------------


def test_logical_databases_are_independent(environment: Environment) -> None:
    one, other = Database(environment, 0), Database(environment, 2)
    one.set(KEY, b"one")
    assert other.get(KEY) is None
    assert other.add(KEY, b"other")
    assert one.get(KEY) == b"one"
    assert list(other.scan()) == [(KEY, Record(b"other", NEVER))]
    other.clear()
    assert one.get_bulk([KEY]) == {KEY: b"one"}
    assert (one.count(), other.count()) == (1, 0)


def test_two_objects_may_stand_for_the_same_database(environment: Environment) -> None:
    Database(environment, 1).set(KEY, b"value")
    assert Database(environment, 1).get(KEY) == b"value"
    assert Database(environment, 1).environment is environment


@pytest.mark.parametrize("index", [-1, 3, 1000])
def test_there_are_only_as_many_databases_as_asked_for(environment: Environment, index: int) -> None:
    with pytest.raises(InvalidInput, match="has 3"):
        Database(environment, index)


def test_the_status_tells_the_shape_of_the_tree(database: Database, environment: Environment) -> None:
    empty = {"count": 0, "size": 0, "depth": 0, "branch_pages": 0, "leaf_pages": 0, "overflow_pages": 0}
    assert database.status() == empty
    database.set_bulk([(b"%d" % index, bytes(100), NEVER) for index in range(500)])
    database.set(b"large", bytes(20_000))
    status = database.status()
    assert status["count"] == database.count() == 501
    assert status["size"] == database.size()
    assert status["size"] > 500 * 100 + 20_000
    assert (status["depth"], status["branch_pages"]) == (2, 1)
    assert status["leaf_pages"] > 10
    assert status["overflow_pages"] == 5
    assert Database(environment, 1).status() == empty


def test_hits_and_misses_are_counted(database: Database, environment: Environment, clock: Clock) -> None:
    database.set(KEY, b"value")
    database.set(b"k" * 600, b"value")
    database.set(b"dead", b"value", clock.after(-1))
    for key in (KEY, b"k" * 600, b"dead", b"none"):
        database.get(key)
    database.get_bulk([KEY, b"dead", b"none", b"k" * 600])
    counters = environment.counters()
    assert (counters["hits"], counters["misses"]) == (4, 4)
