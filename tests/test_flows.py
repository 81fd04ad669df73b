"""Flows run the same on waiting and on awaited stores, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kt_cache.flows import Encoded, Flow, Make, Pause, adrive, call, drive, is_out
from kt_core.errors import StoreFull
from tests.fix_driving import Drive, Script

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


def test_options_of_a_call_go_along(run: Drive) -> None:
    def flow() -> Flow[Any]:
        return (yield call("incr", b"k", 1, initial=5, timeout=None))

    script = Script((("incr", b"k", 1, {"initial": 5, "timeout": None}), 6))
    assert run(flow(), script) == 6
    assert script.ended


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_a_flow_that_is_interrupted_can_let_go_of_what_it_holds(run: Drive, interruption: type[BaseException]) -> None:
    def flow() -> Flow[None]:
        try:
            yield call("get", b"k")
        finally:
            yield call("delete", b"hold")

    script = Script((("get", b"k"), interruption()), (("delete", b"hold"), True))
    with pytest.raises(interruption):
        run(flow(), script)
    assert script.ended


def test_a_task_that_is_cancelled_lets_go_of_what_its_flow_holds() -> None:
    script = Script((("delete", b"hold"), True))

    def flow() -> Flow[None]:
        try:
            yield Make(asyncio.Event().wait)
        finally:
            yield call("delete", b"hold")

    async def scenario() -> None:
        task = asyncio.create_task(adrive(flow(), script))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert script.ended


# -- steps that are no calls -------------------------------------------------------------------------------


def only(step: Any) -> Flow[Any]:
    return (yield step)


def test_a_pause_gives_nothing(run: Drive) -> None:
    assert run(only(Pause(0.001)), Script()) is None


@pytest.mark.parametrize("step", [Make, Encoded])
def test_a_function_is_called_once_for_its_result(run: Drive, step: Any) -> None:
    calls: list[int] = []

    def function() -> str:
        calls.append(1)
        return "made"

    assert run(only(step(function)), Script()) == "made"
    assert calls == [1]


@pytest.mark.parametrize("step", [Make, Encoded])
def test_what_a_function_raises_is_raised_inside_the_flow(run: Drive, step: Any) -> None:
    def flow() -> Flow[str]:
        try:
            yield step(lambda: {}["key"])
        except KeyError:
            return "caught"
        return "missed"

    assert run(flow(), Script()) == "caught"


async def coroutine() -> str:
    await asyncio.sleep(0)
    return "awaited"


def test_what_a_function_makes_is_awaited_where_that_can_be_done() -> None:
    assert asyncio.run(adrive(only(Make(coroutine)), Script())) == "awaited"
    made = drive(only(Make(coroutine)), Script())
    assert asyncio.run(made) == "awaited"


def test_a_value_is_encoded_by_whoever_knows_how() -> None:
    async def encode(function: Callable[[], Any]) -> Any:
        return ["encoded", function()]

    flow = only(Encoded(lambda: "value"))
    assert asyncio.run(adrive(flow, Script(), encode)) == ["encoded", "value"]


# -- outages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ([(("exists", b"k"), True)], False),
        ([(("exists", b"k"), False), (("ping",), True)], False),
        ([(("exists", b"k"), False), (("ping",), False)], True),
    ],
)
def test_an_outage_is_where_nothing_is_and_nobody_answers(run: Drive, lines: list[Any], answer: bool) -> None:
    script = Script(*lines)
    assert run(is_out(b"k"), script) is answer
    assert script.ended
