"""Calls of one turn are made in few transactions; what does not go together is made alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kt_core.database.environment import Write
from kt_core.server.scratch import Scratch
from kt_core.server.scripting.gates import Unsuited
from kt_core.server.scripting.together import Together
from kt_core.server.served import ServedDatabase
from kt_core.server.specs import Spec
from kt_core.server.turn import Turn
from tests.clock import Clock

Made = Callable[[Write, Sequence[str]], list[Any]]


class Calls:
    """Makes calls in a way of the test's, and remembers how, and what came of them."""

    def __init__(self, make: Made) -> None:
        self.tried: list[int] = []
        self.outcomes: dict[str, Any] = {}
        self._make = make

    def make(self, txn: Write, number: int, calls: Sequence[str], room: int) -> list[Any]:
        self.tried.append(len(calls))
        return self._make(txn, calls)

    def resolve(self, call: str, outcome: Any) -> None:
        assert call not in self.outcomes
        self.outcomes[call] = outcome


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedDatabase]:
    served = ServedDatabase.open(Spec.parse(f"{tmp_path}/x.kct#durability=process"), 0, Scratch({}), Clock())
    yield served
    served.close()


def run(served: ServedDatabase, make: Made, count: int) -> Calls:
    """Have calls made in one turn."""
    calls = Calls(make)

    async def main() -> None:
        turn = Turn(asyncio.get_running_loop())
        together = Together(served, 0, turn, calls.make, calls.resolve)
        together.add([str(number) for number in range(count)])
        assert calls.tried == []
        await turn.drain()

    asyncio.run(main())
    return calls


def store(txn: Write, calls: Sequence[str]) -> list[Any]:
    for call in calls:
        txn.put(call.encode(), bytes(16))
    return [f"{call} stored" for call in calls]


def test_many_calls_are_made_some_at_a_time(served: ServedDatabase) -> None:
    calls = run(served, store, 150)
    assert sum(calls.tried) == 150
    assert max(calls.tried) == 64
    assert calls.outcomes == {str(number): f"{number} stored" for number in range(150)}
    assert served.database.count() == 150


@pytest.mark.parametrize("error", [Unsuited(None), Unsuited(1)])
def test_what_fails_fails_alone(served: ServedDatabase, error: Exception) -> None:
    def make(txn: Write, calls: Sequence[str]) -> list[Any]:
        stored = store(txn, calls)
        if "7" in calls:
            raise error
        return stored

    calls = run(served, make, 10)
    assert calls.tried[0] == 10
    assert set(calls.tried[1:]) == {1}
    assert calls.outcomes.pop("7") is error
    assert set(calls.outcomes.values()) == {f"{number} stored" for number in range(10) if number != 7}
    assert served.database.get(b"7") is None
    assert served.database.count() == 9
