"""A server that has failed is left alone, tried by one call, and declared dead after some of these."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kt_cache.stores.hosts import Breaker, is_outage
from kt_core.errors import ConnectionFailed, CounterOverflow, InvalidInput, KTError, ProtocolError, ServerError, Timeout
from tests.clock import Clock

OUTAGES: list[KTError] = [
    ConnectionFailed("refused"),
    Timeout("late"),
    ProtocolError("nonsense"),
    ServerError(500, "no permission"),
    ServerError(503, "later"),
]
ANSWERS: list[KTError] = [
    ServerError(400, "no such database"),
    ServerError(450, "no record"),
    InvalidInput("not this"),
    CounterOverflow("too much"),
]


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """Return a breaker with pymemcache's numbers."""
    return Breaker("a:1978", rest=1, attempts=2, dead=60, clock=clock)


def use(breaker: Breaker, error: BaseException | None = None) -> None:
    with breaker:
        if error is not None:
            raise error


def fail(breaker: Breaker, error: BaseException | None = None) -> None:
    error = error or ConnectionFailed("refused")
    with pytest.raises(type(error)) as caught:
        use(breaker, error)
    assert caught.value is error


def is_refused(breaker: Breaker) -> bool:
    """Tell whether a call is refused; if not, it leaves the breaker as it would a call under way."""
    try:
        breaker.__enter__()
    except ConnectionFailed:
        return True
    return False


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_an_outage_is_known_by_its_error(error: KTError) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error", [*ANSWERS, ValueError("ours"), OSError("of something else"), KeyboardInterrupt()], ids=repr
)
def test_other_errors_are_no_outage(error: BaseException) -> None:
    assert not is_outage(error)


# -- resting -----------------------------------------------------------------------------------------------


def test_a_server_in_order_is_used(breaker: Breaker) -> None:
    for _ in range(3):
        use(breaker)
    assert not breaker.is_dead


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_after_a_failure_the_server_is_left_alone(breaker: Breaker, clock: Clock, error: KTError) -> None:
    fail(breaker, error)
    with pytest.raises(ConnectionFailed, match=r"a:1978 has failed and is left alone for 1 s"):
        use(breaker)
    clock.advance(0.99)
    assert is_refused(breaker)
    clock.advance(0.01)
    assert not is_refused(breaker)


@pytest.mark.parametrize("error", [*ANSWERS, ValueError("ours")], ids=repr)
def test_other_errors_change_nothing(breaker: Breaker, error: Exception) -> None:
    fail(breaker, error)
    use(breaker)


def test_one_call_alone_tries_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.advance(1)
    with breaker:
        assert is_refused(breaker)
    use(breaker)


def test_a_call_that_fails_again_begins_the_rest_anew(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.advance(1)
    fail(breaker)
    clock.advance(0.5)
    assert is_refused(breaker)
    clock.advance(0.5)
    assert not is_refused(breaker)


def test_a_call_that_never_ends_is_followed_by_another(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.advance(1)
    assert not is_refused(breaker)
    clock.advance(1)
    assert not is_refused(breaker)


@pytest.mark.parametrize("error", ANSWERS, ids=repr)
def test_an_answer_ends_the_outage_even_if_it_is_an_error(breaker: Breaker, clock: Clock, error: KTError) -> None:
    fail(breaker)
    clock.advance(1)
    fail(breaker, error)
    use(breaker)
    use(breaker)


def test_whoever_is_interrupted_has_learnt_nothing(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.advance(1)
    fail(breaker, KeyboardInterrupt())
    assert is_refused(breaker)


# -- dying -------------------------------------------------------------------------------------------------


def test_a_server_is_dead_after_so_many_attempts(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    for _ in range(2):
        assert not breaker.is_dead
        clock.advance(1)
        fail(breaker)
    assert breaker.is_dead


def test_calls_that_fail_together_are_one_failure(breaker: Breaker) -> None:
    for _ in range(10):
        breaker.__enter__()
    for _ in range(10):
        breaker.__exit__(ConnectionFailed, ConnectionFailed("refused"), None)
    assert not breaker.is_dead


def test_a_dead_server_is_tried_by_one_call_after_its_time(breaker: Breaker, clock: Clock) -> None:
    die(breaker, clock)
    clock.advance(59)
    assert breaker.is_dead
    clock.advance(1)
    assert not breaker.is_dead
    with breaker:
        assert breaker.is_dead  # for all others
    assert not breaker.is_dead
    use(breaker)


def test_a_dead_server_that_fails_again_is_dead_again(breaker: Breaker, clock: Clock) -> None:
    die(breaker, clock)
    clock.advance(60)
    fail(breaker)
    assert breaker.is_dead
    clock.advance(60)
    assert not breaker.is_dead


def test_a_server_without_attempts_is_dead_at_once(clock: Clock) -> None:
    breaker = Breaker("a:1978", rest=1, attempts=0, dead=60, clock=clock)
    fail(breaker)
    assert breaker.is_dead


def test_a_server_that_nobody_can_do_without_never_dies(clock: Clock) -> None:
    breaker = Breaker("a:1978", rest=1, clock=clock)
    for _ in range(100):
        fail(breaker)
        clock.advance(1)
    assert not breaker.is_dead


def test_recovery_gives_all_attempts_back(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
        clock.advance(1)
        fail(breaker)
        clock.advance(1)
        use(breaker)
    assert not breaker.is_dead


def die(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
        clock.advance(1)
    clock.advance(-1)
    assert breaker.is_dead


# -- logging -----------------------------------------------------------------------------------------------


def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "kt_cache"):
        use(breaker)
        for _ in range(5):
            fail(breaker)
            assert is_refused(breaker)
            clock.advance(1)
        use(breaker)
        use(breaker)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "a:1978 is out of order: refused"),
        ("WARNING", "a:1978 is in order again"),
    ]


def test_threads_that_fail_together_log_once(breaker: Breaker, caplog: pytest.LogCaptureFixture) -> None:
    barrier = threading.Barrier(8)

    def run(step: Callable[[], Any]) -> None:
        barrier.wait()
        step()

    def all_at_once(step: Callable[[], Any]) -> None:
        threads = [threading.Thread(target=run, args=(step,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_at_once(lambda: breaker.__exit__(ConnectionFailed, ConnectionFailed("refused"), None))
    all_at_once(lambda: breaker.__exit__(None, None, None))
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
