"""Cursors: the rules of the Kyoto Tycoon protocol reference, sections 3.5 and 6.3, in both directions."""

from __future__ import annotations

import pytest

from kt_core.database import NEVER, Cursor, Database, Entry, Record
from kt_core.database.batch import Change
from tests.clock import Clock

LONG = [b"m" * 511, b"m" * 600]
KEYS = [b"", b"\0", b"\0a", b"b", b"d", b"f", *LONG, b"z"]


@pytest.fixture
def cursor(database: Database) -> Cursor:
    """A cursor over b, d and f, whose values are B, D and F."""
    for key in (b"b", b"d", b"f"):
        database.set(key, key.upper())
    return database.cursor()


def forward(cursor: Cursor) -> list[bytes]:
    """Return the keys that are read in steps, to the end."""
    keys = []
    while (key := cursor.get_key(step=True)) is not None:
        keys.append(key)
    return keys


def backward(cursor: Cursor) -> list[bytes]:
    """Return the keys that are read in steps back, to the beginning."""
    keys = []
    while (key := cursor.get_key()) is not None:
        keys.append(key)
        cursor.step_back()
    return keys


# -- positions -----------------------------------------------------------------------------------------


def test_a_new_cursor_stands_nowhere(cursor: Cursor) -> None:
    assert cursor.get() is None
    assert cursor.get_key() is None
    assert cursor.get_value() is None
    assert not cursor.step()
    assert not cursor.step_back()
    assert not cursor.set_value(b"new")
    assert not cursor.remove()
    assert cursor.seize() is None


@pytest.mark.parametrize("key", [None, b"", b"a", b"a" * 600])
def test_there_is_nowhere_to_jump_in_an_empty_database(database: Database, key: bytes | None) -> None:
    cursor = database.cursor()
    assert not cursor.jump(key)
    assert not cursor.jump_back(key)
    assert cursor.get() is None


@pytest.mark.parametrize(
    ("key", "found"),
    [(None, b"b"), (b"", b"b"), (b"\0", b"b"), (b"a", b"b"), (b"b", b"b"), (b"c", b"d"), (b"f", b"f"), (b"g", None)],
)
def test_a_jump_finds_the_first_key_not_below(cursor: Cursor, key: bytes | None, found: bytes | None) -> None:
    assert cursor.jump(key) is (found is not None)
    assert cursor.get_key() == found


@pytest.mark.parametrize(
    ("key", "found"),
    [(None, b"f"), (b"z", b"f"), (b"f", b"f"), (b"e", b"d"), (b"b", b"b"), (b"a", None), (b"\0", None), (b"", None)],
)
def test_a_jump_back_finds_the_last_key_not_above(cursor: Cursor, key: bytes | None, found: bytes | None) -> None:
    assert cursor.jump_back(key) is (found is not None)
    assert cursor.get_key() == found


@pytest.mark.parametrize("key", KEYS)
def test_any_key_can_be_jumped_to(database: Database, key: bytes) -> None:
    database.set_bulk([(each, each[:3], NEVER) for each in KEYS])
    cursor = database.cursor()
    assert cursor.jump(key)
    assert cursor.get() == Entry(key, Record(key[:3], NEVER))
    assert cursor.jump_back(key)
    assert cursor.get() == Entry(key, Record(key[:3], NEVER))


def test_a_walk_gives_every_key_once_in_either_direction(database: Database) -> None:
    database.set_bulk([(key, b"value", NEVER) for key in KEYS])
    cursor = database.cursor()
    cursor.jump()
    there = forward(cursor)
    cursor.jump_back()
    assert backward(cursor) == there[::-1]
    assert sorted(there) == KEYS
    assert [key for key in there if key not in LONG] == [key for key in KEYS if key not in LONG]


def test_past_the_end_the_cursor_stands_nowhere_until_the_next_jump(cursor: Cursor, database: Database) -> None:
    cursor.jump(b"f")
    assert not cursor.step()
    database.set(b"g", b"G")
    assert cursor.get() is None
    assert not cursor.step()
    assert not cursor.step_back()
    assert cursor.jump(b"g")


def test_before_the_beginning_the_cursor_stands_nowhere_until_the_next_jump(cursor: Cursor, database: Database) -> None:
    cursor.jump(b"b")
    assert not cursor.step_back()
    database.set(b"a", b"A")
    assert cursor.get() is None
    assert not cursor.step()
    assert not cursor.step_back()
    assert cursor.jump_back(b"a")


def test_a_failed_jump_leaves_the_cursor_nowhere(cursor: Cursor) -> None:
    cursor.jump()
    assert not cursor.jump(b"g")
    assert cursor.get() is None


