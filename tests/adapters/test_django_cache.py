"""`KTCache` keeps Django's cache contract, where Django's own tests do not look."""

from __future__ import annotations

import asyncio
import inspect
import math
import pickle
import threading
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.asyncio import async_unsafe

from kt_cache.django import KTCache
from tests.adapters.conftest import About, Call, MakeCache
from tests.clock import Clock

# Every coroutine of Django's that hops to a thread; the others are made of these.
COROUTINES = [
    "aget", "aset", "aadd", "atouch", "adelete", "aincr", "adecr", "ahas_key", "aget_many", "aset_many",
    "adelete_many", "aclear", "aget_or_set", "aincr_version", "adecr_version", "aclose",
]  # fmt: skip


def ttl(cache: KTCache, key: str, version: int | None = None) -> float | None:
    return cache._store.ttl(cache._key(key, version))


class Unpicklable:
    """Fails to be pickled in a way of its own."""

    def __reduce__(self) -> Any:
        raise pickle.PicklingError("not this one")


class Lazy:
    """Like a queryset: evaluated by being pickled, and not in an event loop."""

    @async_unsafe
    def __reduce__(self) -> Any:
        return str, ("evaluated",)


# -- the methods -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COROUTINES)
def test_coroutines_are_our_own(name: str) -> None:
    assert getattr(KTCache, name).__module__.startswith("kt_cache.")
    assert inspect.iscoroutinefunction(getattr(KTCache, name))


def test_no_coroutine_of_django_is_forgotten() -> None:
    theirs = {name for name in vars(BaseCache) if inspect.iscoroutinefunction(getattr(BaseCache, name))}
    hopping = {name for name in theirs if "sync_to_async" in inspect.getsource(getattr(BaseCache, name))}
    assert hopping <= set(COROUTINES)


@pytest.mark.parametrize("name", [name for name in vars(BaseCache) if not name.startswith("_")])
def test_methods_take_what_those_of_django_take(name: str) -> None:
    ours, theirs = (list(inspect.signature(getattr(kind, name)).parameters.values()) for kind in (KTCache, BaseCache))
    taken, more = ours[: len(theirs)], ours[len(theirs) :]
    assert [(p.name, p.kind, p.default) for p in taken] == [(p.name, p.kind, p.default) for p in theirs]
    assert {p.kind for p in more} <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}


@pytest.mark.parametrize("name", [name for name in dir(KTCache) if hasattr(KTCache, f"a{name}") and name != "lock"])
def test_coroutines_take_what_their_methods_take(name: str) -> None:
    method, twin = (inspect.signature(getattr(KTCache, n)).parameters.values() for n in (name, f"a{name}"))
    assert [(p.name, p.kind, p.default) for p in method] == [(p.name, p.kind, p.default) for p in twin]


# -- timeouts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "left"), [({}, 300), ({"TIMEOUT": 60}, 60), ({"TIMEOUT": None}, math.inf), ({"TIMEOUT": 0}, None)]
)
def test_the_default_timeout_is_the_settings(
    make_cache: MakeCache, call: Call, given: dict[str, Any], left: float | None, about: About
) -> None:
    cache = make_cache(**given)
    call(cache, "set", "set", 1)
    call(cache, "add", "added", 1)
    call(cache, "set_many", {"many": 1})
    cache.set("touched", 1, None)
    call(cache, "touch", "touched")
    assert [ttl(cache, key) for key in ("set", "added", "many", "touched")] == about([left] * 4)


@pytest.mark.parametrize(("timeout", "left"), [(None, math.inf), (0.25, 0.25), (10, 10), (0, None), (-1, None)])
def test_a_timeout_is_seconds(
    cache: KTCache, call: Call, timeout: float | None, left: float | None, about: About
) -> None:
    call(cache, "set", "set", 1, timeout)
    assert call(cache, "add", "added", 1, timeout=timeout) is True
    assert call(cache, "set_many", {"many": 1}, timeout) == []
    cache.set("touched", 1)
    assert call(cache, "touch", "touched", timeout) is True
    assert [ttl(cache, key) for key in ("set", "added", "many", "touched")] == about([left] * 4)


def test_nan_is_refused(cache: KTCache, call: Call) -> None:
    cache.set("k", "old")
    for method, *arguments in (("set", "k", 1), ("add", "new", 1), ("set_many", {"k": 1}), ("touch", "k")):
        with pytest.raises(ValueError, match="NaN"):
            call(cache, method, *arguments, timeout=math.nan)
    assert cache.get("k") == "old"


# -- values that cannot be stored --------------------------------------------------------------------------


