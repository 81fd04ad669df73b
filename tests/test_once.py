"""A value is computed once however many ask, and nobody waits in vain: not for the dead, nor in an outage."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kt_cache.flows import Flow, Pause, adrive, call, drive
from kt_cache.once import Once, Policy
from kt_cache.reading import Found, Values
from kt_cache.reserved import Kind, reserved
from kt_cache.stores import Value
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.values import Codec
from kt_core.errors import ConnectionFailed, StoreFull
from tests.clock import Clock
from tests.fix_driving import Drive
from tests.stores.failing import Failing
from tests.stores.twinned import Twinned

KEY = b"k"
HOLD = reserved(Kind.ONCE, KEY)
CODEC = Codec(serializer="json")
MANY = 8
PATIENCE = 10  # seconds that only a test which fails waits


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Twinned:
    """Return an empty store."""
    return Twinned(clock)


class Making:
    """Makes a new value each time, and knows how many it has made; given an error, it raises that."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.made = 0
        self._error = error

    def __call__(self) -> str:
        self.made += 1
        if self._error is not None:
            raise self._error
        return f"made {self.made}"


def once(compute: Callable[[], Any], clock: Clock, timeout: float | None = 10, **policy: float) -> Flow[Any]:
    """Return the flow that gives the value under the key, computed and stored for so long if need be."""
    values, rules = Values(CODEC, clock), Policy(**policy)

    def keep(value: Any, found: Found | None) -> Flow[Any]:
        stored = yield from values.stored_form(value, KEY, values.terms((), timeout, rules.stale))
        lifetime = None if timeout is None else timeout + rules.stale
        yield call("add" if found is None else "set", KEY, stored, lifetime)
        return value

    return Once(KEY, values, rules, compute, keep, clock).run()


def forbidden() -> Any:
    pytest.fail("this is not to be computed")  # which is no `Exception`, and so is not taken for a failed computation


def without_pause(flow: Flow[Any]) -> Flow[Any]:
    """Run a flow that never waits for anybody."""
    step = next(flow)
    while True:
        assert not isinstance(step, Pause)
        result = yield step
        try:
            step = flow.send(result)
        except StopIteration as end:
            return end.value


# -- one who asks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [5.0, 0.0])
def test_a_value_is_computed_where_none_is_and_then_found(
    run: Drive, store: Twinned, clock: Clock, wait: float
) -> None:
    making = Making()
    assert run(once(making, clock, wait=wait), store) == "made 1"
    assert run(once(making, clock, wait=wait), store) == "made 1"
    assert making.made == 1
    assert store.keys() == [KEY]
    assert store.ttl(KEY) == 10


def test_a_value_is_computed_anew_when_it_is_over(run: Drive, store: Twinned, clock: Clock) -> None:
    making = Making()
    run(once(making, clock), store)
    clock.advance(11)
    assert run(once(making, clock), store) == "made 2"


@pytest.mark.parametrize("value", [None, 0, "", []])
def test_a_value_may_be_as_good_as_nothing(run: Drive, store: Twinned, clock: Clock, value: object) -> None:
    assert run(once(lambda: value, clock), store) == value
    assert run(once(forbidden, clock), store) == value


def test_what_the_computation_returns_is_awaited(store: Twinned, clock: Clock) -> None:
    async def compute() -> str:
        await asyncio.sleep(0)
        return "awaited"

    assert asyncio.run(adrive(once(compute, clock), store)) == "awaited"
    assert drive(once(forbidden, clock), store) == "awaited"


def test_while_it_is_computed_the_key_is_held(run: Drive, store: Twinned, clock: Clock) -> None:
    def compute() -> str:
        assert store.ttl(HOLD) == 3
        return "value"

    run(once(compute, clock, wait=3), store)
    assert not store.exists(HOLD)