def test_steps_lead_both_ways(cursor: Cursor) -> None:
    cursor.jump(b"b")
    assert cursor.step()
    assert cursor.get_key() == b"d"
    assert cursor.step()
    assert cursor.get_key() == b"f"
    assert cursor.step_back()
    assert cursor.get_key() == b"d"


def test_reading_with_step_goes_on_to_the_next(cursor: Cursor) -> None:
    cursor.jump()
    assert cursor.get(step=True) == Entry(b"b", Record(b"B", NEVER))
    assert cursor.get_value(step=True) == b"D"
    assert cursor.get_key(step=True) == b"f"
    assert cursor.get(step=True) is None


def test_reading_without_step_stays(cursor: Cursor) -> None:
    cursor.jump()
    assert [cursor.get_key(), cursor.get_key(), cursor.get_value()] == [b"b", b"b", b"B"]


def test_cursors_are_independent(cursor: Cursor, database: Database) -> None:
    other = database.cursor()
    cursor.jump(b"b")
    other.jump_back(b"f")
    cursor.step()
    assert cursor.get_key() == b"d"
    assert other.get_key() == b"f"


def test_a_cursor_sees_what_is_written_before_it(cursor: Cursor, database: Database) -> None:
    cursor.jump()
    database.set(b"c", b"C")
    assert forward(cursor) == [b"b", b"c", b"d", b"f"]


# -- writing under it ----------------------------------------------------------------------------------


def test_a_value_is_set_under_the_cursor(cursor: Cursor, database: Database, clock: Clock) -> None:
    cursor.jump(b"d")
    assert cursor.set_value(b"new", clock.after(5))
    assert database.get_record(b"d") == Record(b"new", clock.after(5))
    assert cursor.get_key() == b"d"


def test_setting_a_value_ends_a_given_expiry(cursor: Cursor, database: Database, clock: Clock) -> None:
    database.touch(b"d", clock.after(5))
    cursor.jump(b"d")
    cursor.set_value(b"new")
    assert database.get_record(b"d") == Record(b"new", NEVER)


def test_setting_a_value_with_step_goes_on_to_the_next(cursor: Cursor) -> None:
    cursor.jump(b"d")
    assert cursor.set_value(b"new", step=True)
    assert cursor.get_key() == b"f"
    assert cursor.set_value(b"last", step=True)
    assert cursor.get() is None


@pytest.mark.parametrize("key", KEYS)
def test_any_record_can_be_rewritten_and_removed_by_a_cursor(database: Database, key: bytes) -> None:
    database.set_bulk([(each, b"value", NEVER) for each in KEYS])
    cursor = database.cursor()
    cursor.jump(key)
    assert cursor.set_value(b"new")
    assert database.get(key) == b"new"
    assert cursor.seize() == Entry(key, Record(b"new", NEVER))
    assert database.get(key) is None
    assert database.count() == len(KEYS) - 1


def test_removal_leaves_the_cursor_on_the_next(cursor: Cursor, database: Database) -> None:
    cursor.jump(b"b")
    assert cursor.remove()
    assert cursor.get_key() == b"d"
    assert cursor.remove()
    assert cursor.remove()
    assert not cursor.remove()
    assert cursor.get() is None
    assert database.count() == 0


def test_seizing_returns_the_record_and_leaves_the_cursor_on_the_next(cursor: Cursor, database: Database) -> None:
    cursor.jump(b"b")
    assert cursor.seize() == Entry(b"b", Record(b"B", NEVER))
    assert cursor.get_key() == b"d"
    assert database.get(b"b") is None


@pytest.mark.parametrize("key", [b"b", b"d", b"f"])
@pytest.mark.parametrize("back", [False, True])
def test_removal_by_anyone_moves_the_cursor_to_the_next(
    cursor: Cursor, database: Database, key: bytes, back: bool
) -> None:
    """Whichever way the cursor came."""
    (cursor.jump_back if back else cursor.jump)(key)
    database.remove(key)
    assert cursor.get_key() == {b"b": b"d", b"d": b"f", b"f": None}[key]


@pytest.mark.parametrize("key", [b"b", b"d", b"f"])
def test_removal_by_a_cursor_that_came_backward_leaves_it_on_the_one_before(cursor: Cursor, key: bytes) -> None:
    cursor.jump_back(key)
    assert cursor.remove()
    assert cursor.get_key() == {b"b": None, b"d": b"b", b"f": b"d"}[key]


def test_a_step_while_reading_goes_the_way_the_cursor_came(cursor: Cursor) -> None:
    cursor.jump_back()
    assert forward(cursor) == [b"f", b"d", b"b"]
    cursor.jump()
    cursor.step()
    assert cursor.step_back()
    assert cursor.set_value(b"new", step=True)
    assert cursor.get() is None


