"""Flows run the same on waiting and on awaited stores, and hold when others write in between."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import pytest

from kt_cache.flows import Flow, adrive, call, drive, increment, move
from kt_cache.stores import KEEP
from kt_cache.stores.memory import MemoryStore
from kt_cache.values import Codec
from kt_core.errors import StoreFull

T = TypeVar("T")

CODEC = Codec(serializer="json")


class Script:
    """A store that expects certain calls, awaited or not, and answers each as written.

    An answer that is an exception is raised.
    """

    def __init__(self, *lines: tuple[tuple[Any, ...], Any]) -> None:
        self._lines = list(lines)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("a"):
            return self._awaited(name[1:])
        return self._method(name)

    def _method(self, name: str) -> Callable[..., Any]:
        def method(*arguments: Any) -> Any:
            expected, answer = self._lines.pop(0)
            assert (name, *arguments) == expected
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return method

    def _awaited(self, name: str) -> Callable[..., Any]:
        async def method(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return self._method(name)(*arguments)

        return method

    @property
    def ended(self) -> bool:
        """Whether all that was expected has come."""
        return not self._lines


class Twinned:
    """A store's methods, and the same to be awaited."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if hasattr(self._store, name):
            return getattr(self._store, name)
        plain = getattr(self._store, name[1:])

        async def twin(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return plain(*arguments)

        return twin


def awaited(flow: Flow[T], store: Any) -> T:
    return asyncio.run(adrive(flow, store))


Drive: TypeAlias = Callable[[Flow[Any], Any], Any]


@pytest.fixture(params=[drive, awaited], ids=["waiting", "awaited"])
def run(request: pytest.FixtureRequest) -> Any:
    """Return what runs a flow on a store, in both worlds."""
    return request.param


def added(delta: Any = 1) -> Flow[Any]:
    return increment(b"k", delta, CODEC.loads, CODEC.dumps)


def stored(value: object) -> Any:
    return CODEC.dumps(value)


def value_of(store: MemoryStore) -> Any:
    found = store.get(b"k")
    assert found is not None
    return CODEC.loads(found)


# -- driving -----------------------------------------------------------------------------------------------


def test_a_flow_without_calls_returns_its_result(run: Drive) -> None:
    def flow() -> Flow[str]:
        return "result"
        yield

    assert run(flow(), Script()) == "result"


def test_each_call_gets_its_own_answer(run: Drive) -> None:
    def flow() -> Flow[list[Any]]:
        return [(yield call("get", b"a")), (yield call("set", b"b", 1, None)), (yield call("get", b"c"))]

    script = Script((("get", b"a"), b"1"), (("set", b"b", 1, None), None), (("get", b"c"), 3))
    assert run(flow(), script) == [b"1", None, 3]
    assert script.ended


def test_what_a_call_raises_leaves_the_flow(run: Drive) -> None:
    ends: list[str] = []

    def flow() -> Flow[None]:
        try:
            yield call("get", b"k")
        finally:
            ends.append("cleaned up")

    with pytest.raises(StoreFull, match="no room"):
        run(flow(), Script((("get", b"k"), StoreFull("no room"))))
    assert ends == ["cleaned up"]


def test_a_flow_may_catch_what_a_call_raises_and_go_on(run: Drive) -> None:
    def flow() -> Flow[Any]:
        try:
            yield call("incr", b"k", 1)
        except ValueError as error:
            return (yield call("get", str(error).encode()))

    script = Script((("incr", b"k", 1), ValueError("other")), (("get", b"other"), 5))
    assert run(flow(), script) == 5
    assert script.ended


def test_a_flow_may_turn_an_error_into_its_result(run: Drive) -> None:
    def flow() -> Flow[str]:
        try:
            yield call("get", b"k")
        except KeyError:
            return "caught"
        return "missed"

    assert run(flow(), Script((("get", b"k"), KeyError("k")))) == "caught"


def test_what_a_flow_raises_itself_is_raised(run: Drive) -> None:
    def flow() -> Flow[None]:
        yield call("get", b"k")
        raise LookupError("of its own")

    with pytest.raises(LookupError, match="of its own"):
        run(flow(), Script((("get", b"k"), None)))


def test_an_unknown_call_is_an_error_inside_the_flow(run: Drive) -> None:
    def flow() -> Flow[str]:
        try:
            yield call("no_such_method")
        except AttributeError:
            return "caught"
        return "missed"

    assert run(flow(), object()) == "caught"


def test_an_interruption_is_no_error_of_the_flow(run: Drive) -> None:
    def flow() -> Flow[str]:
        try:
            yield call("get", b"k")
        except KeyboardInterrupt:
            return "caught"
        return "missed"

    with pytest.raises(KeyboardInterrupt):
        run(flow(), Script((("get", b"k"), KeyboardInterrupt())))


# -- increment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "delta", "total"), [(1.5, 1, 2.5), (1 << 63, 1, (1 << 63) + 1), (1 << 63, -1, None)])
def test_increment_puts_the_sum_in_the_place_of_the_value(run: Drive, value: Any, delta: int, total: Any) -> None:
    total = value + delta if total is None else total
    script = Script(
        (("get", b"k"), stored(value)), (("compare_and_set", b"k", stored(value), stored(total), KEEP), True)
    )
    assert run(added(delta), script) == total
    assert script.ended


def test_increment_finds_nothing(run: Drive) -> None:
    script = Script((("get", b"k"), None))
    assert run(added(), script) is None
    assert script.ended


def test_increment_begins_again_when_somebody_was_faster(run: Drive) -> None:
    script = Script(
        (("get", b"k"), stored(1.5)),
        (("compare_and_set", b"k", stored(1.5), stored(2.5), KEEP), False),
        (("get", b"k"), stored(10.5)),
        (("compare_and_set", b"k", stored(10.5), stored(11.5), KEEP), False),
        (("get", b"k"), 7),
        (("compare_and_set", b"k", 7, 8, KEEP), True),
    )
    assert run(added(), script) == 8
    assert script.ended


def test_increment_ends_when_somebody_deletes(run: Drive) -> None:
    script = Script(
        (("get", b"k"), stored(1.5)),
        (("compare_and_set", b"k", stored(1.5), stored(2.5), KEEP), False),
        (("get", b"k"), None),
    )
    assert run(added(), script) is None
    assert script.ended


@pytest.mark.parametrize("value", ["text", None, [1], {"a": 1}])
def test_increment_of_what_is_no_number_is_a_type_error_and_changes_nothing(run: Drive, value: object) -> None:
    script = Script((("get", b"k"), stored(value)))
    with pytest.raises(TypeError):
        run(added(), script)
    assert script.ended


def test_increments_by_threads_all_count() -> None:
    store = MemoryStore()
    store.set(b"k", stored(0.5), None)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: drive(added(), store), range(200)))
    assert value_of(store) == 200.5