@pytest.mark.parametrize("error", [LookupError("no"), KeyboardInterrupt(), SystemExit(), asyncio.CancelledError()])
def test_an_error_reaches_the_caller_and_lets_go_of_the_hold(
    run: Drive, store: Twinned, clock: Clock, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        run(once(Making(error), clock), store)
    assert store.keys() == []
    assert run(once(lambda: "value", clock), store) == "value"


def test_an_error_of_storing_lets_go_of_the_hold(run: Drive, clock: Clock) -> None:
    class Full(Twinned):
        def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
            if key == KEY:
                raise StoreFull("no room")
            return super().add(key, value, timeout)

    store = Full(clock)
    with pytest.raises(StoreFull):
        run(once(Making(), clock), store)
    assert store.keys() == []


def test_a_hold_that_has_passed_on_is_not_let_go_of(run: Drive, store: Twinned, clock: Clock) -> None:
    def compute() -> str:
        clock.advance(6)
        store.set(HOLD, 7, 5)
        return "value"

    assert run(once(compute, clock), store) == "value"
    assert store.get(HOLD) == 7


def test_what_somebody_stores_between_the_look_and_the_hold_is_taken(run: Drive, clock: Clock) -> None:
    class Overtaken(Twinned):
        def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
            super().set(KEY, CODEC.dumps("theirs", KEY), None)
            return super().add(key, value, timeout)

    store = Overtaken(clock)
    assert run(once(forbidden, clock), store) == "theirs"
    assert store.keys() == [KEY]


# -- many who ask ------------------------------------------------------------------------------------------


class Crowd(Twinned):
    """A store that notes who was refused the hold, and tells when that is everybody but one."""

    def __init__(self, clock: Clock, who: Callable[[], object], tell: Callable[[], object]) -> None:
        super().__init__(clock)
        self._who = who
        self._tell = tell
        self._refused: set[object] = set()

    def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
        done = super().add(key, value, timeout)
        if key == HOLD and not done:
            self._refused.add(self._who())
            if len(self._refused) == MANY - 1:
                self._tell()
        return done


def test_threads_that_miss_at_once_compute_once(clock: Clock) -> None:
    everybody, making = threading.Event(), Making()
    store = Crowd(clock, threading.get_ident, everybody.set)

    def compute() -> str:
        assert everybody.wait(PATIENCE)
        return making()

    with ThreadPoolExecutor(MANY) as threads:
        assert list(threads.map(lambda _: drive(once(compute, clock), store), range(MANY))) == ["made 1"] * MANY
    assert making.made == 1
    assert store.keys() == [KEY]


def test_tasks_that_miss_at_once_compute_once(clock: Clock) -> None:
    making = Making()

    async def scenario() -> list[str]:
        everybody = asyncio.Event()
        store = Crowd(clock, asyncio.current_task, everybody.set)

        async def compute() -> str:
            await asyncio.wait_for(everybody.wait(), PATIENCE)
            return making()

        return await asyncio.gather(*(adrive(once(compute, clock), store) for _ in range(MANY)))

    assert asyncio.run(scenario()) == ["made 1"] * MANY
    assert making.made == 1


def test_an_error_reaches_only_the_one_who_computed(clock: Clock) -> None:
    """The next of those who wait computes, and all the others get what that has made."""
    making, attempts = Making(), list[int]()

    async def scenario() -> list[Any]:
        everybody = asyncio.Event()
        store = Crowd(clock, asyncio.current_task, everybody.set)

        async def compute() -> str:
            attempts.append(1)
            await asyncio.wait_for(everybody.wait(), PATIENCE)
            if len(attempts) == 1:
                raise LookupError("no")
            return making()

        flows = [once(compute, clock) for _ in range(MANY)]
        return await asyncio.gather(*(adrive(flow, store) for flow in flows), return_exceptions=True)

    results = asyncio.run(scenario())
    assert [type(result) for result in results].count(LookupError) == 1
    assert results.count("made 1") == MANY - 1
    assert making.made == 1


def test_a_task_that_is_cancelled_lets_go_of_the_hold(store: Twinned, clock: Clock) -> None:
    async def scenario() -> None:
        begun = asyncio.Event()

        async def compute() -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(adrive(once(compute, clock), store))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        assert store.keys() == [HOLD]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert store.keys() == []

    asyncio.run(scenario())


def test_a_task_that_is_cancelled_while_it_waits_leaves_the_others_hold(store: Twinned, clock: Clock) -> None:
    store.set(HOLD, 7, None)

    async def scenario() -> None:
        task = asyncio.create_task(adrive(once(forbidden, clock), store))
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert store.get(HOLD) == 7


def test_the_hold_of_the_dead_passes_on(run: Drive, clock: Clock) -> None:
    class Ageing(Twinned):
        """Each look takes a second."""

        def get(self, key: bytes) -> Value | None:
            clock.advance(1)
            return super().get(key)

    store, making = Ageing(clock), Making()
    store.set(HOLD, 7, 5)
    assert run(once(making, clock, wait=5), store) == "made 1"
    assert making.made == 1
    assert store.keys() == [KEY]


def test_nobody_waits_longer_than_that(run: Drive, store: Twinned, clock: Clock) -> None:
    store.set(HOLD, 7, None)
    making = Making()
    assert run(once(making, clock, wait=0.01), store) == "made 1"
    assert run(once(forbidden, clock), store) == "made 1"
    assert store.get(HOLD) == 7


def test_who_does_not_wait_holds_nothing(run: Drive, store: Twinned, clock: Clock) -> None:
    store.set(HOLD, 7, None)
    assert run(without_pause(once(Making(), clock, wait=0)), store) == "made 1"
    assert store.get(HOLD) == 7


def test_in_an_outage_that_is_tolerated_nobody_waits(run: Drive, clock: Clock) -> None:
    store = TolerantStore(Failing(ConnectionFailed("refused")))
    making = Making()
    assert run(without_pause(once(making, clock)), store) == "made 1"
    assert run(without_pause(once(making, clock, early=5, stale=5)), store) == "made 2"


def test_the_outage_of_another_server_does_not_end_the_waiting(run: Drive, clock: Clock) -> None:
    class Elsewhere(Twinned):
        """Of several servers one is out of order, but not that of the key."""

        looks = 0

        def ping(self) -> bool:
            return False

        def get(self, key: bytes) -> Value | None:
            self.looks += 1
            if self.looks == 3:
                super().set(KEY, CODEC.dumps("theirs", KEY), None)
            return super().get(key)

    store = Elsewhere(clock)
    store.set(HOLD, 7, None)
    assert run(once(forbidden, clock), store) == "theirs"


def test_an_outage_is_raised_otherwise(run: Drive, clock: Clock) -> None:
    with pytest.raises(ConnectionFailed):
        run(once(forbidden, clock), Failing(ConnectionFailed("refused")))


# -- stale -------------------------------------------------------------------------------------------------


@pytest.fixture
def stale(store: Twinned, clock: Clock) -> str:
    """Return a value that was stored, and is over, but may be served for a minute."""
    drive(once(lambda: "old", clock, stale=60), store)
    clock.advance(11)
    return "old"


def test_a_stale_value_is_computed_anew_by_who_asks(run: Drive, store: Twinned, clock: Clock, stale: str) -> None:
    assert run(once(Making(), clock, stale=60), store) == "made 1"
    assert run(once(forbidden, clock, stale=60), store) == "made 1"
    assert store.ttl(KEY) == 70


def test_a_stale_value_is_served_while_another_computes(run: Drive, store: Twinned, clock: Clock, stale: str) -> None:
    store.set(HOLD, 7, 5)
    assert run(without_pause(once(forbidden, clock, stale=60)), store) == stale


def test_a_stale_value_is_served_when_it_cannot_be_computed(
    run: Drive, store: Twinned, clock: Clock, stale: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kt_cache"):
        assert run(once(Making(LookupError("no")), clock, stale=60), store) == stale
    assert "the old one is served" in caplog.text
    assert store.keys() == [KEY]
    assert run(once(lambda: "new", clock, stale=60), store) == "new"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, asyncio.CancelledError])
