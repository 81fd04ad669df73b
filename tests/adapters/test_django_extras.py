"""What `KTCache` can do beyond Django's contract, however its keys and values are made."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from kt_cache.django import KTCache
from tests.adapters.conftest import About, Call, MakeCache
from tests.clock import Clock


def shouted(key: str, prefix: str, version: int) -> str:
    return f"{key}/{prefix}/{version}!"


# Several ways to make keys and values at once: each operation has to do with one or the other.
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "prefix, version, json, signed": {
        "KEY_PREFIX": "préfix",
        "VERSION": 3,
        "OPTIONS": {"serializer": "json", "sign": True},
    },
    "key function, msgpack, compressed": {
        "KEY_FUNCTION": f"{__name__}.shouted",
        "KEY_PREFIX": "prefix",
        "OPTIONS": {"serializer": "msgpack", "compression": "zlib", "compress_min_length": 0},
    },
}


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def cache(request: pytest.FixtureRequest, make_cache: MakeCache) -> KTCache:
    """Return a cache, made in each of several ways."""
    return make_cache(**request.param)


# -- time to live ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "seconds", "milliseconds"),
    [(60, 60, 60_000), (None, None, None), (0.25, 1, 250), (2.5, 2, 2500), (0, 0, 0)],
)
def test_ttl_is_whole_seconds_and_pttl_whole_milliseconds(
    cache: KTCache, call: Call, about: About, timeout: float | None, seconds: int | None, milliseconds: int | None
) -> None:
    cache.set("k", "v", timeout)
    left, in_detail = call(cache, "ttl", "k"), call(cache, "pttl", "k")
    assert left == about(seconds)
    assert (in_detail and in_detail / 1000) == about(milliseconds and milliseconds / 1000)
    assert {type(left), type(in_detail)} <= {int, type(None)}


def test_a_timeout_is_what_ttl_tells_at_once(make_embedded_cache: MakeCache, call: Call) -> None:
    cache = make_embedded_cache(CLOCK=Clock(1_700_000_000.0004))  # a store that rounds up to milliseconds
    cache.set("k", "v", 60)
    assert call(cache, "ttl", "k") == 60


def test_ttl_of_nothing_is_0(cache: KTCache, call: Call, clock: Clock) -> None:
    cache.set("expired", "v", 10)
    clock.advance(12)
    for key in ("expired", "none"):
        assert call(cache, "ttl", key) == 0
        assert call(cache, "pttl", key) == 0


def test_ttl_many_leaves_out_what_there_is_not(cache: KTCache, call: Call, about: About) -> None:
    cache.set_many({"a": 1, "b": "text"}, 60)
    cache.set("c", 0.5, None)
    assert call(cache, "ttl_many", iter(["a", "b", "c", "none"])) == {"a": about(60), "b": about(60), "c": None}
    assert call(cache, "ttl_many", []) == {}


@pytest.mark.parametrize(("timeout", "left"), [((20,), 20), ((None,), None), ((), 300), ((0,), 0), ((-5,), 0)])
def test_touch_many_gives_all_another_timeout(
    cache: KTCache, call: Call, about: About, timeout: tuple[Any, ...], left: int | None
) -> None:
    cache.set_many({"a": 1, "b": "text", "c": 3}, 60)
    assert sorted(call(cache, "touch_many", iter(["a", "none", "b"]), *timeout)) == ["a", "b"]
    assert [cache.ttl(key) for key in ("a", "b", "c", "none")] == [about(left), about(left), about(60), 0]
    assert call(cache, "touch_many", []) == []


def test_persist_lets_a_value_live_for_ever(cache: KTCache, call: Call) -> None:
    cache.set("k", "v", 10)
    assert call(cache, "persist", "k") is True
    assert (cache.ttl("k"), cache.get("k")) == (None, "v")
    assert call(cache, "persist", "none") is False
    assert cache.has_key("none") is False


@pytest.mark.parametrize(
    ("method", "timeout", "left"),
    [("expire", 20, 20), ("expire", None, None), ("expire", 0, 0), ("expire", -1, 0), ("pexpire", 20_000, 20),
     ("pexpire", 2500, 2.5), ("pexpire", 0, 0)],
)  # fmt: skip
def test_expire_gives_another_timeout(
    cache: KTCache, call: Call, about: About, method: str, timeout: float | None, left: float | None
) -> None:
    cache.set("k", "v", 60)
    assert call(cache, method, "k", timeout) is True
    milliseconds = cache.pttl("k")
    assert (milliseconds and milliseconds / 1000) == about(left)
    assert call(cache, method, "none", timeout) is False
    assert cache.has_key("none") is False


MOMENTS: dict[str, Callable[[float], Any]] = {
    "float": float,
    "int": int,
    "aware": lambda moment: datetime.fromtimestamp(moment, UTC),
    "aware elsewhere": lambda moment: datetime.fromtimestamp(moment, timezone(timedelta(hours=5, minutes=45))),
    "naive": datetime.fromtimestamp,
}


@pytest.mark.parametrize("kind", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize("method", ["expire_at", "pexpire_at"])
@pytest.mark.parametrize(("after", "left"), [(100, 100), (-1, 0)])
def test_expire_at_takes_numbers_and_datetimes(
    cache: KTCache,
    call: Call,
    clock: Clock,
    about: About,
    method: str,
    kind: Callable[[float], Any],
    after: int,
    left: int,
) -> None:
    cache.set("k", "v", None)
    when = kind(clock() + after)
    if method == "pexpire_at" and not isinstance(when, datetime):
        when *= 1000
    assert call(cache, method, "k", when) is True
    assert cache.ttl("k") == about(left)
    assert call(cache, method, "none", when) is False


def test_nan_is_no_time(cache: KTCache, call: Call) -> None:
    cache.set("k", "v", 60)
    for method in ("expire", "pexpire", "expire_at", "pexpire_at"):
        with pytest.raises(ValueError, match="NaN"):
            call(cache, method, "k", math.nan)
    with pytest.raises(ValueError, match="NaN"):
        call(cache, "touch_many", ["k"], math.nan)
    assert cache.get("k") == "v"


# -- set ---------------------------------------------------------------------------------------------------


def test_set_tells_that_it_stored(cache: KTCache, call: Call) -> None:
    assert call(cache, "set", "k", "v") is True
    assert call(cache, "set", "k", "v", 0) is True


@pytest.mark.parametrize("old", [None, "old", 0])
@pytest.mark.parametrize("condition", [{}, {"nx": True}, {"xx": True}], ids=str)
@pytest.mark.parametrize("get", [False, True])
def test_set_stores_where_it_may(
    cache: KTCache, call: Call, about: About, old: Any, condition: dict[str, bool], get: bool
) -> None:
    if old is not None:
        cache.set("k", old, 60)
    stores = not (condition.get("nx") and old is not None) and not (condition.get("xx") and old is None)
    answer = call(cache, "set", "k", "new", 20, get=get, **condition)
    assert answer == old if get else answer is stores
    assert cache.get("k") == ("new" if stores else old)
    assert cache.ttl("k") == about(20 if stores else 0 if old is None else 60)


def test_set_tells_a_value_that_is_none_from_nothing(cache: KTCache, call: Call) -> None:
    cache.set("k", None)
    assert call(cache, "set", "k", "new", nx=True) is False
    assert call(cache, "set", "k", "new", xx=True) is True
    assert cache.get("k") == "new"


def test_set_refuses_conditions_that_can_never_be(cache: KTCache, call: Call) -> None:
    with pytest.raises(ValueError, match="nx and xx exclude each other"):
        call(cache, "set", "k", "v", nx=True, xx=True)
    assert cache.has_key("k") is False


@pytest.mark.parametrize(("method", "more"), [("nx", {}), ("xx", {}), ("get", {}), ("get", {"xx": True})])
def test_set_with_a_timeout_that_is_over_deletes(
    cache: KTCache, call: Call, method: str, more: dict[str, bool]
) -> None:
    there = method != "nx"
    if there:
        cache.set("k", "old")
    assert call(cache, "set", "k", "new", 0, **{method: True}, **more) == ("old" if method == "get" else True)
    assert cache.has_key("k") is False


@pytest.mark.parametrize("condition", [{"nx": True}, {"get": True}, {"tags": ["t"]}], ids=str)
def test_set_keeps_max_entries(make_cache: MakeCache, call: Call, condition: dict[str, Any]) -> None:
    cache = make_cache(OPTIONS={"MAX_ENTRIES": 5, "CULL_FREQUENCY": 0})
    for number in range(20):
        call(cache, "set", str(number), number, **condition)
    assert 0 < cache.stats().entries <= 7  # with those of the tag, and the one that came after


# -- by what is there --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["text", None, 5, 1.5, [1, 2]])
def test_pop_takes_a_value_away(cache: KTCache, call: Call, value: Any) -> None:
    cache.set("k", value)
    assert call(cache, "pop", "k", "default") == value
    assert call(cache, "pop", "k", "default") == "default"
    assert call(cache, "pop", "k") is None
    assert cache.has_key("k") is False


def test_compare_and_set_goes_by_the_value(cache: KTCache, call: Call, about: About) -> None:
    cache.set("k", ["old"], 60)
    assert call(cache, "compare_and_set", "k", ["other"], "new") is False
    assert call(cache, "compare_and_set", "k", ["old"], 5) is True
    assert (cache.get("k"), cache.ttl("k")) == (5, about(60))
    assert call(cache, "compare_and_set", "k", 5, 6, timeout=20) is True
    assert (cache.get("k"), cache.ttl("k")) == (6, about(20))
    assert call(cache, "compare_and_set", "none", None, "new") is False


# -- counting ----------------------------------------------------------------------------------------------

TIMEOUTS: list[tuple[dict[str, Any], int | None]] = [({}, 300), ({"timeout": 20}, 20), ({"timeout": None}, None)]


@pytest.mark.parametrize(("timeout", "left"), TIMEOUTS)
def test_incr_makes_a_number_that_it_may_begin(
    cache: KTCache, call: Call, about: About, timeout: dict[str, Any], left: int | None
) -> None:
    numbers = [(0, 1), (10, -3), (0, 0), ((1 << 63) - 1, 1), (0, 0.5), (1 << 70, 1), (0, -(1 << 70))]
    for initial, delta in numbers:
        cache.clear()
        assert call(cache, "incr", "k", delta, initial=initial, **timeout) == initial + delta
        assert (cache.get("k"), cache.ttl("k")) == (initial + delta, about(left))
        assert call(cache, "decr", "l", delta, initial=initial, **timeout) == initial - delta
        assert (cache.get("l"), cache.ttl("l")) == (initial - delta, about(left))


@pytest.mark.parametrize("value", [5, 1.5, 1 << 70])
def test_a_number_that_is_there_keeps_its_timeout(cache: KTCache, call: Call, about: About, value: Any) -> None:
    cache.set("k", value, 60)
    assert call(cache, "incr", "k", 2, initial=100, timeout=20) == value + 2
    assert call(cache, "decr", "k", ignore_key_check=True) == value + 1
    assert (cache.get("k"), cache.ttl("k")) == (value + 1, about(60))


def test_ignore_key_check_begins_at_0_and_lasts(cache: KTCache, call: Call) -> None:
    assert call(cache, "incr", "k", ignore_key_check=True) == 1
    assert call(cache, "decr", "l", 5, ignore_key_check=True) == -5
    assert call(cache, "ttl_many", ["k", "l"]) == {"k": None, "l": None}


def test_a_number_with_a_timeout_that_is_over_is_not_kept(cache: KTCache, call: Call) -> None:
    assert call(cache, "incr", "k", initial=5, timeout=0) == 6
    assert call(cache, "incr_many", ["k", "l"], initial=5, timeout=-1) == {"k": 6, "l": 6}
    assert cache.get_many(["k", "l"]) == {}


def test_incr_begins_in_the_place_of_what_cannot_be_read(cache: KTCache, call: Call, about: About) -> None:
    for key in ("k", "l", "m"):
        cache._store.set(cache._key(key, None), b"\x52 is damaged", None)
    assert call(cache, "incr", "k", initial=5, timeout=20) == 6
    assert call(cache, "incr_many", ["l", "m"], initial=5, timeout=20) == {"l": 6, "m": 6}
    assert call(cache, "ttl_many", ["k", "l", "m"]) == {key: about(20) for key in ("k", "l", "m")}


def test_incr_many_adds_to_each(cache: KTCache, call: Call, about: About) -> None:
    values = {"count": 5, "fraction": 0.5, "large": 1 << 70, "largest": (1 << 63) - 1}
    cache.set_many(values, 60)
    deltas = {"count": 1, "fraction": 2, "large": 3, "largest": 4, "none": 5}
    sums = {key: value + deltas[key] for key, value in values.items()}
    assert call(cache, "incr_many", deltas) == sums
    assert cache.get_many(deltas) == sums
    assert call(cache, "ttl_many", deltas) == {key: about(60) for key in values}


def test_incr_many_adds_the_same_to_all(cache: KTCache, call: Call) -> None:
    cache.set_many({"a": 1, "b": 2})
    assert call(cache, "incr_many", iter(["a", "b", "none"])) == {"a": 2, "b": 3}
    assert call(cache, "incr_many", ["a", "b"], -10) == {"a": -8, "b": -7}
    assert call(cache, "incr_many", []) == {}
    assert call(cache, "incr_many", {}) == {}


@pytest.mark.parametrize(("timeout", "left"), TIMEOUTS)
def test_incr_many_makes_numbers_that_it_may_begin(
    cache: KTCache, call: Call, about: About, timeout: dict[str, Any], left: int | None
) -> None:
    cache.set("a", 1, 60)
    assert call(cache, "incr_many", {"a": 1, "b": 2}, initial=10, **timeout) == {"a": 2, "b": 12}
    assert cache.ttl_many(["a", "b"]) == {"a": about(60), "b": about(left)}


def test_incr_many_of_what_is_no_number_is_a_type_error(cache: KTCache, call: Call) -> None:
    cache.set_many({"a": 1, "text": "text"})
    with pytest.raises(TypeError):
        call(cache, "incr_many", ["a", "text"])
    assert cache.get_many(["a", "text"]) == {"a": 2, "text": "text"}


# -- versions ----------------------------------------------------------------------------------------------

VERSIONED: dict[str, tuple[tuple[Any, ...], dict[str, Any], Any]] = {
    "set": (("k", 9), {"get": True}, 7),
    "ttl": (("k",), {}, 70),
    "ttl_many": ((["k"],), {}, {"k": 70}),
    "touch_many": ((["k"],), {}, ["k"]),
    "persist": (("k",), {}, True),
    "expire": (("k", 5), {}, True),
    "pexpire": (("k", 5), {}, True),
    "expire_at": (("k", 5), {}, True),
    "pexpire_at": (("k", 5), {}, True),
    "pop": (("k",), {}, 7),
    "compare_and_set": (("k", 7, 8), {}, True),
    "incr": (("k",), {"initial": 0}, 8),
    "decr": (("k",), {"initial": 0}, 6),
    "incr_many": ((["k"],), {"initial": 0}, {"k": 8}),
    "get_or_set": (("k", lambda: 9), {}, 7),
    "delete_pattern": (("*",), {}, 1),
    "keys": ((), {}, ["k"]),
}


@pytest.mark.parametrize("method", VERSIONED)
def test_versions_are_kept_apart(make_cache: MakeCache, call: Call, about: About, method: str) -> None:
    cache = make_cache(VERSION=5)
    cache.set("k", 1, 60)
    cache.set("k", 7, 70, version=2)
    arguments, more, answer = VERSIONED[method]
    if method in ("ttl", "ttl_many"):
        answer = {"k": about(70)} if method == "ttl_many" else about(70)
    assert call(cache, method, *arguments, version=2, **more) == answer
    assert (cache.get("k"), cache.ttl("k")) == (1, about(60))


# -- about it ----------------------------------------------------------------------------------------------


def test_a_store_that_answers_says_so(cache: KTCache, call: Call) -> None:
    assert call(cache, "ping") is True


def test_figures_are_those_of_the_store(cache: KTCache, call: Call) -> None:
    cache.set("k", "v")
    stats = call(cache, "stats")
    assert (stats.entries, stats.store in ("embedded", "kt", "tt", "aerospike")) == (1, True)
