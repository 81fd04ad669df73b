"""The bundled server beside the original: the same requests in any order, and every byte of every reply compared.

`KT_DIFFERENTIAL` is how many requests to compare. Where there is no `ttserver` there is nothing to compare with.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_binary import ReplyDecoder
from kt_core.wire.tt_messages import Request
from tests.server.tyrant import requests
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.original import original
from tests.server.tyrant.running import serving

WANTED = int(os.environ.get("KT_DIFFERENTIAL", "1500"))
STEPS = 50


class Case(NamedTuple):
    """A kind of database: its name, what it is asked, and what of it has no order."""

    name: str
    asked: requests.Requests
    unordered: tuple[bytes, ...] = ()


_TABLE_KEYS = requests.KEYS.filter(bool)  # the original dies of some that are empty
CASES = {
    "hash in memory": Case("*", requests.records(requests.KEYS, requests.VALUES) | requests.plain(requests.KEYS)),
    "tree in memory": Case(
        "+",
        requests.records(requests.KEYS, requests.VALUES)
        | requests.plain(requests.KEYS)
        | requests.ordered(requests.KEYS),
    ),
    "hash": Case("{}/x.tch", requests.records(requests.KEYS, requests.VALUES) | requests.plain(requests.KEYS)),
    "tree": Case(
        "{}/x.tcb",
        requests.records(requests.KEYS, requests.VALUES)
        | requests.plain(requests.KEYS)
        | requests.ordered(requests.KEYS),
    ),
    # The original tells a size, 0, of what is no key there.
    "fixed": Case(
        "{}/x.tcf#width=20#limsiz=100000",
        requests.records(requests.IDS, requests.VALUES, sizes=False)
        | requests.plain(requests.IDS)
        | requests.intervals(),
    ),
    "table": Case("{}/x.tct", requests.records(_TABLE_KEYS, requests.ROWS, shifts=False) | requests.rows(_TABLE_KEYS)),
}
if shutil.which("ttserver") is None:
    CASES = {}


class Pair:
    """The original, and ours."""

    compared = 0

    def __init__(self, case: Case, addresses: list[tuple[str, int]]) -> None:
        self.case = case
        self.askers = [Asker(address) for address in addresses]

    def ask(self, request: Request) -> list[bytes]:
        """Return the replies of both."""
        Pair.compared += 1
        return [asker.tell(request) for asker in self.askers]

    def end(self) -> None:
        """Hang up on both."""
        for asker in self.askers:
            asker.close()


class Machine(RuleBasedStateMachine):
    """Sends the same to both."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        pair.ask(tt.Vanish())

    @rule(data=st.data())
    def compare(self, data: st.DataObject) -> None:
        request = data.draw(self.pair.case.asked)
        theirs, ours = self.pair.ask(request)
        note(f"{request!r}\n  -> {theirs!r}")
        assert ours == theirs, request

    @rule()
    def list(self) -> None:
        """All keys, in whatever order; the iterator is shared, and both begin anew."""
        assert self.pair.ask(tt.IterInit())[0] == b"\0"
        keys: list[list[bytes]] = [[], []]
        while True:
            replies = self.pair.ask(tt.IterNext())
            values = [ReplyDecoder(tt.Value).feed(reply) for reply in replies]
            if any(isinstance(value, tt.Failed) for value in values):
                break
            for found, value in zip(keys, values, strict=True):
                assert isinstance(value, tt.Value)
                found.append(value.value)
        assert replies[0] == replies[1]
        assert sorted(keys[0]) == sorted(keys[1])


@pytest.fixture(params=CASES.values(), ids=CASES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    case: Case = request.param
    for place in ("original", "ours"):
        (tmp_path / place).mkdir()
    name = case.name.format(tmp_path / "ours")
    name += "" if name in "*+" else "#durability=process"
    with original(case.name.format(tmp_path / "original")) as address, serving(name) as server:
        pair = Pair(case, [address, ("127.0.0.1", server.port)])
        yield pair
        pair.end()


def test_every_reply_is_the_same(pair: Pair) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Machine(pair),
        settings=settings(
            max_examples=max(WANTED // (len(CASES) * STEPS), 1),
            stateful_step_count=STEPS,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
