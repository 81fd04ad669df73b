"""When the server stays awake for the next request, and when not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kt_core.server.vigil import Vigil
from tests.clock import Clock


class Loop:
    """An event loop that turns when the test says so."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def turn(self) -> bool:
        """Run what is to be run; tell whether the loop would sleep now."""
        calls, self.soon = self.soon, []
        for call in calls:
            call()
        return not self.soon


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def vigil(loop: Loop, clock: Clock) -> Vigil:
    return Vigil(loop, 1.0, processors=2, clock=clock)  # type: ignore[arg-type]


def hear(vigil: Vigil) -> None:
    """Tell of a request, as a connection does."""
    if not vigil.heard:
        vigil.hear()


def wait_in_vain(vigil: Vigil, loop: Loop, clock: Clock) -> bool:
    """Have a request that no other follows; tell whether the loop stayed awake for one."""
    hear(vigil)
    awake = not loop.turn()
    clock.advance(2)
    assert loop.turn()
    return awake


def test_without_a_request_nothing_keeps_the_loop_awake(vigil: Vigil, loop: Loop) -> None:
    assert loop.turn()


def test_after_a_request_the_loop_stays_awake_for_a_while(vigil: Vigil, loop: Loop, clock: Clock) -> None:
    hear(vigil)
    for _ in range(10):
        assert not loop.turn()
        clock.advance(0.0625)
    clock.advance(1)
    assert loop.turn()


def test_each_request_begins_the_while_anew(vigil: Vigil, loop: Loop, clock: Clock) -> None:
    for _ in range(10):
        hear(vigil)
        assert not loop.turn()
        clock.advance(0.75)
        assert not loop.turn()
    clock.advance(1)
    assert loop.turn()


def test_any_number_of_requests_in_a_turn_is_one(vigil: Vigil, loop: Loop) -> None:
    for _ in range(10):
        hear(vigil)
    assert len(loop.soon) == 1


def test_where_it_is_in_vain_too_often_it_is_left_off_and_tried_again(vigil: Vigil, loop: Loop, clock: Clock) -> None:
    awake = [wait_in_vain(vigil, loop, clock) for _ in range(200)]
    assert awake[:16] == [True] * 16
    assert awake[16:79] == [False] * 63
    assert sum(awake) < 25


def test_success_is_counted_too(vigil: Vigil, loop: Loop, clock: Clock) -> None:
    for _ in range(100):
        hear(vigil)
        assert not loop.turn()
        hear(vigil)
        assert not loop.turn()
        clock.advance(2)
        assert loop.turn()


@pytest.mark.parametrize(("patience", "processors"), [(0.0, 2), (1.0, 1), (-1.0, 2)])
def test_it_can_be_switched_off_and_on_one_processor_is(
    loop: Loop, clock: Clock, patience: float, processors: int
) -> None:
    vigil = Vigil(loop, patience, processors=processors, clock=clock)  # type: ignore[arg-type]
    for _ in range(100):
        assert not wait_in_vain(vigil, loop, clock)
