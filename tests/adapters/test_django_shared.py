"""What the processes of a site share through `KTCache`: values computed once, tags, locks, rate limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kt_cache.django import KTCache
from kt_cache.locks import LockError
from kt_core.errors import InvalidInput
from tests.adapters.conftest import About, Call, MakeCache, awaited
from tests.adapters.test_django_extras import WAYS
from tests.clock import Clock

Later = Callable[[float], KTCache]


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def params(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return a CACHES entry's parameters, for keys and values made in each of several ways."""
    params: dict[str, Any] = request.param
    return params


@pytest.fixture
def cache(make_cache: MakeCache, params: dict[str, Any]) -> KTCache:
    """Return a cache, made in each of several ways."""
    return make_cache(**params)


@pytest.fixture
def later(make_cache: MakeCache, params: dict[str, Any], clock: Clock) -> Later:
    """Return a function that gives the cache as it is seen so many seconds later, by whoever asks whether it is stale.

    The store's own time does not move: what it has is still there.
    """
    return lambda seconds: make_cache(**params, CLOCK=lambda: clock() + seconds)


class Computing:
    """A function that tells how often it has been called; awaited, if the caller awaits."""

    def __init__(self, call: Call, *results: Any) -> None:
        self._results = list(results)
        self._is_awaited = call is awaited
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        result = self._results[min(self.calls, len(self._results)) - 1]
        if isinstance(result, Exception):
            raise result
        return self._later(result) if self._is_awaited else result

    async def _later(self, result: Any) -> Any:
        await asyncio.sleep(0)
        return result


# -- computed once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["text", None, 5, [1]])
@pytest.mark.parametrize("wait", [5, 0])
def test_a_value_is_computed_where_there_is_none(
    cache: KTCache, call: Call, about: About, value: Any, wait: float
) -> None:
    compute = Computing(call, value)
    for _ in range(2):
        assert call(cache, "get_or_set", "k", compute, 60, wait=wait) == value
    assert (compute.calls, cache.get("k", "none"), cache.ttl("k")) == (1, value, about(60))
    assert cache.stats().entries == 1


def test_a_value_that_is_none_to_compute_is_stored_as_it_is(cache: KTCache, call: Call, about: About) -> None:
    for _ in range(2):
        assert call(cache, "get_or_set", "k", "value", 60, tags=["tag"]) == "value"
    call(cache, "delete_tag", "tag")
    assert call(cache, "get_or_set", "k", "other", 60) == "other"
    assert cache.ttl("k") == about(60)


def test_an_error_is_the_callers_and_leaves_nothing(cache: KTCache, call: Call) -> None:
    compute = Computing(call, LookupError("no such thing"), "value")
    with pytest.raises(LookupError, match="no such thing"):
        call(cache, "get_or_set", "k", compute)
    assert cache.stats().entries == 0
    assert call(cache, "get_or_set", "k", compute) == "value"


def test_of_many_threads_one_computes(cache: KTCache) -> None:
    begun, calls = threading.Barrier(4, timeout=10), []

    def compute() -> str:
        calls.append(1)
        return "value"

    def ask(_: int) -> Any:
        begun.wait()
        return cache.get_or_set("k", compute, 60)

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ask, range(4))) == {"value"}
    assert calls == [1]


def test_of_many_tasks_one_computes(cache: KTCache) -> None:
    calls: list[int] = []

    async def compute() -> str:
        calls.append(1)
        await asyncio.sleep(0.01)
        return "value"

    async def scenario() -> set[Any]:
        return set(await asyncio.gather(*(cache.aget_or_set("k", compute, 60) for _ in range(4))))

    assert asyncio.run(scenario()) == {"value"}
    assert calls == [1]


def test_a_stale_value_is_not_seen_by_those_who_did_not_ask_for_one(
    cache: KTCache, later: Later, call: Call, about: About
) -> None:
    call(cache, "get_or_set", "k", Computing(call, "old"), 10, stale=60)
    assert (cache.get("k"), cache.ttl("k")) == ("old", about(70))
    over = later(11)
    assert call(over, "get", "k", "default") == "default"
    assert call(over, "get_many", ["k"]) == {}
    assert call(over, "pop", "k", "default") == "default"


def test_a_stale_value_is_computed_anew(cache: KTCache, later: Later, call: Call, about: About) -> None:
    compute = Computing(call, "old", "new")
    call(cache, "get_or_set", "k", compute, 10, stale=60)
    over = later(11)
    assert call(over, "get_or_set", "k", compute, 10, stale=60) == "new"
    assert (over.get("k"), compute.calls) == ("new", 2)