def test_a_stale_value_is_nothing_to_who_is_interrupted(
    run: Drive, store: Twinned, clock: Clock, stale: str, interruption: type[BaseException]
) -> None:
    with pytest.raises(interruption):
        run(once(Making(interruption()), clock, stale=60), store)
    assert store.keys() == [KEY]


def test_what_was_stale_for_too_long_is_gone(run: Drive, store: Twinned, clock: Clock, stale: str) -> None:
    clock.advance(60)
    with pytest.raises(LookupError):
        run(once(Making(LookupError("no")), clock, stale=60), store)


def test_of_many_who_find_a_stale_value_one_computes(store: Twinned, clock: Clock, stale: str) -> None:
    async def scenario() -> list[str]:
        served = asyncio.Event()

        async def compute() -> str:
            await asyncio.wait_for(served.wait(), PATIENCE)
            return "new"

        tasks = [asyncio.create_task(adrive(once(compute, clock, stale=60), store)) for _ in range(MANY)]
        pending = set(tasks)
        while len(pending) > 1:
            done, pending = await asyncio.wait(pending, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            assert done
        served.set()
        return [await task for task in tasks]

    results = asyncio.run(scenario())
    assert sorted(results) == ["new", *["old"] * (MANY - 1)]


# -- early -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0.0, -1.0, -math.inf])
def test_what_is_over_is_always_due(left: float) -> None:
    assert all(Policy(early=0.001).is_due(left) for _ in range(100))


@pytest.mark.parametrize("policy", [Policy(), Policy(early=0.0)])
@pytest.mark.parametrize("left", [-1.0, 0.0, 5.0, math.inf])
def test_nothing_is_due_without_early(policy: Policy, left: float) -> None:
    assert not any(policy.is_due(left) for _ in range(100))


def test_what_never_ends_is_never_due() -> None:
    assert not any(Policy(early=1e6).is_due(math.inf) for _ in range(1000))


def test_a_value_is_the_likelier_due_the_nearer_its_end() -> None:
    """Of those who ask with `early` seconds left one in e computes, with twice as many one in e squared."""
    shares = [sum(Policy(early=2.0).is_due(left) for _ in range(20_000)) / 20_000 for left in (1.0, 2.0, 4.0)]
    assert shares == [pytest.approx(math.exp(-left / 2), abs=0.025) for left in (1.0, 2.0, 4.0)]


def test_a_value_is_computed_anew_before_it_is_over(run: Drive, store: Twinned, clock: Clock) -> None:
    making = Making()
    run(once(making, clock), store)
    clock.advance(10 - 2**-20)
    assert run(once(making, clock, early=1000), store) == "made 2"
    assert store.ttl(KEY) == 10


def test_far_from_its_end_it_is_not(run: Drive, store: Twinned, clock: Clock) -> None:
    run(once(Making(), clock, timeout=1e6), store)
    assert run(once(forbidden, clock, early=0.001), store) == "made 1"


def test_a_value_that_may_be_stale_is_due_before_that(run: Drive, store: Twinned, clock: Clock) -> None:
    run(once(Making(), clock, stale=1e6), store)
    clock.advance(10 - 2**-20)
    assert run(once(lambda: "new", clock, stale=1e6, early=1000), store) == "new"


def test_while_one_computes_early_the_others_take_what_is_there(run: Drive, store: Twinned, clock: Clock) -> None:
    run(once(Making(), clock), store)
    clock.advance(10 - 2**-20)
    store.set(HOLD, 7, 5)
    assert run(without_pause(once(forbidden, clock, early=1000)), store) == "made 1"


@pytest.mark.parametrize("value", ["made 1", "another"])
def test_what_somebody_has_computed_early_is_not_computed_again(run: Drive, clock: Clock, value: str) -> None:
    """Not even if that has come to the same value."""

    class Overtaken(Twinned):
        def add(self, key: bytes, stored: Value, timeout: float | None) -> bool:
            if self.exists(KEY):
                super().set(KEY, CODEC.dumps(value, KEY), 10)
            return super().add(key, stored, timeout)

    store = Overtaken(clock)
    run(once(Making(), clock), store)
    clock.advance(10 - 2**-20)
    assert run(once(forbidden, clock, early=1000), store) == value
    assert not store.exists(HOLD)


def test_a_value_that_cannot_be_computed_early_is_served(run: Drive, store: Twinned, clock: Clock) -> None:
    run(once(Making(), clock), store)
    clock.advance(10 - 2**-20)
    assert run(once(Making(LookupError("no")), clock, early=1000), store) == "made 1"
    assert not store.exists(HOLD)