def test_increments_by_tasks_all_count() -> None:
    store = MemoryStore()
    store.set(b"k", stored(0.5), None)

    async def race() -> None:
        await asyncio.gather(*(adrive(added(), Twinned(store)) for _ in range(20)))

    asyncio.run(race())
    assert value_of(store) == 20.5


# -- move --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "timeout"), [(12.5, 12.5), (math.inf, None)])
@pytest.mark.parametrize("value", [b"value", b"", 0, 5])
def test_move_takes_value_and_time_along(run: Drive, value: Any, left: float, timeout: float | None) -> None:
    store = MemoryStore(clock=lambda: 1000.0)
    store.set(b"source", value, timeout)
    store.set(b"target", b"old", 1)
    assert run(move(b"source", b"target"), Twinned(store)) is True
    assert store.get_many([b"source", b"target"]) == {b"target": value}
    assert store.ttl(b"target") == left


def test_move_of_nothing_leaves_the_target(run: Drive) -> None:
    store = MemoryStore()
    store.set(b"target", b"old", None)
    assert run(move(b"source", b"target"), Twinned(store)) is False
    assert store.get(b"target") == b"old"


def test_move_of_what_vanishes_meanwhile_leaves_the_target(run: Drive) -> None:
    script = Script((("get", b"source"), b"value"), (("ttl", b"source"), None))
    assert run(move(b"source", b"target"), script) is False
    assert script.ended


def test_move_that_finds_no_room_leaves_the_source(run: Drive) -> None:
    script = Script(
        (("get", b"source"), b"value"),
        (("ttl", b"source"), math.inf),
        (("set", b"target", b"value", None), StoreFull("no room")),
    )
    with pytest.raises(StoreFull):
        run(move(b"source", b"target"), script)
    assert script.ended


def test_move_does_not_delete_what_somebody_stores_meanwhile(run: Drive) -> None:
    class Overtaken(MemoryStore):
        """Somebody gives the source a new value as soon as the old one is stored under the target."""

        def set(self, key: bytes, value: Any, timeout: float | None) -> None:
            super().set(key, value, timeout)
            super().set(b"source", b"newer", None)

    store = Overtaken()
    MemoryStore.set(store, b"source", b"older", None)
    assert run(move(b"source", b"target"), Twinned(store)) is True
    assert store.get_many([b"source", b"target"]) == {b"source": b"newer", b"target": b"older"}


def test_move_onto_itself_loses_nothing(run: Drive) -> None:
    store = MemoryStore()
    store.set(b"k", b"value", None)
    assert run(move(b"k", b"k"), Twinned(store)) is True
    assert store.get(b"k") == b"value"