def test_a_stale_value_is_served_while_another_is_computed(cache: KTCache, later: Later, call: Call) -> None:
    cache.get_or_set("k", lambda: "old", 10, stale=60)
    over = later(11)
    served: list[Any] = []

    def compute() -> str:
        served.append(over.get_or_set("k", lambda: "never", 10, stale=60))
        return "new"

    assert call(over, "get_or_set", "k", compute, 10, stale=60) == "new"
    assert served == ["old"]


def test_a_stale_value_is_served_when_none_can_be_computed(
    cache: KTCache, later: Later, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    cache.get_or_set("k", lambda: "old", 10, stale=60)
    over = later(11)
    assert call(over, "get_or_set", "k", Computing(call, LookupError("no source")), 10, stale=60) == "old"
    assert "could not be computed anew" in caplog.text


def test_incr_begins_in_the_place_of_a_stale_number(cache: KTCache, later: Later, call: Call) -> None:
    cache.get_or_set("k", lambda: 5, 10, stale=60)
    over = later(11)
    with pytest.raises(ValueError, match="not found"):
        call(over, "incr", "k")
    assert call(over, "incr_many", ["k"]) == {}
    assert call(over, "incr", "k", initial=100) == 101


def test_a_value_is_computed_anew_before_it_is_over(cache: KTCache, call: Call) -> None:
    compute = Computing(call, "old", "new")
    call(cache, "get_or_set", "k", compute, 60)
    # By chance, but no chance is as small as not to take place within a lifetime that is nothing beside it.
    assert call(cache, "get_or_set", "k", compute, 60, early=1e15) == "new"
    assert call(cache, "get_or_set", "k", compute, 60, early=1e-15) == "new"
    assert compute.calls == 2


# -- tags --------------------------------------------------------------------------------------------------


def tagged(cache: KTCache, call: Call) -> None:
    """Store values with no tag, with one, with two, in every way in which that is done."""
    call(cache, "set", "none", 0)
    call(cache, "set", "red", 1.5, 60, tags=["red"])
    call(cache, "set", "both", "text", 60, tags=["red", "blue", "red"])
    call(cache, "set_many", {"blue": [1], "azure": 2}, 60, tags=iter(["blue"]))
    call(cache, "get_or_set", "computed", Computing(call, 5), 60, tags=["blue"])


ALL = {"none": 0, "red": 1.5, "both": "text", "blue": [1], "azure": 2, "computed": 5}


def test_values_with_tags_are_as_others(cache: KTCache, call: Call, about: About) -> None:
    tagged(cache, call)
    assert call(cache, "get_many", ALL) == ALL
    assert list(call(cache, "get_many", ALL)) == list(ALL)
    assert {key: call(cache, "get", key) for key in ALL} == ALL
    assert cache.ttl("blue") == about(60)


@pytest.mark.parametrize(
    ("method", "tags", "left"),
    [
        ("delete_tag", "red", ["none", "blue", "azure", "computed"]),
        ("delete_tag", "blue", ["none", "red"]),
        ("delete_tags", ["red", "blue"], ["none"]),
        ("delete_tags", ("red",), ["none", "blue", "azure", "computed"]),
        ("delete_tags", [], list(ALL)),
        ("delete_tag", "green", list(ALL)),
    ],
)
def test_all_values_with_a_tag_are_deleted(cache: KTCache, call: Call, method: str, tags: Any, left: list[str]) -> None:
    tagged(cache, call)
    call(cache, method, iter(tags) if method == "delete_tags" else tags)
    assert list(call(cache, "get_many", ALL)) == left
    assert [key for key in ALL if call(cache, "get", key) is not None] == left


def test_a_value_stored_after_its_tag_was_deleted_is_there(cache: KTCache, call: Call) -> None:
    tagged(cache, call)
    call(cache, "delete_tag", "red")
    assert call(cache, "set", "red", "anew", tags=["red"], nx=True) is False  # the record is, unless it is read
    assert call(cache, "get", "red") is None
    assert call(cache, "set", "red", "anew", tags=["red"], nx=True) is True
    assert call(cache, "get", "red") == "anew"


def test_a_tag_deleted_while_the_value_is_computed_counts(cache: KTCache, call: Call) -> None:
    def compute() -> str:
        cache.delete_tag("tag")
        return "of before"

    assert call(cache, "get_or_set", "k", compute, tags=["tag"]) == "of before"
    assert call(cache, "get", "k") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda cache, call: call(cache, "incr", "red"),
        lambda cache, call: call(cache, "incr_many", ["red"]),
        lambda cache, call: call(cache, "touch", "red", 100),
        lambda cache, call: call(cache, "persist", "red"),
        lambda cache, call: call(cache, "compare_and_set", "red", 1.5, 2.5),
        lambda cache, call: call(cache, "incr_version", "red", 0),
    ],
    ids=["incr", "incr_many", "touch", "persist", "compare_and_set", "incr_version"],
)
def test_a_changed_value_keeps_its_tags(cache: KTCache, call: Call, change: Any) -> None:
    tagged(cache, call)
    change(cache, call)
    assert cache.get("red") in (1.5, 2.5)
    call(cache, "delete_tag", "red")
    assert call(cache, "get", "red") is None


