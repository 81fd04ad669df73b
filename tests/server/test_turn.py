"""Group commit: what one turn of the event loop asks for is one transaction, and acknowledged after it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.database.batch import Change
from kt_core.errors import KTError, NotACounter
from kt_core.server.turn import Turn


class Served:
    """A database that makes changes when the test lets it, and remembers which it was given at once."""

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self.name = "stand-in"
        self.given: list[list[Any]] = []
        self.begun = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0 if durable else 1000)

    def change_all(self, changes: list[Any]) -> list[Any]:
        self.given.append(list(changes))
        self.begun.release()
        assert self.may_go_on.acquire(timeout=20)
        if "fault" in changes:
            raise ZeroDivisionError
        return [f"{change} done" for change in changes]


def run(work: Callable[[Turn], Coroutine[Any, Any, None]]) -> None:
    """Run a test in an event loop."""

    async def main() -> None:
        turn = Turn(asyncio.get_running_loop())
        await work(turn)
        await turn.drain()

    asyncio.run(main())


def test_the_changes_of_a_turn_go_together_and_are_acknowledged_afterwards() -> None:
    served, outcomes = Served(), []

    async def work(turn: Turn) -> None:
        turn.add(served, "a", outcomes.append)
        turn.add_all(served, ["b", "c"], outcomes.append)
        turn.add(served, "d", outcomes.append)
        assert served.given == outcomes == []
        await asyncio.sleep(0)
        assert served.given == [["a", "b", "c", "d"]]
        assert outcomes == ["a done", ["b done", "c done"], "d done"]
        turn.add(served, "e", outcomes.append)
        await asyncio.sleep(0)
        assert served.given[1:] == [["e"]]

    run(work)


def test_what_is_called_at_the_end_of_a_turn_may_add_changes_and_more_of_its_kind() -> None:
    served, outcomes = Served(), []

    async def work(turn: Turn) -> None:
        def last() -> None:
            turn.add(served, "b", outcomes.append)

        def first() -> None:
            turn.add(served, "a", outcomes.append)
            turn.call_at_end(last)

        for number in (1, 2):
            turn.call_at_end(first)
            assert len(served.given) == number - 1
            await asyncio.sleep(0)
            assert served.given == [["a", "b"]] * number

    run(work)
    assert outcomes == ["a done", "b done"] * 2


def test_each_database_gets_its_own() -> None:
    first, second = Served(), Served()

    async def work(turn: Turn) -> None:
        assert await asyncio.gather(
            turn.make(first, ["a"]), turn.make(second, ["b"]), turn.make(first, ["c", "d"]), turn.make(second, [])
        ) == [["a done"], ["b done"], ["c done", "d done"], []]

    run(work)
    assert (first.given, second.given) == ([["a", "c", "d"]], [["b"]])


def test_a_durable_database_does_not_hold_up_the_loop_and_what_comes_meanwhile_shares_the_next_commit() -> None:
    served, quick, outcomes = Served(durable=True), Served(), []

    async def work(turn: Turn) -> None:
        turn.add(served, "a", outcomes.append)
        await asyncio.to_thread(served.begun.acquire)
        for change in "bc":
            turn.add(served, change, outcomes.append)
            await asyncio.sleep(0)
        assert await turn.make(quick, ["q"]) == ["q done"]
        assert outcomes == []
        served.may_go_on.release()
        await asyncio.to_thread(served.begun.acquire)
        assert outcomes == ["a done"]
        served.may_go_on.release()

    run(work)
    assert served.given == [["a"], ["b", "c"]]
    assert outcomes == ["a done", "b done", "c done"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_fault_fails_its_changes_and_the_server_goes_on(durable: bool, caplog: pytest.LogCaptureFixture) -> None:
    served = Served(durable=durable)
    served.may_go_on.release(2)

    async def work(turn: Turn) -> None:
        with caplog.at_level(logging.CRITICAL, "kt_core.server"):
            outcomes = await turn.make(served, ["a", "fault"])
        assert [type(outcome) for outcome in outcomes] == [KTError, KTError]
        assert await turn.make(served, ["b"]) == ["b done"]

    run(work)


def test_a_client_that_has_gone_is_no_fault() -> None:
    served = Served()

    async def work(turn: Turn) -> None:
        making = asyncio.create_task(turn.make(served, ["a"]))
        await asyncio.sleep(0)
        making.cancel()
        assert await turn.make(served, ["b"]) == ["b done"]
        assert making.cancelled()

    run(work)
    assert [change for given in served.given for change in given] == ["a", "b"]


def test_draining_waits_for_all_that_was_asked_for_and_leaves_no_thread() -> None:
    served, outcomes = Served(durable=True), []
    before = threading.active_count()

    async def work(turn: Turn) -> None:
        turn.add(served, "a", outcomes.append)
        await asyncio.sleep(0)
        turn.add(served, "b", outcomes.append)
        asyncio.get_running_loop().call_later(0.01, served.may_go_on.release, 2)
        await turn.drain()
        assert outcomes == ["a done", "b done"]

    run(work)
    assert threading.active_count() == before


@pytest.mark.parametrize("durability", ["process", "commit"])
def test_one_turn_is_one_transaction_and_each_asker_gets_its_own_outcome(tmp_path: Path, durability: Any) -> None:
    environment = Environment.open(tmp_path / "db", DatabaseOptions(max_size=4 << 20, durability=durability))
    database = Database(environment)
    served = Served()
    served.durable, served.change_all = environment.durable, database.change_all
    database.set(b"text", b"no number")
    increment = database.operations.increment
    changes = [Change(increment, (key, 1, 0, 1 << 60, False, True), 40) for key in (b"a", b"text", b"a", b"b")]

    async def work(turn: Turn) -> None:
        before = environment.handle.info()["last_txnid"]
        outcomes = await asyncio.gather(*(turn.make(served, [change]) for change in changes))
        assert environment.handle.info()["last_txnid"] == before + 1
        assert [outcome for (outcome,) in outcomes if not isinstance(outcome, KTError)] == [1, 2, 1]
        assert isinstance(outcomes[1][0], NotACounter)

    run(work)
    environment.close()
