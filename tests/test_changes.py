"""Changes by what is there hold when others write in between, waiting and awaited."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kt_cache.changes import compare_and_set, exchange, increment, move
from kt_cache.flows import Flow, adrive, drive
from kt_cache.reading import Found, Values
from kt_cache.reserved import Kind, reserved
from kt_cache.stores import KEEP, Store
from kt_cache.stores.memory import MemoryStore
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.terms import Terms
from kt_cache.values import Codec, Unreadable
from kt_core.errors import ConnectionFailed, InvalidInput, StoreFull
from tests.clock import Clock
from tests.fix_driving import Drive, Script
from tests.stores.failing import Failing
from tests.stores.twinned import Twinned

CODEC = Codec(serializer="json")
CLOCK = Clock()
VALUES = Values(CODEC, CLOCK)
KEY = b"k"

NEVER_STALE = Terms()
STALE = Terms(fresh_until=int(CLOCK() * 1000) - 1)
FRESH = Terms(fresh_until=int(CLOCK() * 1000) + 1)
TAGGED = Terms(tags=((b"tag", 7),))


def stored(value: object, terms: Terms = NEVER_STALE) -> Any:
    return CODEC.dumps(value, KEY) if terms is NEVER_STALE else CODEC.dumps_with(terms.encode(), value, KEY)


def value_of(store: Store, key: bytes = KEY) -> Any:
    found = store.get(key)
    assert found is not None
    return CODEC.loads(found, key)


@pytest.fixture
def store() -> Twinned:
    """Return an empty store on the clock."""
    return Twinned(CLOCK)


# -- increment ---------------------------------------------------------------------------------------------


def added(delta: Any = 1) -> Flow[Any]:
    return increment(VALUES, KEY, delta)


@pytest.mark.parametrize(("value", "delta", "total"), [(1.5, 1, 2.5), (1 << 63, 1, (1 << 63) + 1), (1 << 63, -1, None)])
def test_increment_puts_the_sum_in_the_place_of_the_value(run: Drive, value: Any, delta: int, total: Any) -> None:
    total = value + delta if total is None else total
    script = Script((("get", KEY), stored(value)), (("compare_and_set", KEY, stored(value), stored(total), KEEP), True))
    assert run(added(delta), script) == total
    assert script.ended


def test_increment_finds_nothing(run: Drive) -> None:
    script = Script((("get", KEY), None))
    assert run(added(), script) is None
    assert script.ended


def test_increment_begins_again_when_somebody_was_faster(run: Drive) -> None:
    script = Script(
        (("get", KEY), stored(1.5)),
        (("compare_and_set", KEY, stored(1.5), stored(2.5), KEEP), False),
        (("get", KEY), stored(10.5)),
        (("compare_and_set", KEY, stored(10.5), stored(11.5), KEEP), False),
        (("get", KEY), 7),
        (("compare_and_set", KEY, 7, 8, KEEP), True),
    )
    assert run(added(), script) == 8
    assert script.ended


def test_increment_ends_when_somebody_deletes(run: Drive) -> None:
    script = Script(
        (("get", KEY), stored(1.5)),
        (("compare_and_set", KEY, stored(1.5), stored(2.5), KEEP), False),
        (("get", KEY), None),
    )
    assert run(added(), script) is None
    assert script.ended


@pytest.mark.parametrize("value", ["text", None, [1], {"a": 1}])
def test_increment_of_what_is_no_number_is_a_type_error_and_changes_nothing(run: Drive, value: object) -> None:
    script = Script((("get", KEY), stored(value)))
    with pytest.raises(TypeError):
        run(added(), script)
    assert script.ended


def test_increments_by_threads_all_count() -> None:
    store = MemoryStore()
    store.set(KEY, stored(0.5), None)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: drive(added(), store), range(200)))
    assert value_of(store) == 200.5


def test_increments_by_tasks_all_count() -> None:
    store = Twinned()
    store.set(KEY, stored(0.5), None)

    async def race() -> None:
        await asyncio.gather(*(adrive(added(), store) for _ in range(20)))

    asyncio.run(race())
    assert value_of(store) == 20.5


def test_increment_keeps_terms_and_expiry(run: Drive, store: Twinned) -> None:
    store.set(KEY, stored(1.5, FRESH), 10)
    assert run(added(), store) == 2.5
    assert store.get_with_ttl(KEY) == (stored(2.5, FRESH), 10)


def test_increment_of_a_stale_value_finds_nothing(run: Drive, store: Twinned) -> None:
    store.set(KEY, stored(1.5, STALE), 10)
    assert run(added(), store) is None
    assert store.get(KEY) == stored(1.5, STALE)


def begun(initial: Any, delta: Any) -> Flow[Any]:
    return increment(VALUES, KEY, delta, initial, 10)


@pytest.mark.parametrize(("initial", "delta"), [(1.5, 1), (0, 0.5), ((1 << 63) - 1, 1)])
def test_increment_begins_with_an_initial_value_and_a_timeout(
    run: Drive, store: Twinned, initial: Any, delta: Any
) -> None:
    assert run(begun(initial, delta), store) == initial + delta
    assert store.get_with_ttl(KEY) == (stored(initial + delta), 10)


def test_increment_with_an_initial_value_adds_to_what_is_there(run: Drive, store: Twinned) -> None:
    store.set(KEY, stored(0.5), 20)
    assert run(begun(100, 1), store) == 1.5
    assert store.get_with_ttl(KEY) == (stored(1.5), 20)


def test_increment_begins_anew_in_the_place_of_a_stale_value(run: Drive, store: Twinned) -> None:
    store.set(KEY, stored(0.5, STALE), 20)
    assert run(begun(100.5, 1), store) == 101.5
    assert store.get_with_ttl(KEY) == (stored(101.5), 10)


def test_increment_adds_to_what_somebody_else_has_begun(run: Drive) -> None:
    script = Script(
        (("get", KEY), None),
        (("compare_and_set", KEY, None, stored(1.5), 10), False),
        (("exists", KEY), True),
        (("get", KEY), stored(7.5)),
        (("compare_and_set", KEY, stored(7.5), stored(8.5), KEEP), True),
    )
    assert run(begun(0.5, 1), script) == 8.5
    assert script.ended


def test_increment_ends_in_an_outage_that_is_tolerated(run: Drive) -> None:
    store = TolerantStore(Failing(ConnectionFailed("refused")))
    assert run(added(), store) is None
    assert run(begun(0.5, 1), store) == 1.5


# -- exchange ----------------------------------------------------------------------------------------------


def exchanged(nx: bool = False, xx: bool = False, timeout: float | None = 10) -> Flow[Found | None]:
    return exchange(VALUES, KEY, "new", timeout, None, nx=nx, xx=xx)


@pytest.mark.parametrize("old", [None, "old", 0, ""])
@pytest.mark.parametrize(("nx", "xx"), [(False, False), (True, False), (False, True)], ids=["set", "nx", "xx"])
def test_exchange_stores_where_it_may_and_returns_what_was_there(
    run: Drive, store: Twinned, old: object, nx: bool, xx: bool
) -> None:
    if old is not None:
        store.set(KEY, stored(old), None)
    found = run(exchanged(nx, xx), store)
    assert (None if found is None else found.value) == old
    is_stored = (old is None and not xx) or (old is not None and not nx)
    assert store.get(KEY) == (stored("new") if is_stored else None if old is None else stored(old))
    assert store.ttl(KEY) == (10 if is_stored else None if old is None else math.inf)


def test_exchange_tells_a_value_that_is_none_from_nothing(run: Drive, store: Twinned) -> None:
    store.set(KEY, stored(None), None)
    found = run(exchanged(xx=True), store)
    assert found is not None
    assert found.value is None
    assert value_of(store) == "new"


def test_exchange_begins_again_when_somebody_was_faster(run: Drive) -> None:
    script = Script(
        (("get", KEY), stored("old")),
        (("compare_and_set", KEY, stored("old"), stored("new"), 10), False),
        (("get", KEY), None),
        (("compare_and_set", KEY, None, stored("new"), 10), False),
        (("exists", KEY), True),
        (("get", KEY), stored("theirs")),
        (("compare_and_set", KEY, stored("theirs"), stored("new"), 10), True),
    )
    assert run(exchanged(), script).value == "theirs"
    assert script.ended


def test_exchange_where_nothing_is_ends_when_somebody_was_faster(run: Drive) -> None:
    script = Script(
        (("get", KEY), None),
        (("compare_and_set", KEY, None, stored("new"), 10), False),
        (("exists", KEY), True),
        (("get", KEY), stored("theirs")),
    )
    assert run(exchanged(nx=True), script).value == "theirs"
    assert script.ended


def test_exchange_where_something_is_ends_when_somebody_deletes(run: Drive) -> None:
    script = Script(
        (("get", KEY), stored("old")),
        (("compare_and_set", KEY, stored("old"), stored("new"), 10), False),
        (("get", KEY), None),
    )
    assert run(exchanged(xx=True), script) is None
    assert script.ended


def test_exchange_puts_its_value_in_the_place_of_what_cannot_be_read(run: Drive, store: Twinned) -> None:
    store.set(KEY, b"damaged", None)
    assert run(exchanged(nx=True), store) is None
    assert value_of(store) == "new"


def test_exchange_stores_its_terms(run: Drive, store: Twinned) -> None:
    run(exchange(VALUES, KEY, "new", 10, TAGGED, nx=False, xx=False), store)
    assert store.get(KEY) == stored("new", TAGGED)


@pytest.mark.parametrize("flags", [{}, {"nx": True}, {"xx": True}])
def test_exchange_ends_in_an_outage_that_is_tolerated(run: Drive, flags: dict[str, bool]) -> None:
    assert run(exchanged(**flags), TolerantStore(Failing(ConnectionFailed("refused")))) is None


def test_conditions_that_can_never_be_are_refused_before_anything_is_asked(run: Drive) -> None:
    with pytest.raises(InvalidInput, match="nx and xx exclude each other"):
        run(exchanged(nx=True, xx=True), Script())


@pytest.mark.parametrize("xx", [False, True])
def test_of_many_who_exchange_each_gets_what_the_one_before_stored(store: Twinned, xx: bool) -> None:
    store.set(KEY, stored("first"), None)

    async def scenario() -> list[Any]:
        flows = [exchange(VALUES, KEY, number, None, None, nx=False, xx=xx) for number in range(20)]
        return [found.value for found in await asyncio.gather(*(adrive(flow, store) for flow in flows)) if found]

    replaced = asyncio.run(scenario())
    assert {*replaced, value_of(store)} == {"first", *range(20)}
    assert len(replaced) == 20


# -- compare_and_set ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "old", "done"),
    [
        ("old", "old", True),
        ([1, {"a": 2}], [1, {"a": 2}], True),
        (1, 1, True),
        (None, None, True),
        ("old", "other", False),
        ("1", 1, False),
    ],
)
def test_compare_and_set_goes_by_equality(run: Drive, store: Twinned, there: object, old: object, done: bool) -> None:
    store.set(KEY, stored(there), 10)
    assert run(compare_and_set(VALUES, KEY, old, "new", KEEP), store) is done
    assert value_of(store) == ("new" if done else there)
    assert store.ttl(KEY) == 10


def test_compare_and_set_of_nothing_is_not_done(run: Drive, store: Twinned) -> None:
    assert run(compare_and_set(VALUES, KEY, None, "new", None), store) is False
    assert store.keys() == []


def test_compare_and_set_gives_the_timeout(run: Drive, store: Twinned) -> None:
    store.set(KEY, stored("old"), 10)
    assert run(compare_and_set(VALUES, KEY, "old", "new", 20), store) is True
    assert store.ttl(KEY) == 20


def test_compare_and_set_begins_again_when_an_equal_value_took_its_place(run: Drive) -> None:
    script = Script(
        (("get", KEY), stored(1)),
        (("compare_and_set", KEY, stored(1), stored("new"), KEEP), False),
        (("get", KEY), stored(1.0)),
        (("compare_and_set", KEY, stored(1.0), stored("new"), KEEP), True),
    )
    assert run(compare_and_set(VALUES, KEY, 1, "new", KEEP), script) is True
    assert script.ended


def test_compare_and_set_ends_when_another_value_took_its_place(run: Drive) -> None:
    script = Script(
        (("get", KEY), stored("old")),
        (("compare_and_set", KEY, stored("old"), stored("new"), KEEP), False),
        (("get", KEY), stored("theirs")),
    )
    assert run(compare_and_set(VALUES, KEY, "old", "new", KEEP), script) is False
    assert script.ended


def test_compare_and_set_keeps_the_terms(run: Drive, store: Twinned) -> None:
    store.set(reserved(Kind.TAG, b"tag"), 7, None)
    store.set(KEY, stored("old", TAGGED), None)
    assert run(compare_and_set(VALUES, KEY, "old", "new", KEEP), store) is True
    assert store.get(KEY) == stored("new", TAGGED)


def test_a_stale_value_equals_nothing(run: Drive, store: Twinned) -> None:
    store.set(KEY, stored("old", STALE), None)
    assert run(compare_and_set(VALUES, KEY, "old", "new", KEEP), store) is False


# -- move --------------------------------------------------------------------------------------------------


def moved(source: bytes = b"source", target: bytes = b"target", codec: Codec = CODEC) -> Flow[bool]:
    return move(source, target, codec.rekey)


@pytest.mark.parametrize(("left", "timeout"), [(12.5, 12.5), (math.inf, None)])
@pytest.mark.parametrize("value", [b"value", b"", 0, 5])
def test_move_takes_value_and_time_along(
    run: Drive, store: Twinned, value: Any, left: float, timeout: float | None
) -> None:
    store.set(b"source", value, timeout)
    store.set(b"target", b"old", 1)
    assert run(moved(), store) is True
    assert store.get_many([b"source", b"target"]) == {b"target": value}
    assert store.ttl(b"target") == left


def test_move_of_nothing_leaves_the_target(run: Drive, store: Twinned) -> None:
    store.set(b"target", b"old", None)
    assert run(moved(), store) is False
    assert store.get(b"target") == b"old"


def test_move_that_finds_no_room_leaves_the_source(run: Drive) -> None:
    script = Script(
        (("get_with_ttl", b"source"), (b"value", math.inf)),
        (("set", b"target", b"value", None), StoreFull("no room")),
    )
    with pytest.raises(StoreFull):
        run(moved(), script)
    assert script.ended


def test_move_does_not_delete_what_somebody_stores_meanwhile(run: Drive) -> None:
    script = Script(
        (("get_with_ttl", b"source"), (b"older", 10.0)),
        (("set", b"target", b"older", 10.0), True),
        (("compare_and_set", b"source", b"older", None), False),
    )
    assert run(moved(), script) is True
    assert script.ended


def test_move_onto_itself_loses_nothing(run: Drive, store: Twinned) -> None:
    store.set(KEY, b"value", None)
    assert run(moved(KEY, KEY), store) is True
    assert store.get(KEY) == b"value"


def test_move_signs_for_the_other_key(run: Drive, store: Twinned) -> None:
    codec = Codec(serializer="json", signing_keys=[b"secret"])
    store.set(b"source", codec.dumps("value", b"source"), None)
    assert run(moved(codec=codec), store) is True
    found = store.get(b"target")
    assert found is not None
    assert codec.loads(found, b"target") == "value"
    with pytest.raises(Unreadable):
        codec.loads(found, b"source")
