"""The awaited twins: there is one of each method, none holds up the event loop, none takes a thread in vain."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from kt_cache.stores import AsyncStore, Store
from kt_cache.stores.embedded import EmbeddedStore
from tests.stores.holding import held_by_a_process, held_by_a_thread

OpenStore = Callable[..., EmbeddedStore]

WITHOUT_TWIN = {"iter_keys", "iter_entries", "close"}
METHODS = sorted(name for name in vars(Store) if not name.startswith("_"))
TWINS = sorted(set(METHODS) - WITHOUT_TWIN)

WRITES: dict[str, Callable[[AsyncStore], Coroutine[Any, Any, Any]]] = {
    "aset": lambda store: store.aset(b"a", b"v", None),
    "aset over": lambda store: store.aset(b"a", b"v", 0),
    "aset_many": lambda store: store.aset_many({b"a": b"v"}, None),
    "aadd": lambda store: store.aadd(b"a", b"v", None),
    "areplace": lambda store: store.areplace(b"there", b"v", None),
    "adelete": lambda store: store.adelete(b"a"),
    "adelete_many": lambda store: store.adelete_many([b"a"]),
    "apop": lambda store: store.apop(b"a"),
    "atouch": lambda store: store.atouch(b"there", 10),
    "atouch_many": lambda store: store.atouch_many([b"there"], 10),
    "aincr": lambda store: store.aincr(b"counter", 1),
    "aincr_many": lambda store: store.aincr_many({b"counter": 1}),
    "acompare_and_set": lambda store: store.acompare_and_set(b"there", b"v", b"w"),
    "aexpire_at": lambda store: store.aexpire_at(b"there", 2e9),
    "apersist": lambda store: store.apersist(b"there"),
}
WHOLE: dict[str, Callable[[AsyncStore], Coroutine[Any, Any, Any]]] = {
    "aclear": lambda store: store.aclear(),
    "aclear_prefix": lambda store: store.aclear_prefix(b""),
    "acull": lambda store: store.acull(-1, 3),
    "avacuum": lambda store: store.avacuum(),
}


class CountingExecutor(ThreadPoolExecutor):
    """Threads that count the work they are given."""

    submitted = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
def executor(runner: asyncio.Runner) -> CountingExecutor:
    """Return the threads of the runner's loop."""
    executor = CountingExecutor(max_workers=2)
    runner.get_loop().set_default_executor(executor)
    return executor


def test_the_methods_of_the_contract_are_found() -> None:
    assert len(TWINS) == 27
    assert {"get", "compare_and_set", "stats"} < set(TWINS)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("store", [AsyncStore, EmbeddedStore])
def test_each_method_has_an_awaited_twin(store: type, name: str) -> None:
    twin = getattr(store, f"a{name}")
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(getattr(Store, name))


@pytest.mark.parametrize("name", METHODS)
def test_the_embedded_store_has_the_signatures_of_the_contract(name: str) -> None:
    assert inspect.signature(getattr(EmbeddedStore, name)) == inspect.signature(getattr(Store, name))


@pytest.mark.parametrize("holding", [held_by_a_process, held_by_a_thread])
@pytest.mark.parametrize("options", [{}, {"durability": "commit", "eviction": "none"}], ids=["cache", "sessions"])
def test_a_held_transaction_does_not_hold_up_the_event_loop(
    open_store: OpenStore, runner: asyncio.Runner, holding: Any, options: dict[str, str]
) -> None:
    store = open_store(**options)
    store.set_many({b"there": b"v", b"counter": 1}, None)

    async def scenario(release: Callable[[], object]) -> None:
        writes = [asyncio.create_task(write(store)) for write in [*WRITES.values(), *WHOLE.values()]]
        for _ in range(50):
            await asyncio.sleep(0)
            assert await store.aget(b"there") == b"v"
            assert await store.aget_many([b"there", b"none"]) == {b"there": b"v"}
            assert await store.aget_with_ttl(b"there")
            assert await store.aexists(b"there")
            assert await store.attl(b"there")
            assert await store.attl_many([b"there"])
            assert await store.aping()
            assert not any(write.done() for write in writes)
        release()
        await asyncio.gather(*writes)

    with holding(store._database.environment) as release:
        runner.run(scenario(release))


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_write_that_need_not_wait_takes_no_thread(
    open_store: OpenStore,
    runner: asyncio.Runner,
    executor: CountingExecutor,
    write: Callable[[AsyncStore], Coroutine[Any, Any, Any]],
) -> None:
    store = open_store()
    store.set_many({b"there": b"v", b"counter": 1}, None)
    runner.run(write(store))
    assert executor.submitted == 0


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_write_to_the_disk_takes_a_thread(
    open_store: OpenStore,
    runner: asyncio.Runner,
    executor: CountingExecutor,
    write: Callable[[AsyncStore], Coroutine[Any, Any, Any]],
) -> None:
    store = open_store(durability="commit")
    store.set_many({b"there": b"v", b"counter": 1}, None)
    runner.run(write(store))
    assert executor.submitted == 1


@pytest.mark.parametrize("options", [{}, {"durability": "commit"}], ids=["cache", "durable"])
def test_a_read_takes_no_thread(
    open_store: OpenStore, runner: asyncio.Runner, executor: CountingExecutor, options: dict[str, str]
) -> None:
    store = open_store(**options)

    async def reads() -> None:
        await store.aget(b"k")
        await store.aget_with_ttl(b"k")
        await store.aget_many([b"k"])
        await store.aexists(b"k")
        await store.attl(b"k")
        await store.attl_many([b"k"])
        await store.aping()

    runner.run(reads())
    assert executor.submitted == 0


@pytest.mark.parametrize("walk", [*WHOLE.values(), lambda store: store.akeys(), lambda store: store.astats()])
def test_what_takes_its_time_takes_a_thread(
    open_store: OpenStore,
    runner: asyncio.Runner,
    executor: CountingExecutor,
    walk: Callable[[AsyncStore], Coroutine[Any, Any, Any]],
) -> None:
    runner.run(walk(open_store()))
    assert executor.submitted == 1


def test_increments_from_tasks_and_threads_add_up(open_store: OpenStore, runner: asyncio.Runner) -> None:
    store = open_store()

    async def count() -> None:
        for _ in range(50):
            await store.aincr(b"k", 1, initial=0)

    async def scenario() -> None:
        threads = [asyncio.to_thread(asyncio.run, count()) for _ in range(2)]
        await asyncio.gather(count(), count(), *threads)

    runner.run(scenario())
    assert store.get(b"k") == 200


def test_an_awaited_error_is_the_waiting_one(open_store: OpenStore, runner: asyncio.Runner) -> None:
    store = open_store()
    store.set(b"k", b"no counter", None)
    with pytest.raises(ValueError, match="counter"):
        runner.run(store.aincr(b"k", 1))
