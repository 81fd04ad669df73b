"""The Store contract, as tests that every store inherits; a test's name is the sentence it checks.

A subclass supplies the fixture `store`, which reads its time from the fixture `clock`. `StoreContract` asks for no
more precision than whole seconds; what only some stores can do is in `tests.stores.capabilities`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from kt_cache.stores import KEEP, Store
from kt_core.errors import CounterOverflow, InvalidInput, NotACounter
from tests.clock import Clock

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

KEYS = {
    "plain": b"key",
    "empty": b"",
    "nul": b"\0",
    "nul first": b"\0key",
    "nul inside": b"a\0b",
    "high bytes": b"\xff\xfe\xff",
    "250 bytes": b"k" * 250,
    "511 bytes": b"k" * 511,
    "600 bytes": b"k" * 600,
}
VALUES = {
    "empty": b"",
    "one byte": b"\0",
    "seven bytes": b"1234567",
    "nine bytes": b"123456789",
    "digits": b"42",
    "20 kB": bytes(range(256)) * 80,
    "zero": 0,
    "one": 1,
    "negative": -1,
    "largest": INT64_MAX,
    "smallest": INT64_MIN,
}
OVER = {"zero": 0, "zero float": 0.0, "negative": -1, "long ago": -1e12, "minus infinity": -math.inf}
FOR_EVER = {"none": None, "a million years": 3e13, "huge": 1e300, "infinity": math.inf}

keys = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
values = pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
over = pytest.mark.parametrize("timeout", OVER.values(), ids=OVER.keys())
for_ever = pytest.mark.parametrize("timeout", FOR_EVER.values(), ids=FOR_EVER.keys())

# What each operation answers, and does, where there is no record under b"k" or only an expired one.
ON_NOTHING: dict[str, tuple[Callable[[Store], object], object]] = {
    "get": (lambda store: store.get(b"k"), None),
    "get_with_ttl": (lambda store: store.get_with_ttl(b"k"), None),
    "get_many": (lambda store: store.get_many([b"k"]), {}),
    "add": (lambda store: store.add(b"k", b"new", None), True),
    "replace": (lambda store: store.replace(b"k", b"new", None), False),
    "delete": (lambda store: store.delete(b"k"), False),
    "delete_many": (lambda store: store.delete_many([b"k"]), 0),
    "pop": (lambda store: store.pop(b"k"), None),
    "touch": (lambda store: store.touch(b"k", 10), False),
    "touch away": (lambda store: store.touch(b"k", 0), False),
    "touch_many": (lambda store: store.touch_many([b"k"], 10), []),
    "touch_many away": (lambda store: store.touch_many([b"k"], 0), []),
    "replace away": (lambda store: store.replace(b"k", b"new", 0), False),
    "incr": (lambda store: store.incr(b"k", 1), None),
    "incr by nothing": (lambda store: store.incr(b"k", 0), None),
    "incr with initial": (lambda store: store.incr(b"k", 1, initial=10), 11),
    "incr_many": (lambda store: store.incr_many({b"k": 1}), {}),
    "incr_many by nothing": (lambda store: store.incr_many({b"k": 0}), {}),
    "incr_many with initial": (lambda store: store.incr_many({b"k": 1}, initial=10), {b"k": 11}),
    "compare_and_set": (lambda store: store.compare_and_set(b"k", 5, b"new"), False),
    "compare_and_set from nothing": (lambda store: store.compare_and_set(b"k", None, b"new"), True),
    "exists": (lambda store: store.exists(b"k"), False),
    "ttl": (lambda store: store.ttl(b"k"), None),
    "ttl_many": (lambda store: store.ttl_many([b"k"]), {}),
    "expire_at": (lambda store: store.expire_at(b"k", 2e9), False),
    "persist": (lambda store: store.persist(b"k"), False),
    "keys": (lambda store: store.keys(), []),
    "iter_keys": (lambda store: list(store.iter_keys()), []),
    "clear_prefix": (lambda store: store.clear_prefix(b"k"), 0),
}
on_nothing = pytest.mark.parametrize(("operation", "answer"), ON_NOTHING.values(), ids=ON_NOTHING.keys())

# The operations that take a timeout.
WITH_TIMEOUT: dict[str, Callable[[Store, float], object]] = {
    "set": lambda store, timeout: store.set(b"new", b"v", timeout),
    "set_many": lambda store, timeout: store.set_many({b"new": b"v"}, timeout),
    "add": lambda store, timeout: store.add(b"new", b"v", timeout),
    "add over a record": lambda store, timeout: store.add(b"there", b"v", timeout),
    "replace": lambda store, timeout: store.replace(b"there", b"v", timeout),
    "replace nothing": lambda store, timeout: store.replace(b"new", b"v", timeout),
    "touch": lambda store, timeout: store.touch(b"there", timeout),
    "touch nothing": lambda store, timeout: store.touch(b"new", timeout),
    "touch_many": lambda store, timeout: store.touch_many([b"there", b"new"], timeout),
    "incr": lambda store, timeout: store.incr(b"new", 1, initial=0, timeout=timeout),
    "incr in vain": lambda store, timeout: store.incr(b"counter", 1, initial=0, timeout=timeout),
    "incr_many": lambda store, timeout: store.incr_many({b"counter": 1, b"new": 1}, initial=0, timeout=timeout),
    "compare_and_set": lambda store, timeout: store.compare_and_set(b"there", b"old", b"v", timeout),
    "compare_and_set in vain": lambda store, timeout: store.compare_and_set(b"there", b"no", b"v", timeout),
    "expire_at": lambda store, timeout: store.expire_at(b"there", timeout),
}
with_timeout = pytest.mark.parametrize("operation", WITH_TIMEOUT.values(), ids=WITH_TIMEOUT.keys())


class StoreContract:
    """What every store does, in whatever it keeps its records."""

    # -- keys and values ---------------------------------------------------------------------------------

    def test_get_returns_none_where_nothing_is(self, store: Store) -> None:
        assert store.get(b"k") is None

    @keys
    def test_any_bytes_are_a_key(self, store: Store, key: bytes) -> None:
        store.set(key, b"v", None)
        assert store.get(key) == b"v"
        assert store.get_many([key]) == {key: b"v"}
        assert store.keys() == [key]
        assert store.exists(key) is True
        assert store.touch(key, 10) is True
        assert store.compare_and_set(key, b"v", 1, KEEP) is True
        assert store.incr(key, 1) == 2
        assert store.delete(key) is True
        assert store.get(key) is None

    def test_keys_differ_in_every_byte(self, store: Store) -> None:
        records = {key: b"<" + key + b">" for key in KEYS.values()}
        records |= {b"k" * 600 + bytes((last,)): b"%d" % last for last in range(3)}
        assert store.set_many(records, None) == []
        assert {key: store.get(key) for key in records} == records
        assert store.get_many(records) == records

    @values
    def test_a_value_comes_back_as_it_was(self, store: Store, value: bytes | int) -> None:
        store.set(b"k", value, None)
        store.set_many({b"many": value}, None)
        store.add(b"added", value, None)
        for key in (b"k", b"many", b"added"):
            got = store.get(key)
            assert got == value
            assert type(got) is type(value)
        assert store.get_many([b"k"]) == {b"k": value}

    def test_a_counter_and_its_digits_are_different_values(self, store: Store) -> None:
        store.set_many({b"counter": 42, b"digits": b"42"}, None)
        assert store.get_many([b"counter", b"digits"]) == {b"counter": 42, b"digits": b"42"}

    def test_eight_bytes_are_a_counter(self, store: Store) -> None:
        store.set(b"k", b"\0\0\0\0\0\0\1\2", None)
        assert store.get(b"k") == 258
        assert store.get_many([b"k"]) == {b"k": 258}
        assert store.compare_and_set(b"k", 258, b"\0\0\0\0\0\0\0\5") is True
        assert store.incr(b"k", 1) == 6

    # -- timeouts ----------------------------------------------------------------------------------------

    @for_ever
    def test_a_record_without_a_timeout_lives_for_ever(self, store: Store, clock: Clock, timeout: float | None) -> None:
        store.set(b"set", b"v", timeout)
        store.set_many({b"many": b"v"}, timeout)
        store.add(b"added", b"v", timeout)
        clock.advance(100 * 366 * 86400)
        assert store.get_many([b"set", b"many", b"added"]) == {b"set": b"v", b"many": b"v", b"added": b"v"}

    def test_a_record_lives_as_long_as_its_timeout(self, store: Store, clock: Clock) -> None:
        store.set(b"set", b"v", 10)
        store.set_many({b"many": b"v"}, 10.25)
        store.add(b"added", b"v", 10)
        clock.advance(9)
        assert sorted(store.get_many([b"set", b"many", b"added"])) == [b"added", b"many", b"set"]
        clock.advance(3)
        assert store.get_many([b"set", b"many", b"added"]) == {}

    def test_the_smallest_timeout_still_ends(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", 1e-9)
        clock.advance(2)
        assert store.get(b"k") is None

    def test_setting_again_sets_the_timeout_again(self, store: Store, clock: Clock) -> None:
        store.set(b"longer", b"v", 5)
        store.set(b"longer", b"v", 50)
        store.set(b"shorter", b"v", 50)
        store.set(b"shorter", b"v", 5)
        clock.advance(10)
        assert store.get_many([b"longer", b"shorter"]) == {b"longer": b"v"}

    @over
    def test_set_with_a_timeout_that_is_over_deletes(self, store: Store, timeout: float) -> None:
        store.set(b"k", b"old", None)
        assert store.set(b"k", b"new", timeout) is True
        assert store.set(b"none", b"new", timeout) is True
        assert store.get(b"k") is None
        assert store.keys() == []

    @over
    def test_set_many_with_a_timeout_that_is_over_deletes(self, store: Store, timeout: float) -> None:
        store.set(b"k", b"old", None)
        assert store.set_many({b"k": b"new", b"l": b"new"}, timeout) == []
        assert store.keys() == []

    @over
    def test_add_with_a_timeout_that_is_over_makes_nothing(self, store: Store, timeout: float) -> None:
        store.set(b"there", b"old", None)
        assert store.add(b"k", b"new", timeout) is True
        assert store.add(b"there", b"new", timeout) is False
        assert store.get_many([b"k", b"there"]) == {b"there": b"old"}

    @over
    def test_replace_with_a_timeout_that_is_over_deletes(self, store: Store, timeout: float) -> None:
        store.set(b"k", b"old", None)
        assert store.replace(b"k", b"new", timeout) is True
        assert store.get(b"k") is None

    @over
    def test_touch_with_a_timeout_that_is_over_deletes(self, store: Store, timeout: float) -> None:
        store.set(b"k", b"v", None)
        assert store.touch(b"k", timeout) is True
        assert store.get(b"k") is None

    @over
    def test_touch_many_with_a_timeout_that_is_over_deletes(self, store: Store, timeout: float) -> None:
        store.set_many({b"a": b"v", b"b": 1, b"other": 2}, None)
        assert sorted(store.touch_many([b"a", b"none", b"b", b"a"], timeout)) == [b"a", b"b"]
        assert store.keys() == [b"other"]

    @over
    def test_compare_and_set_with_a_timeout_that_is_over_deletes(self, store: Store, timeout: float) -> None:
        store.set(b"k", b"old", None)
        assert store.compare_and_set(b"k", b"old", b"new", timeout) is True
        assert store.compare_and_set(b"absent", None, b"new", timeout) is True
        assert store.get_many([b"k", b"absent"]) == {}

    @over
    def test_incr_with_a_timeout_that_is_over_makes_nothing(self, store: Store, timeout: float) -> None:
        assert store.incr(b"k", 1, initial=1, timeout=timeout) == 2
        assert store.incr_many({b"k": 1, b"l": 2}, initial=1, timeout=timeout) == {b"k": 2, b"l": 3}
        assert store.keys() == []

    @with_timeout
    def test_nan_is_no_timeout(self, store: Store, operation: Callable[[Store, float], object]) -> None:
        store.set_many({b"there": b"old", b"counter": 5}, None)
        with pytest.raises(InvalidInput, match="NaN"):
            operation(store, math.nan)
        assert store.get_many([b"there", b"new", b"counter"]) == {b"there": b"old", b"counter": 5}
        assert store.ttl(b"there") == math.inf

    @on_nothing
    def test_an_absent_record_is_absent_for(
        self, store: Store, operation: Callable[[Store], object], answer: object
    ) -> None:
        assert operation(store) == answer

    @on_nothing
    def test_an_expired_record_is_absent_for(
        self, store: Store, clock: Clock, operation: Callable[[Store], object], answer: object
    ) -> None:
        store.set(b"k", 5, 10)
        clock.advance(12)
        assert operation(store) == answer

    @pytest.mark.parametrize("end", [b"new", 7])
    def test_what_takes_the_place_of_an_expired_record_has_its_own_timeout(
        self, store: Store, clock: Clock, end: bytes | int
    ) -> None:
        store.set_many({b"add": b"old", b"cas": b"old"}, 10)
        clock.advance(12)
        assert store.add(b"add", end, 10) is True
        assert store.compare_and_set(b"cas", None, end, 10) is True
        clock.advance(8)
        assert store.get_many([b"add", b"cas"]) == {b"add": end, b"cas": end}
        clock.advance(4)
        assert store.keys() == []

    # -- many records ------------------------------------------------------------------------------------

    def test_get_many_returns_those_that_have_a_value(self, store: Store) -> None:
        store.set_many({b"a": b"1", b"b": 2, b"empty": b""}, None)
        assert store.get_many([b"a", b"b", b"empty", b"none"]) == {b"a": b"1", b"b": 2, b"empty": b""}

    def test_get_many_takes_any_iterable(self, store: Store) -> None:
        store.set(b"a", b"1", None)
        assert store.get_many(iter([b"a", b"b"])) == {b"a": b"1"}
        assert store.get_many({b"a": "a dict"}) == {b"a": b"1"}
        assert store.get_many([b"a", b"a"]) == {b"a": b"1"}

    def test_no_keys_are_no_records(self, store: Store) -> None:
        store.set(b"k", b"v", None)
        assert store.get_many([]) == {}
        assert store.set_many({}, None) == []
        assert store.set_many({}, 0) == []
        assert store.delete_many([]) == 0
        assert store.touch_many([], 10) == []
        assert store.touch_many([], 0) == []
        assert store.ttl_many([]) == {}
        assert store.incr_many({}, initial=1) == {}
        assert store.keys() == [b"k"]

    def test_set_many_stores_whatever_was_there(self, store: Store) -> None:
        store.set(b"a", b"old", 10)
        assert store.set_many({b"a": b"new", b"b": 2}, None) == []
        assert store.get_many([b"a", b"b"]) == {b"a": b"new", b"b": 2}
        assert store.ttl(b"a") == math.inf

    def test_many_may_be_a_thousand(self, store: Store) -> None:
        records = {b"%04d" % number: b"the value %d" % number for number in range(1000)}
        assert store.set_many(records, None) == []
        assert store.get_many(records) == records
        assert sorted(store.keys()) == sorted(records)
        assert store.delete_many(records) == 1000
        assert store.keys() == []

    def test_delete_many_returns_how_many_there_were(self, store: Store) -> None:
        store.set_many({b"a": b"1", b"b": 2, b"c": b"3"}, None)
        assert store.delete_many(iter([b"a", b"b", b"none"])) == 2
        assert store.keys() == [b"c"]

    @pytest.mark.parametrize("timeout", [100, 2, 100.5])
    def test_touch_many_gives_another_timeout(self, store: Store, timeout: float) -> None:
        store.set_many({b"a": b"", b"b": 2, b"other": b"3"}, 10)
        assert sorted(store.touch_many(iter([b"a", b"none", b"b"]), timeout)) == [b"a", b"b"]
        assert store.get_many([b"a", b"b", b"other", b"none"]) == {b"a": b"", b"b": 2, b"other": b"3"}
        assert store.ttl(b"a") == pytest.approx(timeout, abs=1)
        assert store.ttl(b"b") == pytest.approx(timeout, abs=1)
        assert store.ttl(b"other") == pytest.approx(10, abs=1)

    @for_ever
    def test_touch_many_can_make_records_permanent(self, store: Store, clock: Clock, timeout: float | None) -> None:
        store.set_many({b"a": b"1", b"b": 2}, 10)
        assert sorted(store.touch_many([b"a", b"b"], timeout)) == [b"a", b"b"]
        clock.advance(1e9)
        assert store.get_many([b"a", b"b"]) == {b"a": b"1", b"b": 2}

    def test_touch_many_names_each_key_once(self, store: Store) -> None:
        store.set(b"a", b"1", 10)
        assert store.touch_many([b"a", b"none", b"a", b"none"], 100) == [b"a"]

    def test_touched_may_be_hundreds(self, store: Store) -> None:
        records = {b"%03d" % number: b"value %d" % number for number in range(0, 300, 2)}
        store.set_many(records, 10)
        every = [b"%03d" % number for number in range(300)]
        assert sorted(store.touch_many(every, 1000)) == sorted(records)
        left = store.ttl_many(every)
        assert left == dict.fromkeys(records, pytest.approx(1000, abs=1))
        assert sorted(store.touch_many(every, 0)) == sorted(records)
        assert store.keys() == []

    def test_ttl_many_returns_the_seconds_left_of_those_that_there_are(self, store: Store, clock: Clock) -> None:
        store.set_many({b"a": b"1", b"zero": 0}, 100)
        store.set_many({b"never": b"", b"k" * 600: 5}, None)
        clock.advance(40)
        left = store.ttl_many(iter([b"a", b"none", b"zero", b"never", b"a", b"k" * 600]))
        assert left == {
            b"a": pytest.approx(60, abs=1), b"zero": pytest.approx(60, abs=1), b"never": math.inf, b"k" * 600: math.inf
        }  # fmt: skip

    # -- one record --------------------------------------------------------------------------------------

    def test_set_stores_whatever_was_there(self, store: Store) -> None:
        for value in (b"bytes", 1, b"", 2):
            store.set(b"k", value, None)
            assert store.get(b"k") == value

    def test_set_tells_that_it_was_possible(self, store: Store) -> None:
        assert store.set(b"k", b"v", None) is True
        assert store.set(b"k", 5, 10) is True
        assert store.set(b"k" * 600, b"", 10) is True

    @values
    def test_get_with_ttl_returns_value_and_seconds_left(self, store: Store, clock: Clock, value: bytes | int) -> None:
        store.set(b"k", value, 100)
        store.set(b"never", value, None)
        clock.advance(40)
        got = store.get_with_ttl(b"k")
        assert got == (value, pytest.approx(60, abs=1))
        assert type(got[0]) is type(value)
        assert store.get_with_ttl(b"never") == (value, math.inf)

    @values
    def test_pop_deletes_and_returns_the_value(self, store: Store, value: bytes | int) -> None:
        store.set(b"k", value, 10)
        store.set(b"other", b"v", None)
        got = store.pop(b"k")
        assert got == value
        assert type(got) is type(value)
        assert store.pop(b"k") is None
        assert store.keys() == [b"other"]

    @keys
    def test_any_bytes_are_the_key_of_many_operations(self, store: Store, key: bytes) -> None:
        assert store.incr_many({key: 5}, initial=1, timeout=10) == {key: 6}
        assert store.touch_many([key], None) == [key]
        assert store.ttl_many([key]) == {key: math.inf}
        assert store.get_with_ttl(key) == (6, math.inf)
        assert store.pop(key) == 6

    def test_add_stores_where_nothing_is(self, store: Store) -> None:
        assert store.add(b"k", b"first", None) is True
        assert store.add(b"k", b"second", None) is False
        assert store.get(b"k") == b"first"

    def test_add_sees_an_empty_value_and_a_zero(self, store: Store) -> None:
        store.set_many({b"empty": b"", b"zero": 0}, None)
        assert store.add(b"empty", b"new", None) is False
        assert store.add(b"zero", 1, None) is False
        assert store.get_many([b"empty", b"zero"]) == {b"empty": b"", b"zero": 0}

    def test_add_leaves_the_timeout_of_what_is_there(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", 10)
        store.add(b"k", b"new", 100)
        clock.advance(12)
        assert store.get(b"k") is None

    def test_replace_stores_where_something_is(self, store: Store) -> None:
        assert store.replace(b"k", b"new", None) is False
        assert store.get(b"k") is None
        store.set(b"k", b"old", 10)
        assert store.replace(b"k", b"new", None) is True
        assert store.get(b"k") == b"new"
        assert store.ttl(b"k") == math.inf

    def test_delete_tells_whether_there_was_one(self, store: Store) -> None:
        store.set_many({b"k": b"", b"zero": 0}, None)
        assert store.delete(b"k") is True
        assert store.delete(b"k") is False
        assert store.delete(b"zero") is True
        assert store.get(b"k") is None

    def test_exists_tells_whether_there_is_one(self, store: Store) -> None:
        store.set_many({b"empty": b"", b"zero": 0}, None)
        assert store.exists(b"empty") is True
        assert store.exists(b"zero") is True
        assert store.exists(b"k") is False

    # -- expiry ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("value", [b"value", b"", 5])
    def test_touch_gives_another_timeout(self, store: Store, clock: Clock, value: bytes | int) -> None:
        store.set_many({b"longer": value, b"shorter": value}, 10)
        assert store.touch(b"longer", 100) is True
        assert store.touch(b"shorter", 2) is True
        clock.advance(20)
        assert store.get_many([b"longer", b"shorter"]) == {b"longer": value}
        assert store.touch(b"shorter", 100) is False

    @for_ever
    def test_touch_can_make_a_record_permanent(self, store: Store, clock: Clock, timeout: float | None) -> None:
        store.set(b"k", b"v", 10)
        assert store.touch(b"k", timeout) is True
        clock.advance(1e9)
        assert store.get(b"k") == b"v"

    def test_ttl_is_the_seconds_left(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", 100)
        assert store.ttl(b"k") == pytest.approx(100, abs=1)
        clock.advance(40)
        assert store.ttl(b"k") == pytest.approx(60, abs=1)

    def test_ttl_is_infinite_for_what_never_expires(self, store: Store) -> None:
        store.set(b"k", b"v", None)
        assert store.ttl(b"k") == math.inf

    def test_persist_makes_a_record_permanent(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", 10)
        assert store.persist(b"k") is True
        assert store.persist(b"k") is True
        clock.advance(1e9)
        assert store.get(b"k") == b"v"
        assert store.ttl(b"k") == math.inf

    def test_expire_at_sets_a_time(self, store: Store, clock: Clock) -> None:
        store.set(b"k", b"v", None)
        assert store.expire_at(b"k", clock() + 10) is True
        clock.advance(9)
        assert store.get(b"k") == b"v"
        clock.advance(3)
        assert store.get(b"k") is None

    @pytest.mark.parametrize("when", [0, -1e12, 1_000_000_000, -math.inf])
    def test_expire_at_a_time_past_deletes(self, store: Store, when: float) -> None:
        store.set(b"k", b"v", None)
        assert store.expire_at(b"k", when) is True
        assert store.get(b"k") is None
        assert store.expire_at(b"k", when) is False

    @pytest.mark.parametrize("when", [1e13, 1e20, 1e300, math.inf])
    def test_expire_at_takes_any_time_to_come(self, store: Store, clock: Clock, when: float) -> None:
        store.set(b"k", b"v", 10)
        assert store.expire_at(b"k", when) is True
        clock.advance(1e9)
        assert store.get(b"k") == b"v"

    # -- counters ----------------------------------------------------------------------------------------

    def test_incr_adds_and_returns_the_sum(self, store: Store) -> None:
        store.set(b"k", 41, None)
        assert store.incr(b"k", 1) == 42
        assert store.incr(b"k", 10) == 52
        assert store.incr(b"k", -53) == -1
        assert store.incr(b"k", 0) == -1
        assert store.get(b"k") == -1

    @pytest.mark.parametrize("delta", [1, -1, 0])
    def test_incr_keeps_the_expiry(self, store: Store, clock: Clock, delta: int) -> None:
        store.set_many({b"k": 1, b"given": 1}, 10)
        clock.advance(5)
        assert store.incr(b"k", delta) == 1 + delta
        assert store.incr(b"given", delta, initial=100, timeout=100) == 1 + delta
        clock.advance(4)
        assert store.get_many([b"k", b"given"]) == {b"k": 1 + delta, b"given": 1 + delta}
        clock.advance(3)
        assert store.get_many([b"k", b"given"]) == {}

    def test_incr_keeps_what_never_expires(self, store: Store) -> None:
        store.set(b"k", 1, None)
        store.incr(b"k", 1, initial=0, timeout=10)
        assert store.ttl(b"k") == math.inf

    def test_incr_makes_nothing_without_an_initial_value(self, store: Store) -> None:
        assert store.incr(b"k", 1, timeout=10) is None
        assert store.keys() == []

    def test_incr_makes_a_counter_with_an_initial_value_and_a_timeout(self, store: Store, clock: Clock) -> None:
        assert store.incr(b"k", 5, initial=10, timeout=10) == 15
        assert store.incr(b"zero", 0, initial=0, timeout=None) == 0
        assert store.get_many([b"k", b"zero"]) == {b"k": 15, b"zero": 0}
        assert store.incr(b"k", 5, initial=10, timeout=10) == 20
        clock.advance(12)
        assert store.get(b"k") is None
        assert store.ttl(b"zero") == math.inf

    @pytest.mark.parametrize("value", [b"", b"1", b"1234567", b"123456789", b"x" * 16])
    def test_incr_refuses_what_is_no_counter(self, store: Store, value: bytes) -> None:
        store.set(b"k", value, 10)
        for delta in (1, 0):
            with pytest.raises(NotACounter):
                store.incr(b"k", delta, initial=1)
        assert store.get(b"k") == value

    @pytest.mark.parametrize(("end", "delta"), [(INT64_MAX, 1), (INT64_MIN, -1), (0, 1 << 64), (1, INT64_MAX)])
    def test_incr_refuses_to_leave_64_bits(self, store: Store, end: int, delta: int) -> None:
        store.set(b"k", end, None)
        with pytest.raises(CounterOverflow):
            store.incr(b"k", delta)
        assert store.get(b"k") == end

    def test_incr_refuses_to_begin_beyond_64_bits(self, store: Store) -> None:
        with pytest.raises(CounterOverflow):
            store.incr(b"k", 1, initial=INT64_MAX)
        assert store.get(b"k") is None

    def test_incr_reaches_both_ends(self, store: Store) -> None:
        store.set(b"k", INT64_MAX - 1, None)
        assert store.incr(b"k", 1) == INT64_MAX
        store.set(b"k", INT64_MIN + 1, None)
        assert store.incr(b"k", -1) == INT64_MIN

    # -- many counters -----------------------------------------------------------------------------------

    def test_incr_many_adds_to_each_its_own(self, store: Store) -> None:
        store.set_many({b"a": 40, b"b": -5, b"c": 7, b"other": 1}, None)
        assert store.incr_many({b"a": 2, b"b": -5, b"c": 0}) == {b"a": 42, b"b": -10, b"c": 7}
        assert store.get_many([b"a", b"b", b"c", b"other"]) == {b"a": 42, b"b": -10, b"c": 7, b"other": 1}

    def test_incr_many_makes_nothing_without_an_initial_value(self, store: Store) -> None:
        store.set(b"there", 1, None)
        assert store.incr_many({b"there": 1, b"none": 1}, timeout=10) == {b"there": 2}
        assert store.keys() == [b"there"]

    def test_incr_many_makes_counters_with_an_initial_value_and_a_timeout(self, store: Store, clock: Clock) -> None:
        store.set(b"there", 1, 10)
        store.set(b"never", 1, None)
        deltas = {b"there": 1, b"new": 2, b"never": 3, b"nothing": 0}
        assert store.incr_many(deltas, initial=10, timeout=100) == {
            b"there": 2, b"new": 12, b"never": 4, b"nothing": 10
        }  # fmt: skip
        clock.advance(12)
        assert store.get_many(deltas) == {b"new": 12, b"never": 4, b"nothing": 10}
        assert store.ttl(b"never") == math.inf
        clock.advance(100)
        assert store.keys() == [b"never"]

    @pytest.mark.parametrize("value", [b"", b"1", b"1234567", b"123456789"])
    def test_incr_many_tells_what_is_no_counter_and_does_the_rest(self, store: Store, value: bytes) -> None:
        store.set_many({b"a": 1, b"text": value, b"b": 2}, 10)
        sums = store.incr_many({b"a": 1, b"text": 1, b"b": 1, b"new": 1, b"none": 0}, initial=0)
        assert isinstance(sums.pop(b"text"), NotACounter)
        assert sums == {b"a": 2, b"b": 3, b"new": 1, b"none": 0}
        assert store.get_many([b"a", b"text", b"b"]) == {b"a": 2, b"text": value, b"b": 3}
        assert store.ttl(b"text") == pytest.approx(10, abs=1)

    @pytest.mark.parametrize(("end", "delta"), [(INT64_MAX, 1), (INT64_MIN, -1), (0, 1 << 64), (1, INT64_MAX)])
    def test_incr_many_tells_what_would_leave_64_bits_and_does_the_rest(
        self, store: Store, end: int, delta: int
    ) -> None:
        store.set_many({b"a": 1, b"last": end, b"b": 2}, None)
        sums = store.incr_many({b"a": 1, b"last": delta, b"b": 1})
        assert isinstance(sums.pop(b"last"), CounterOverflow)
        assert sums == {b"a": 2, b"b": 3}
        assert store.get_many([b"a", b"last", b"b"]) == {b"a": 2, b"last": end, b"b": 3}

    def test_incr_many_refuses_to_begin_beyond_64_bits(self, store: Store) -> None:
        sums = store.incr_many({b"new": 1, b"smaller": -1}, initial=INT64_MAX)
        assert isinstance(sums.pop(b"new"), CounterOverflow)
        assert sums == {b"smaller": INT64_MAX - 1}
        assert store.keys() == [b"smaller"]

    def test_incr_many_reaches_both_ends(self, store: Store) -> None:
        store.set_many({b"high": INT64_MAX - 1, b"low": INT64_MIN + 1}, None)
        assert store.incr_many({b"high": 1, b"low": -1}) == {b"high": INT64_MAX, b"low": INT64_MIN}

    def test_incremented_may_be_hundreds(self, store: Store) -> None:
        """Some are there, some are text, some are about to overflow, and some are made."""
        every = {b"%03d" % number: number for number in range(300)}
        store.set_many({key: 1000 for key, number in every.items() if number % 4 == 0}, 50)
        store.set_many({key: b"text" for key, number in every.items() if number % 4 == 1}, None)
        store.set_many({key: INT64_MAX for key, number in every.items() if number % 4 == 2}, None)
        sums = store.incr_many(every, initial=7, timeout=50)
        assert sorted(sums) == sorted(every)
        for key, number in every.items():
            match number % 4:
                case 0:
                    assert sums[key] == 1000 + number
                case 1:
                    assert isinstance(sums[key], NotACounter)
                case 2:
                    assert isinstance(sums[key], CounterOverflow)
                case 3:
                    assert sums[key] == 7 + number
        counters = {key: total for key, total in sums.items() if isinstance(total, int)}
        assert store.get_many(counters) == counters
        assert store.ttl_many(counters) == dict.fromkeys(counters, pytest.approx(50, abs=1))

    # -- compare_and_set ---------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("there", "old", "new", "done", "after"),
        [
            (None, None, b"new", True, b"new"),
            (None, None, 5, True, 5),
            (None, None, None, True, None),
            (None, b"old", b"new", False, None),
            (None, b"old", None, False, None),
            (b"old", b"old", b"new", True, b"new"),
            (b"old", b"old", 5, True, 5),
            (b"old", b"old", None, True, None),
            (b"old", b"old", b"old", True, b"old"),
            (b"old", b"other", b"new", False, b"old"),
            (b"old", b"other", None, False, b"old"),
            (b"old", None, b"new", False, b"old"),
            (b"old", None, None, False, b"old"),
            (b"", b"", b"new", True, b"new"),
            (b"", None, b"new", False, b""),
            (5, 5, 6, True, 6),
            (5, 5, b"new", True, b"new"),
            (5, 5, None, True, None),
            (5, 6, 7, False, 5),
            (0, None, 1, False, 0),
            (5, b"5", 6, False, 5),
            (b"5", 5, 6, False, b"5"),
        ],
    )
    def test_compare_and_set_puts_new_where_old_is(
        self,
        store: Store,
        there: bytes | int | None,
        old: bytes | int | None,
        new: bytes | int | None,
        done: bool,
        after: bytes | int | None,
    ) -> None:
        store.compare_and_set(b"k", None, there)
        assert store.compare_and_set(b"k", old, new) is done
        assert store.get(b"k") == after
        assert store.exists(b"k") is (after is not None)

    def test_compare_and_set_gives_the_timeout(self, store: Store, clock: Clock) -> None:
        store.set_many({b"never": b"old", b"ten": b"old", b"failed": b"old"}, 20)
        assert store.compare_and_set(b"never", b"old", b"new") is True
        assert store.compare_and_set(b"ten", b"old", b"new", 10) is True
        assert store.compare_and_set(b"made", None, b"new", 10) is True
        assert store.compare_and_set(b"failed", b"other", b"new", 10) is False
        clock.advance(12)
        assert store.get_many([b"never", b"ten", b"made", b"failed"]) == {b"never": b"new", b"failed": b"old"}
        assert store.ttl(b"never") == math.inf

    def test_compare_and_set_can_keep_the_expiry(self, store: Store, clock: Clock) -> None:
        store.set(b"ten", b"old", 10)
        store.set(b"never", b"old", None)
        clock.advance(5)
        assert store.compare_and_set(b"ten", b"old", b"new", KEEP) is True
        assert store.compare_and_set(b"never", b"old", b"new", KEEP) is True
        assert store.compare_and_set(b"made", None, b"new", KEEP) is True
        assert store.ttl(b"ten") == pytest.approx(5, abs=1)
        assert store.ttl(b"never") == math.inf
        assert store.ttl(b"made") == math.inf

    def test_compare_and_set_can_delete_and_keep(self, store: Store) -> None:
        store.set(b"k", b"old", 10)
        assert store.compare_and_set(b"k", b"old", None, KEEP) is True
        assert store.get(b"k") is None

    # -- all records -------------------------------------------------------------------------------------

    PREFIXED = (b"a", b"a:", b"a:1", b"a:1\0", b"a:2", b"a;", b"aa:1", b"b:1", b"\0a:1", b"\xff", b"\xff\xff")

    @pytest.mark.parametrize(
        "prefix", [b"", b"a", b"a:", b"a:1", b"b", b"none", b"\0", b"\xff", b"\xff\xff", b"\xff\xff\xff"]
    )
    def test_a_prefix_chooses_keys(self, store: Store, prefix: bytes) -> None:
        store.set_many(dict.fromkeys(self.PREFIXED, b"v"), None)
        chosen = sorted(key for key in self.PREFIXED if key.startswith(prefix))
        assert sorted(store.keys(prefix)) == chosen
        assert sorted(store.iter_keys(prefix)) == chosen

    @pytest.mark.parametrize("prefix", [b"", b"a", b"a:", b"b", b"none", b"\0", b"\xff"])
    def test_clear_prefix_deletes_what_the_prefix_chooses(self, store: Store, prefix: bytes) -> None:
        store.set_many(dict.fromkeys(self.PREFIXED, b"v"), None)
        others = sorted(key for key in self.PREFIXED if not key.startswith(prefix))
        assert store.clear_prefix(prefix) == len(self.PREFIXED) - len(others)
        assert sorted(store.keys()) == others
        assert store.clear_prefix(prefix) == 0

    def test_a_prefix_may_be_longer_than_a_stored_key(self, store: Store) -> None:
        long = {b"k" * 600 + b"%d" % number: number for number in range(5)}
        store.set_many({**long, b"k" * 599: 1, b"k" * 480: 1}, None)
        assert sorted(store.keys(b"k" * 600)) == sorted(long)
        assert store.clear_prefix(b"k" * 600 + b"3") == 1
        assert len(store.keys(b"k" * 500)) == 5

    def test_keys_without_a_prefix_are_all_keys(self, store: Store) -> None:
        store.set_many({b"a": 1, b"": 2, b"\0": 3}, None)
        assert sorted(store.keys()) == [b"", b"\0", b"a"]

    def test_iter_keys_may_meet_changes(self, store: Store) -> None:
        store.set_many({b"%04d" % number: b"v" for number in range(600)}, None)
        seen = []
        for key in store.iter_keys():
            seen.append(key)
            store.delete(key)
        assert len(seen) == len(set(seen)) == 600
        assert store.keys() == []

    def test_clear_deletes_every_record(self, store: Store) -> None:
        store.set_many({b"a": b"1", b"": 2, b"k" * 600: b"3"}, 10)
        store.clear()
        assert store.keys() == []
        assert store.get(b"a") is None
        store.clear()
        assert store.add(b"a", b"new", None) is True

    def test_vacuum_deletes_what_has_expired_and_nothing_else(self, store: Store, clock: Clock) -> None:
        store.set(b"a", b"1", 10)
        store.set(b"b", b"2", None)
        clock.advance(12)
        store.vacuum()
        assert store.stats().entries == 1
        assert store.get(b"b") == b"2"

    # -- about it ----------------------------------------------------------------------------------------

    def test_stats_tell_how_many_records_there_are(self, store: Store) -> None:
        assert store.stats().entries == 0
        store.set_many({b"a": b"1", b"b": 2}, None)
        stats = store.stats()
        assert stats.entries == 2
        assert stats.size > 0
        assert stats.processes >= 1
        assert stats.store
        assert stats.location

    def test_ping_is_answered(self, store: Store) -> None:
        assert store.ping() is True

    def test_close_may_come_twice(self, store: Store) -> None:
        store.close()
        store.close()