@pytest.mark.parametrize("value", [Unpicklable(), lambda: None, threading.Lock(), {"deep": [Unpicklable()]}])
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("set", lambda value: ("k", value)),
        ("add", lambda value: ("k", value)),
        ("add", lambda value: ("new", value)),
        ("set_many", lambda value: ({"new": 1, "k": value},)),
        ("get_or_set", lambda value: ("new", lambda: value)),
    ],
)
def test_a_value_that_cannot_be_pickled_changes_nothing(
    cache: KTCache, call: Call, method: str, arguments: Any, value: Any, about: About
) -> None:
    cache.set("k", "old", 60)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        call(cache, method, *arguments(value))
    assert cache.get_many(["k", "new"]) == {"k": "old"}
    assert ttl(cache, "k") == about(60)


def test_what_is_evaluated_by_being_pickled_is_evaluated_in_a_thread(cache: KTCache) -> None:
    async def scenario() -> None:
        with pytest.raises(SynchronousOnlyOperation):
            pickle.dumps(Lazy())
        await cache.aset("set", Lazy())
        await cache.aadd("added", [Lazy()])
        await cache.aset_many({"many": {"deep": Lazy()}})

    asyncio.run(scenario())
    assert cache.get_many(["set", "added", "many"]) == {
        "set": "evaluated",
        "added": ["evaluated"],
        "many": {"deep": "evaluated"},
    }