def test_a_step_from_a_removed_record_skips_the_one_that_took_its_place(cursor: Cursor, database: Database) -> None:
    cursor.jump(b"b")
    database.remove(b"b")
    assert cursor.step()
    assert cursor.get_key() == b"f"
    database.remove(b"f")
    assert not cursor.step()


def test_a_step_back_from_a_removed_record_leads_before_it(cursor: Cursor, database: Database) -> None:
    cursor.jump(b"d")
    database.remove(b"d")
    assert cursor.step_back()
    assert cursor.get_key() == b"b"


def test_a_jump_to_a_key_takes_no_other(cursor: Cursor) -> None:
    assert cursor.jump_to(b"d")
    assert cursor.get_key() == b"d"
    assert not cursor.jump_to(b"c")
    assert cursor.get() is None


def test_a_change_in_a_shared_transaction_moves_the_cursor_only_afterwards(cursor: Cursor, database: Database) -> None:
    """It may be run twice, when there was no room at first."""
    cursor.jump_back(b"d")
    places = [place for _ in range(2) for place in database.change_all([Change(cursor.take, (), 0)])[:1]]
    assert [place.entry.key for place in places if place.entry] == [b"d", b"f"]
    assert cursor.stand(places[0]) == Entry(b"d", Record(b"D", NEVER))
    assert cursor.get_key() == b"b"


def test_clear_leaves_the_cursor_nowhere(cursor: Cursor, database: Database) -> None:
    cursor.jump(b"b")
    database.clear()
    assert cursor.get() is None
    database.set(b"d", b"D")
    assert cursor.get() is None
    assert cursor.jump()


# -- expired records -----------------------------------------------------------------------------------


@pytest.fixture
def expired(cursor: Cursor, database: Database, clock: Clock) -> Cursor:
    """The cursor of `cursor` where b, d and f live on among the expired a, c, e and g."""
    for key in (b"a", b"c", b"e", b"g"):
        database.set(key, b"dead", clock.after(1))
    clock.advance(1)
    return cursor


def test_walks_skip_expired_records(expired: Cursor) -> None:
    expired.jump()
    assert forward(expired) == [b"b", b"d", b"f"]
    expired.jump_back()
    assert backward(expired) == [b"f", b"d", b"b"]


def test_a_jump_onto_an_expired_record_succeeds_and_reads_the_next(expired: Cursor) -> None:
    assert expired.jump(b"c")
    assert expired.get_key() == b"d"


def test_a_jump_back_onto_an_expired_record_succeeds_and_reads_the_one_before(expired: Cursor) -> None:
    assert expired.jump_back(b"c")
    assert expired.get_key() == b"b"


@pytest.mark.parametrize("method", ["get", "get_key", "get_value", "seize"])
def test_reading_where_only_expired_records_follow_leaves_the_cursor_nowhere(expired: Cursor, method: str) -> None:
    assert expired.jump(b"g")
    assert getattr(expired, method)() is None
    assert not expired.step_back()
    assert expired.jump_back(b"a")
    assert getattr(expired, method)() is None
    assert not expired.step()


@pytest.mark.parametrize("back", [False, True])
def test_a_jump_succeeds_where_every_record_is_expired(database: Database, clock: Clock, back: bool) -> None:
    database.set(b"a", b"dead", clock.after(-1))
    cursor = database.cursor()
    assert cursor.jump_back() if back else cursor.jump()
    assert cursor.get() is None


def test_setting_a_value_skips_expired_records(expired: Cursor, database: Database) -> None:
    expired.jump(b"c")
    assert expired.set_value(b"new")
    assert database.get(b"d") == b"new"
    assert database.get(b"c") is None
    expired.jump_back(b"c")
    assert expired.set_value(b"old")
    assert database.get(b"b") == b"old"


def test_setting_a_value_fails_where_only_expired_records_follow(expired: Cursor) -> None:
    expired.jump(b"g")
    assert not expired.set_value(b"new", step=True)


def test_removal_skips_expired_records(expired: Cursor, database: Database) -> None:
    expired.jump(b"c")
    assert expired.remove()
    assert database.get(b"d") is None
    assert database.count() == 6
    expired.jump_back(b"c")
    assert expired.seize() == Entry(b"b", Record(b"B", NEVER))


def test_a_record_that_expires_under_the_cursor_is_skipped(database: Database, cursor: Cursor, clock: Clock) -> None:
    database.touch(b"d", clock.after(1))
    cursor.jump(b"d")
    clock.advance(0.5)
    assert cursor.get_key() == b"d"
    clock.advance(0.5)
    assert cursor.get_key() == b"f"


def test_a_read_tells_the_expiry(database: Database, cursor: Cursor, clock: Clock) -> None:
    database.touch(b"d", clock.after(1))
    cursor.jump(b"d")
    assert cursor.get() == Entry(b"d", Record(b"D", clock.after(1)))
