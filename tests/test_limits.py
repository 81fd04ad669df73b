"""Rate limits allow what they promise, however the hits come, and say truly when to come again."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_cache.limits import RateLimiter, Verdict
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.tolerant import TolerantStore
from kt_core.errors import ConnectionFailed, InvalidInput
from tests.clock import Clock
from tests.stores.failing import Failing
from tests.stores.twinned import Twinned

LIMIT, PERIOD = 10, 60.0
BEGIN = 1_700_000_040.0  # when a period of a minute begins


@pytest.fixture
def clock() -> Clock:
    """Return a clock at the beginning of a period."""
    return Clock(BEGIN)


def limiter(clock: Clock, store: Any = None, limit: int = LIMIT, period: float = PERIOD) -> RateLimiter:
    return RateLimiter(store or Twinned(clock), b"name", limit, period, clock=clock)


Hit = Callable[..., Verdict]


@pytest.fixture(params=["waiting", "awaited"])
def way(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Callable[[RateLimiter], Hit]:
    """Return what gives a limiter's method, waiting or awaited."""

    def of(limiter: RateLimiter) -> Hit:
        if request.param == "waiting":
            return limiter.hit
        return lambda *args, **kwargs: runner.run(limiter.ahit(*args, **kwargs))

    return of


Way = Callable[[RateLimiter], Hit]


def test_so_many_are_allowed_and_no_more(way: Way, clock: Clock) -> None:
    hit = way(limiter(clock))
    assert [hit("user") for _ in range(LIMIT)] == [Verdict(True, left, 0.0) for left in reversed(range(LIMIT))]
    refused = hit("user")
    assert not refused
    assert (refused.allowed, refused.remaining) == (False, 0)


def test_a_verdict_is_true_when_the_use_is_allowed() -> None:
    assert Verdict(True, 0, 0.0)
    assert not Verdict(False, 5, 1.0)


def test_keys_and_names_are_limited_each_for_itself(clock: Clock) -> None:
    store = Twinned(clock)
    first = RateLimiter(store, b"first", 1, PERIOD, clock=clock)
    second = RateLimiter(store, b"second", 1, PERIOD, clock=clock)
    assert [first.hit("a"), first.hit("b"), second.hit("a"), first.hit()] == [Verdict(True, 0, 0.0)] * 4
    assert not first.hit("a")
    assert not first.hit()


def test_any_text_is_a_key(clock: Clock) -> None:
    hit = limiter(clock, limit=1).hit
    for key in ("", "é", "\0", "\ud800", "x" * 1000):
        assert hit(key)
        assert not hit(key)


def test_the_former_period_counts_by_the_share_of_it_that_is_near(way: Way, clock: Clock) -> None:
    hit = way(limiter(clock))
    hit(cost=LIMIT)
    clock.advance(PERIOD + 15)
    assert hit().remaining == 1  # of ten, three quarters count as used, and this one
    clock.advance(15)
    assert hit().remaining == 3
    clock.advance(30)
    assert hit().remaining == 7


def test_after_two_periods_nothing_is_left(clock: Clock) -> None:
    store = Twinned(clock)
    hit = limiter(clock, store).hit
    hit(cost=LIMIT)
    clock.advance(2 * PERIOD)
    assert store.keys() == []
    assert hit() == Verdict(True, LIMIT - 1, 0.0)


def test_what_is_refused_does_not_count(way: Way, clock: Clock) -> None:
    hit = way(limiter(clock))
    hit(cost=7)
    for _ in range(5):
        assert (refused := hit(cost=4)).allowed is False
        assert refused.remaining == 3
    assert hit(cost=3) == Verdict(True, 0, 0.0)


def test_a_use_that_costs_nothing_only_looks(way: Way, clock: Clock) -> None:
    hit = way(limiter(clock))
    assert hit(cost=0) == hit(cost=0) == Verdict(True, LIMIT, 0.0)
    hit(cost=LIMIT)
    assert hit(cost=0) == Verdict(True, 0, 0.0)


def test_what_costs_more_than_the_limit_is_never_allowed(way: Way, clock: Clock) -> None:
    hit = way(limiter(clock))
    assert hit(cost=LIMIT + 1) == Verdict(False, LIMIT, math.inf)
    hit(cost=4)
    assert hit(cost=LIMIT + 1) == Verdict(False, LIMIT - 4, math.inf)
    assert hit(cost=LIMIT - 4)


def test_nobody_gives_uses_back(clock: Clock) -> None:
    with pytest.raises(InvalidInput, match="cannot cost -1"):
        limiter(clock).hit(cost=-1)


@pytest.mark.parametrize(
    ("limit", "period"), [(0, 60), (-1, 60), (1, 0), (1, -1), (1, 1e-9), (1, math.inf), (1, math.nan)]
)
def test_what_is_no_limit_is_refused(clock: Clock, limit: int, period: float) -> None:
    with pytest.raises(InvalidInput, match="are no limit"):
        limiter(clock, limit=limit, period=period)


