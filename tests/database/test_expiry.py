"""When records disappear and what gives them another life: Kyoto Tycoon protocol reference, sections 3.4 and 3.5."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import Any

import pytest

from kt_core.database import NEVER, Database, Origin
from tests.clock import Clock

KEY = b"key"
INFINITE = (1 << 63) - 1

Operation = Callable[..., Any]


def integer(number: int) -> bytes:
    return pack(">q", number)


def double(whole: int) -> bytes:
    return pack(">qq", whole, 0)


@pytest.mark.parametrize("key", [KEY, b"k" * 600])
def test_a_record_is_seen_until_the_clock_reaches_its_expiry(database: Database, clock: Clock, key: bytes) -> None:
    database.set(key, b"value", clock.after(1))
    clock.seconds = clock.seconds + 1 - 1 / 1024
    assert database.get(key) == b"value"
    assert database.get_record(key) is not None
    assert database.get_bulk([key]) == {key: b"value"}
    clock.seconds = clock.seconds + 1 / 1024
    assert database.get(key) is None
    assert database.get_record(key) is None
    assert database.check(key) is None
    assert database.get_bulk([key]) == {}


def test_a_write_with_a_past_expiry_overwrites_a_live_record(database: Database, clock: Clock) -> None:
    database.set(KEY, b"value")
    database.set(KEY, b"dead", clock.after(-1))
    assert database.get(KEY) is None
    assert database.count() == 1


REPLACING: dict[str, tuple[bytes, Operation]] = {
    "set": (b"old", lambda database, *expiry: database.set(KEY, b"new", *expiry)),
    "set_bulk": (b"old", lambda database, expiry=NEVER: database.set_bulk([(KEY, b"new", expiry)])),
    "set_bulk_atomic": (b"old", lambda database, expiry=NEVER: database.set_bulk([(KEY, b"new", expiry)], atomic=True)),
    "replace": (b"old", lambda database, *expiry: database.replace(KEY, b"new", *expiry)),
    "append": (b"old", lambda database, *expiry: database.append(KEY, b"new", *expiry)),
    "increment": (integer(1), lambda database, *expiry: database.increment(KEY, 5, 0, *expiry)),
    "increment_set": (integer(1), lambda database, *expiry: database.increment(KEY, 5, Origin.SET, *expiry)),
    "increment_set_0": (integer(1), lambda database, *expiry: database.increment(KEY, 0, Origin.SET, *expiry)),
    "increment_try": (integer(1), lambda database, *expiry: database.increment(KEY, 5, Origin.TRY, *expiry)),
    "double": (double(1), lambda database, *expiry: database.increment_double(KEY, 5.0, 0.0, *expiry)),
    "double_tiny": (double(1), lambda database, *expiry: database.increment_double(KEY, 1e-18, 0.0, *expiry)),
    "double_set": (double(1), lambda database, *expiry: database.increment_double(KEY, 5.0, Origin.SET, *expiry)),
    "double_set_0": (double(1), lambda database, *expiry: database.increment_double(KEY, 0.0, Origin.SET, *expiry)),
    "cas": (b"old", lambda database, *expiry: database.cas(KEY, b"old", b"new", *expiry)),
    "cas_same": (b"old", lambda database, *expiry: database.cas(KEY, b"old", b"old", *expiry)),
}
KEEPING: dict[str, tuple[bytes, Operation]] = {
    "increment_0": (integer(1), lambda database, *expiry: database.increment(KEY, 0, 7, *expiry)),
    "increment_0_try": (integer(1), lambda database, *expiry: database.increment(KEY, 0, Origin.TRY, *expiry)),
    "increment_keep": (integer(1), lambda database, *expiry: database.increment(KEY, 5, 0, *expiry, keep_expiry=True)),
    "double_0": (double(1), lambda database, *expiry: database.increment_double(KEY, 0.0, 7.0, *expiry)),
    "double_0_try": (double(1), lambda database, *expiry: database.increment_double(KEY, 0.0, Origin.TRY, *expiry)),
    "double_of_infinity": (
        double(INFINITE),
        lambda database, *expiry: database.increment_double(KEY, 5.0, 0.0, *expiry),
    ),
    "cas_conflict": (b"old", lambda database, *expiry: database.cas(KEY, b"other", b"new", *expiry)),
    "cas_keep": (b"old", lambda database, *expiry: database.cas(KEY, b"old", b"new", *expiry, keep_expiry=True)),
    "add": (b"old", lambda database, *expiry: database.add(KEY, b"new", *expiry)),
    "get": (b"old", lambda database, *_: database.get(KEY)),
    "check": (b"old", lambda database, *_: database.check(KEY)),
    "get_record": (b"old", lambda database, *_: database.get_record(KEY)),
    "get_bulk": (b"old", lambda database, *_: database.get_bulk([KEY])),
    "match": (b"old", lambda database, *_: database.match_prefix(KEY)),
    "keys": (b"old", lambda database, *_: list(database.keys())),
    "scan": (b"old", lambda database, *_: list(database.scan())),
}


@pytest.mark.parametrize("name", REPLACING)
def test_a_write_gives_the_expiry_it_is_told_or_none(database: Database, name: str, soon: int, late: int) -> None:
    value, operation = REPLACING[name]
    database.set(KEY, value, soon)
    operation(database)
    assert database.get_record(KEY)[1] == NEVER  # type: ignore[index]
    database.set(KEY, value, soon)
    operation(database, late)
    assert database.get_record(KEY)[1] == late  # type: ignore[index]


@pytest.mark.parametrize("name", KEEPING)
def test_what_does_not_write_leaves_the_expiry(database: Database, name: str, soon: int, late: int) -> None:
    value, operation = KEEPING[name]
    database.set(KEY, value, soon)
    operation(database)
    assert database.get_record(KEY)[1] == soon  # type: ignore[index]
    operation(database, late)
    assert database.get_record(KEY)[1] == soon  # type: ignore[index]


MISSING: dict[str, tuple[Operation, Any, bytes | None, bool]] = {
    # What it returns, what is then there, and whether the expired record is still counted.
    "get": (lambda database: database.get(KEY), None, None, True),
    "get_bulk": (lambda database: database.get_bulk([KEY]), {}, None, True),
    "get_record": (lambda database: database.get_record(KEY), None, None, True),
    "check": (lambda database: database.check(KEY), None, None, True),
    "replace": (lambda database: database.replace(KEY, b"new"), False, None, True),
    "touch": (lambda database: database.touch(KEY, NEVER), False, None, True),
    "seize": (lambda database: database.seize(KEY), None, None, True),
    "remove": (lambda database: database.remove(KEY), False, None, False),
    "remove_bulk": (lambda database: database.remove_bulk([KEY]), 0, None, False),
    "remove_bulk_atomic": (lambda database: database.remove_bulk([KEY], atomic=True), 0, None, False),
    "add": (lambda database: database.add(KEY, b"new"), True, b"new", True),
    "append": (lambda database: database.append(KEY, b"new"), None, b"new", True),
    "increment": (lambda database: database.increment(KEY, 5, 7), 12, integer(12), True),
    "increment_try": (lambda database: database.increment(KEY, 5, Origin.TRY), None, None, True),
    "increment_set": (lambda database: database.increment(KEY, 5, Origin.SET), 5, integer(5), True),
    "increment_0": (lambda database: database.increment(KEY, 0, 7), 7, integer(7), True),
    "double": (lambda database: database.increment_double(KEY, 5, 7), 12.0, double(12), True),
    "double_try": (lambda database: database.increment_double(KEY, 5, Origin.TRY), None, None, True),
    "double_set": (lambda database: database.increment_double(KEY, 5, Origin.SET), 5.0, double(5), True),
    "double_0": (lambda database: database.increment_double(KEY, 0, 7), 7.0, double(7), True),
    "cas_create": (lambda database: database.cas(KEY, None, b"new"), True, b"new", True),
    "cas_nothing": (lambda database: database.cas(KEY, None, None), True, None, True),
    "cas_replace": (lambda database: database.cas(KEY, b"12345678", b"new"), False, None, True),
    "cas_remove": (lambda database: database.cas(KEY, b"12345678", None), False, None, True),
}


@pytest.mark.parametrize("name", MISSING)
def test_an_expired_record_counts_as_missing(database: Database, clock: Clock, name: str) -> None:
    operation, result, value, counted = MISSING[name]
    database.set(KEY, b"12345678", clock.after(1))
    clock.advance(1)
    assert operation(database) == result
    assert database.get(KEY) == value
    assert database.count() == counted


@pytest.mark.parametrize("name", MISSING)
def test_a_record_that_is_not_there_is_missing(database: Database, name: str) -> None:
    operation, result, value, _ = MISSING[name]
    assert operation(database) == result
    assert database.get(KEY) == value
    assert database.count() == (value is not None)