def test_what_is_too_large_takes_the_old_value_along(
    make_embedded_cache: MakeCache, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    cache = make_embedded_cache()
    cache.set_many({"k": "old", "l": "old"})
    large = b"x" * (4 << 20)
    call(cache, "set", "k", large)
    assert call(cache, "set_many", {"l": large, "m": 1}) == ["l"]
    assert cache.get_many(["k", "l", "m"]) == {"m": 1}
    assert caplog.text.count("not cached") == 2


# -- counting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, 1.5, True, 1 << 70, (1 << 63) - 1, -(1 << 63)])
def test_incr_keeps_the_timeout(cache: KTCache, clock: Clock, call: Call, value: Any, about: About) -> None:
    cache.set("k", value, 60)
    clock.advance(20)
    assert call(cache, "incr", "k") == value + 1
    assert call(cache, "decr", "k", 2) == value - 1
    assert cache.get("k") == value - 1
    assert ttl(cache, "k") == about(40)


@pytest.mark.parametrize(
    ("start", "delta"),
    [((1 << 63) - 1, 1), (-(1 << 63), -1), (1, 1 << 64), ((1 << 62), 1 << 62), (0, -(1 << 100))],
)
def test_incr_goes_beyond_64_bits_and_back(cache: KTCache, call: Call, start: int, delta: int, about: About) -> None:
    cache.set("k", start, 60)
    assert call(cache, "incr", "k", delta) == start + delta
    assert cache.get("k") == start + delta
    assert call(cache, "decr", "k", delta) == start
    assert cache.get("k") == start
    assert cache._store.get(cache._key("k", None)) == start
    assert ttl(cache, "k") == about(60)


@pytest.mark.parametrize(("start", "delta"), [(5, 1.5), (5, 0.0), (1.25, 1), (1.25, 0.5), (1 << 70, 0.5)])
def test_incr_adds_fractions(cache: KTCache, call: Call, start: Any, delta: Any) -> None:
    cache.set("k", start)
    assert call(cache, "incr", "k", delta) == start + delta
    assert cache.get("k") == start + delta


@pytest.mark.parametrize("value", ["text", "1", None, [1], {"a": 1}, b"12345678"])
def test_incr_of_what_is_no_number_is_a_type_error(cache: KTCache, call: Call, value: Any) -> None:
    cache.set("k", value)
    for method in ("incr", "decr"):
        with pytest.raises(TypeError):
            call(cache, method, "k")
    assert cache.get("k", "gone") == value


@pytest.mark.parametrize(
    ("method", "delta"), [("incr", 1), ("incr", -1), ("incr", 0), ("incr", 1.5), ("incr", 1 << 70), ("decr", 1)]
)
def test_incr_of_nothing_is_a_value_error(cache: KTCache, clock: Clock, call: Call, method: str, delta: Any) -> None:
    cache.set("expired", 1, 10)
    clock.advance(11)
    for key in ("none", "expired"):
        with pytest.raises(ValueError, match=f"Key '{key}' not found"):
            call(cache, method, key, delta)
        assert cache.get(key) is None


@pytest.mark.parametrize(("method", "version"), [("incr_version", 2), ("decr_version", 0)])
@pytest.mark.parametrize(("timeout", "left"), [(60, 40), (None, math.inf)])
@pytest.mark.parametrize("value", ["value", None, 5, 1.5])
def test_incr_version_keeps_the_timeout(
    cache: KTCache,
    clock: Clock,
    call: Call,
    method: str,
    version: int,
    timeout: float,
    left: float,
    value: Any,
    about: About,
) -> None:
    cache.set("k", value, timeout)
    clock.advance(20)
    assert call(cache, method, "k") == version
    assert cache.get("k", "gone") == "gone"
    assert cache.get("k", "gone", version=version) == value
    assert ttl(cache, "k", version) == about(left)


def test_incr_version_of_nothing_is_a_value_error(cache: KTCache, call: Call) -> None:
    cache.set("k", "target", version=2)
    for method, version in (("incr_version", 1), ("decr_version", 3)):
        with pytest.raises(ValueError, match="Key 'k' not found"):
            call(cache, method, "k", version=version)
    assert cache.get("k", version=2) == "target"


def test_incr_version_counts_from_the_settings_version(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(VERSION=5)
    cache.set("k", "v")
    assert call(cache, "incr_version", "k", 10) == 15
    assert call(cache, "incr_version", "k", -10, version=15) == 5
    assert cache.get("k") == "v"


# -- how many ----------------------------------------------------------------------------------------------


def test_without_max_entries_the_size_alone_is_the_bound(cache: KTCache, call: Call) -> None:
    call(cache, "set_many", {str(number): number for number in range(400)})
    call(cache, "set", "more", 1)
    call(cache, "add", "another", 1)
    assert cache.stats().entries == 402


@pytest.mark.parametrize(
    "params",
    [
        {"OPTIONS": {"MAX_ENTRIES": 30}},
        {"OPTIONS": {"MAX_ENTRIES": 30, "CULL_FREQUENCY": 2}},
        {"OPTIONS": {"MAX_ENTRIES": 30, "CULL_FREQUENCY": 0}},
        {"OPTIONS": {"MAX_ENTRIES": -1}},
        {"max_entries": 30, "cull_frequency": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["set", "add"])
def test_max_entries_are_kept_as_django_keeps_them(
    make_cache: MakeCache, call: Call, params: dict[str, Any], method: str
) -> None:
    cache = make_cache(**params)
    theirs = LocMemCache("culling", params)
    theirs.clear()
    for number in range(49):
        call(cache, method, str(number), number)
        getattr(theirs, method)(str(number), number)
    entries = cache.stats().entries
    assert entries == sum(theirs.has_key(str(number)) for number in range(49))
    assert 0 < entries <= 30


def test_max_entries_outside_the_options_mean_nothing_to_django_nor_to_us(make_cache: MakeCache) -> None:
    cache = make_cache(MAX_ENTRIES=5, CULL_FREQUENCY=0)
    cache.set_many({str(number): number for number in range(310)})
    cache.set("more", 1)
    assert cache.stats().entries == 311


def test_a_failed_value_culls_nothing(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(OPTIONS={"MAX_ENTRIES": 1, "CULL_FREQUENCY": 0})
    cache.set("k", "old")
    with pytest.raises(pickle.PicklingError):
        call(cache, "set", "k", Unpicklable())
    assert cache.get("k") == "old"


# -- races and company -------------------------------------------------------------------------------------


class Overtaken(KTCache):
    """Somebody else stores a value just before each `add`."""

    def add(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        self.set(key, "theirs")
        return super().add(key, *args, **kwargs)

    async def aadd(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        await self.aset(key, "theirs")
        return await super().aadd(key, *args, **kwargs)


class Refused(KTCache):
    """Every `add` comes too late for a value that is gone again."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False

    async def aadd(self, *args: Any, **kwargs: Any) -> bool:
        return False


@pytest.mark.parametrize(("kind", "result"), [(Overtaken, "theirs"), (Refused, "ours"), (KTCache, "ours")])
def test_get_or_set_in_a_race_returns_what_is_there(
    make_cache: MakeCache, call: Call, kind: type[KTCache], result: str
) -> None:
    cache = make_cache(kind=kind)
    assert call(cache, "get_or_set", "k", "ours") == result


def test_get_or_set_returns_what_was_stored_while_it_computed(cache: KTCache, call: Call) -> None:
    def overtaken() -> str:
        cache.set("k", "theirs")
        return "ours"

    assert call(cache, "get_or_set", "k", overtaken) == "theirs"
    assert cache.get("k") == "theirs"


def test_aliases_of_one_database_are_kept_apart_by_their_prefix(make_cache: MakeCache, call: Call) -> None:
    first, second = make_cache(KEY_PREFIX="first"), make_cache(KEY_PREFIX="second")
    call(first, "set", "k", 1)
    call(second, "set_many", {"k": "of the second", "l": 2})
    assert call(first, "incr", "k") == 2
    assert call(first, "get_many", ["k", "l"]) == {"k": 2}
    assert call(first, "delete", "l") is False
    assert call(second, "get", "k") == "of the second"
    assert first.stats() == second.stats()
    assert first.stats().entries == 3


def test_closing_leaves_the_cache_open(cache: KTCache, call: Call) -> None:
    call(cache, "close")
    call(cache, "close", signal=None, sender=object)
    cache.set("k", "v")
    assert cache.get("k") == "v"


def test_stats_can_be_awaited(make_embedded_cache: MakeCache, call: Call) -> None:
    cache = make_embedded_cache()
    cache.set("k", "v")
    cache.get("k")
    cache.get("none")
    stats = call(cache, "stats")
    assert (stats.entries, stats.hits, stats.misses, stats.hit_ratio) == (1, 1, 1, 0.5)
