"""The bundled server beside the original: the same requests in any order, and every byte of every reply compared.

`KT_DIFFERENTIAL` is how many requests to compare. Where there is no `ktserver` there is nothing to compare with; what
it said once is in `tests/server/recordings`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.fix_servers import KINDS, running
from tests.server.exchange import rpc
from tests.server.pair import Pair
from tests.server.requests import Requests
from tests.server.running import serving

WANTED = int(os.environ.get("KT_DIFFERENTIAL", "3000"))
STEPS = 50

DATABASES: dict[str, tuple[str, str]] = {
    "ordered, and a cache": ("%", "*"),
    "ordered, and a stash": ("+", ":"),
    "on disk, and a hash": ("{directory}/x.kct", "-"),
}
if "ktserver" not in KINDS:
    DATABASES = {}


class Machine(RuleBasedStateMachine):
    """Sends the same to both."""

    far: bool

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.requests = Requests(pair.databases, far=self.far)
        pair.begin()

    def teardown(self) -> None:
        self.pair.end()

    def compare(self, request: bytes, *, whole: bool = True) -> None:
        theirs, ours = self.pair.ask(request)
        note(f"{request!r}\n  -> {theirs!r}")
        if not whole:
            theirs, ours = theirs.partition(b"\r")[0], ours.partition(b"\r")[0]
        assert ours == theirs, request

    @rule(data=st.data())
    def records(self, data: st.DataObject) -> None:
        self.compare(data.draw(self.requests.records()))


class Expiring(Machine):
    """All expiries; without cursors, for the original removes expired records from under them at times of its own."""

    far = False

    @rule(data=st.data())
    def matches(self, data: st.DataObject) -> None:
        self.compare(data.draw(self.requests.matches(b"0")), whole=False)


class Lasting(Machine):
    """Nothing that expires meanwhile."""

    far = True

    @rule(data=st.data())
    def matches(self, data: st.DataObject) -> None:
        self.compare(data.draw(self.requests.matches(b"0")))

    @rule(data=st.data())
    def cursors(self, data: st.DataObject) -> None:
        self.compare(data.draw(self.requests.cursors(b"0")))

    @rule(data=st.data())
    def cursors_again(self, data: st.DataObject) -> None:
        self.compare(data.draw(self.requests.cursors(b"0")))

    @initialize(records=st.integers(0, 5))
    def fill(self, records: int) -> None:
        for number in range(records):
            self.compare(rpc("set", key=f"k{number}", value=number))

    @rule()
    def count(self) -> None:
        counts = [re.search(rb"\ncount\t\d+|^count\t\d+", reply) for reply in self.pair.ask(rpc("status"))]
        assert counts[0] is not None
        assert counts[1] is not None
        assert counts[0][0] == counts[1][0]


@pytest.fixture(params=DATABASES.values(), ids=DATABASES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    (tmp_path / "original").mkdir()
    theirs, ours = (
        tuple(database.format(directory=tmp_path / place) for database in request.param)
        for place in ("original", "ours")
    )
    with running("ktserver", "--", databases=theirs) as original, serving(*ours) as server:
        pair = Pair(request.param, [(original.host, original.port), ("127.0.0.1", server.port)])
        yield pair
        pair.end()


@pytest.mark.parametrize("machine", [Expiring, Lasting])
def test_every_reply_is_the_same(pair: Pair, machine: type[Machine]) -> None:
    examples = max(WANTED // (len(DATABASES) * 2 * STEPS), 1)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: machine(pair),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