@pytest.mark.parametrize("period", [1e-6, 0.001, 1, 86400.0, 1e9])
def test_a_period_may_be_short_or_long(clock: Clock, period: float) -> None:
    hit = limiter(clock, limit=1, period=period).hit
    assert hit()
    refused = hit()
    assert not refused
    clock.advance(refused.retry_after)
    assert hit()


# -- however they come -------------------------------------------------------------------------------------

waits = st.floats(0, 1.5 * PERIOD) | st.sampled_from([0.0, PERIOD, PERIOD / 2, 1e-6])
hits = st.lists(st.tuples(waits, st.integers(1, LIMIT)), min_size=1, max_size=60)


def play(limiter: RateLimiter, clock: Clock, events: list[tuple[float, int]]) -> list[tuple[float, int, Verdict]]:
    """Let hits come, each so long after the one before; return when they came, what they cost, and the verdicts."""
    played = []
    for wait, cost in events:
        clock.advance(wait)
        played.append((clock(), cost, limiter.hit(cost=cost)))
    return played


@given(hits, st.integers(1, LIMIT))
def test_no_period_has_more_uses_than_the_limit(events: list[tuple[float, int]], limit: int) -> None:
    clock = Clock(BEGIN)
    allowed = [(when, cost) for when, cost, verdict in play(limiter(clock, limit=limit), clock, events) if verdict]
    uses: Counter[int] = Counter()
    for when, cost in allowed:
        uses[int(when * 1e6) // int(PERIOD * 1e6)] += cost
    assert max(uses.values(), default=0) <= limit
    for start, _ in allowed:
        assert sum(cost for when, cost in allowed if start <= when < start + PERIOD) < 2 * limit


@given(hits, st.integers(1, LIMIT))
def test_a_hit_is_allowed_as_soon_as_was_promised_and_no_sooner(events: list[tuple[float, int]], cost: int) -> None:
    for early in (0.0, 5e-6):
        clock = Clock(BEGIN)
        hit = limiter(clock)
        play(hit, clock, events)
        refused = hit.hit(cost=cost)
        while refused:
            refused = hit.hit(cost=cost)
        assert 0 < refused.retry_after <= 2 * PERIOD + 1e-6
        clock.advance(refused.retry_after - min(early, refused.retry_after))
        assert bool(hit.hit(cost=cost)) is (not early)


@given(hits)
def test_what_remains_would_be_allowed_and_no_more(events: list[tuple[float, int]]) -> None:
    clock = Clock(BEGIN)
    hit = limiter(clock)
    *_, (_, _, last) = play(hit, clock, events)
    assert not hit.hit(cost=last.remaining + 1)
    assert hit.hit(cost=last.remaining) == Verdict(True, 0, 0.0)


@given(hits, st.floats(0, 2 * 3600))
def test_a_clock_that_steps_back_locks_nobody_out(events: list[tuple[float, int]], step: float) -> None:
    """The store's clock steps back with it, so that what was counted by then lives for so much longer."""
    clock = Clock(BEGIN)
    hit = limiter(clock)
    play(hit, clock, events)
    clock.advance(-step)
    waited = 0.0
    while not (verdict := hit.hit()):
        clock.advance(verdict.retry_after)
        waited += verdict.retry_after
    assert waited <= 2 * PERIOD + 1e-5


def test_hits_from_threads_are_never_too_many(clock: Clock) -> None:
    hit = limiter(clock, limit=50)
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda _: hit.hit(), range(200)))
    assert sum(map(bool, verdicts)) <= 50
    while hit.hit():
        pass
    assert hit.hit(cost=0) == Verdict(True, 0, 0.0)


def test_hits_from_tasks_are_never_too_many(clock: Clock) -> None:
    hit = limiter(clock, limit=50)

    async def scenario() -> list[Verdict]:
        return await asyncio.gather(*(hit.ahit() for _ in range(200)))

    assert sum(map(bool, asyncio.run(scenario()))) <= 50


# -- the store ---------------------------------------------------------------------------------------------


def test_there_are_two_numbers_for_each_key(clock: Clock) -> None:
    store = Twinned(clock)
    hit = limiter(clock, store).hit
    for _ in range(20):
        hit("a")
        hit("b")
        clock.advance(PERIOD / 2)
    assert len(store.keys()) <= 4
    assert all(key.startswith(reserved(Kind.RATE, b"name\0")) for key in store.iter_keys())


def test_in_an_outage_that_is_tolerated_all_are_allowed(way: Way, clock: Clock) -> None:
    hit = way(limiter(clock, TolerantStore(Failing(ConnectionFailed("refused")))))
    assert [hit() for _ in range(2 * LIMIT)] == [Verdict(True, LIMIT, 0.0)] * 2 * LIMIT


def test_an_outage_is_raised_otherwise(way: Way, clock: Clock) -> None:
    with pytest.raises(ConnectionFailed):
        way(limiter(clock, Failing(ConnectionFailed("refused"))))()