def test_a_value_keeps_its_tags_under_another_version(cache: KTCache, call: Call) -> None:
    tagged(cache, call)
    version = call(cache, "incr_version", "red")
    assert call(cache, "get", "red", version=version) == 1.5
    call(cache, "delete_tag", "red")
    assert call(cache, "get", "red", version=version) is None


def test_tags_belong_to_a_version(cache: KTCache, call: Call) -> None:
    call(cache, "set", "k", "own", tags=["tag"])
    call(cache, "set", "k", "other", version=9, tags=["tag"])
    call(cache, "delete_tag", "tag", version=9)
    assert (call(cache, "get", "k"), call(cache, "get", "k", version=9)) == ("own", None)
    call(cache, "delete_tags", ["tag"])
    assert call(cache, "get", "k") is None


@pytest.mark.parametrize("method", ["set", "set_many", "get_or_set", "delete_tags"])
def test_one_tag_is_no_list_of_tags(cache: KTCache, call: Call, method: str) -> None:
    arguments = {"set": ("k", 1), "set_many": ({"k": 1},), "get_or_set": ("k", 1), "delete_tags": ()}[method]
    with pytest.raises(InvalidInput, match=r"tags are a list of names: write \['news'\]"):
        call(cache, method, *arguments, tags="news")


def test_a_value_cannot_have_any_number_of_tags(cache: KTCache, call: Call) -> None:
    call(cache, "set", "k", "v", tags=map(str, range(255)))
    with pytest.raises(InvalidInput, match="256 tags"):
        call(cache, "set", "k", "w", tags=map(str, range(256)))
    assert cache.get("k") == "v"


# -- locks -------------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one(cache: KTCache, make_cache: MakeCache, params: dict[str, Any], about: About) -> None:
    other = make_cache(**params)
    with cache.lock("name", timeout=20) as lock:
        assert (lock.locked(), lock.owned()) == (True, True)
        assert other.lock("name").acquire(blocking=False) is False
        assert other.lock("name", version=9).acquire(blocking=False) is True
        assert other.lock("other").acquire(blocking=False) is True
    again = other.lock("name")
    assert again.acquire(blocking=False) is True
    again.release()


def test_a_lock_is_no_value(cache: KTCache) -> None:
    cache.set("name", "value")
    with cache.lock("name"):
        assert cache.get("name") == "value"
        cache.delete("name")
        assert cache.lock("name").acquire(blocking=False) is False


def test_an_awaited_lock_is_the_same_lock(cache: KTCache) -> None:
    async def scenario() -> None:
        async with cache.alock("name", timeout=20) as lock:
            assert await lock.owned()
            assert await cache.alock("name").acquire(blocking=False) is False
            assert cache.lock("name").acquire(blocking=False) is False
        with pytest.raises(LockError, match="not held"):
            await lock.release()

    asyncio.run(scenario())


def test_a_lock_is_lost_with_its_timeout(cache: KTCache, clock: Clock) -> None:
    lock = cache.lock("name", timeout=10)
    assert lock.acquire()
    clock.advance(12)
    other = cache.lock("name")
    assert other.acquire(blocking=False) is True
    assert other.token is not None
    with pytest.raises(LockError, match="was over"):
        lock.release()
    other.release()


# -- rate limits -------------------------------------------------------------------------------------------


def test_a_rate_is_limited(cache: KTCache, call: Call, make_cache: MakeCache, params: dict[str, Any]) -> None:
    # Later than 0, when the period begins; and by a clock that stands still.
    params = {**params, "CLOCK": Clock(1_700_000_000.0)}
    limiters = [make_cache(**params).rate_limiter("login", limit=3, period=100) for _ in range(2)]
    verdicts = [call(limiters[number % 2], "hit", "user") for number in range(4)]
    assert [bool(verdict) for verdict in verdicts] == [True, True, True, False]
    assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0]
    assert verdicts[3].retry_after > 0
    assert call(limiters[0], "hit", "another").allowed
    assert call(make_cache(**params).rate_limiter("login", 3, 100, version=9), "hit", "user").allowed
    assert call(make_cache(**params).rate_limiter("mail", 3, 100), "hit", "user").allowed
