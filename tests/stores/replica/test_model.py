"""However writes, markers, the log and crashes of the follower fall together, no read breaks the three promises.

Nobody reads what the master never had; no process reads what is older than its own last write; and what is read is no
older than `max_lag`. A worker's write is in two parts here, done by the master and acknowledged, and whatever else can
happen may happen in between; a marker is in three: its time is taken, the master logs it, the follower hears of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kt_cache.stores.replica.following import Follower
from kt_cache.stores.replica.markers import Markers
from kt_cache.stores.replica.records import Master, Records
from kt_cache.stores.replica.store import ReplicaStore
from kt_core.database import Environment
from kt_core.transport import Address
from kt_core.wire.kt_binary import XT_MAX
from kt_core.wire.kt_log import Change, Clear, LogRecord, Remove, Set
from tests.stores.replica.conftest import opened
from tests.stores.replica.mirror import Nanoseconds, as_store

KEYS = [b"a", b"b", b"c"]
LAG = 1.0
PROCESS = Master("master:1978/0", 1, 0.0)

Step = tuple[Any, ...]


class World:
    """A master with its log, a follower, two workers of its machine, and a client somewhere else."""

    def __init__(self, environment: Environment) -> None:
        self.clock = Nanoseconds()
        self.log: list[Change] = []
        self.lengths = [(self.clock.now, 0)]  # of the log, over time
        self.histories: dict[bytes, list[tuple[int, bytes | None]]] = defaultdict(lambda: [(0, None)])
        self.inside: list[Step] = []  # what happens before the next write is acknowledged
        self.markers: list[bytes] = []  # of which the time is taken
        self.environment = environment
        self.workers = [
            ReplicaStore(as_store(self), environment, max_lag=LAG, outage=60, follow=lambda: None, clock=self.clock)
            for _ in range(2)
        ]
        self.written: list[dict[bytes, int]] = [{}, {}]
        records = Records(environment)
        records.begin(PROCESS, 0)
        records.finish(self.clock())
        self.begin_following()

    # -- the follower

    def begin_following(self) -> None:
        """Be a follower that has just been elected, and go on where the copy is."""
        records = Records(self.environment)
        position = records.resume(PROCESS)
        assert position is not None
        self.heard = position
        self.follower = Follower(records, Address(), 0, timeout=1, every=1, wanted=lambda: False, clock=self.clock)
        self.own: Markers = self.follower._markers

    def hear(self, count: int) -> None:
        told = [LogRecord(n + 1, 1, self.log[n]) for n in range(self.heard, min(self.heard + count, len(self.log)))]
        self.heard += len(told)
        self.follower._take(list(told), self.heard)

    def take_time(self) -> None:
        self.markers.append(self.own.key(self.clock()))

    def log_marker(self) -> None:
        if self.markers:
            self.append(Remove(0, self.markers.pop(0)))

    # -- the master, as the workers know it

    def append(self, change: Change) -> None:
        self.log.append(change)
        self.lengths.append((self.clock(), len(self.log)))
        if isinstance(change, Clear):
            for history in self.histories.values():
                history.append((len(self.log), None))
        else:
            self.histories[change.key].append((len(self.log), change.value if isinstance(change, Set) else None))

    def acknowledge(self) -> None:
        inside, self.inside = self.inside, []
        for step in inside:
            self.do(step)

    def get(self, key: bytes) -> bytes | None:
        return self.histories[key][-1][1]

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        return {key: value for key in keys if (value := self.get(key)) is not None}

    def set(self, key: bytes, value: bytes, timeout: float | None) -> bool:
        self.append(Set(0, key, value, XT_MAX))
        self.acknowledge()
        return True

    def delete_many(self, keys: Iterable[bytes]) -> int:
        for key in keys:
            self.append(Remove(0, key))
        self.acknowledge()
        return 0

    def clear(self) -> None:
        self.append(Clear(0))
        self.acknowledge()

    # -- what can happen

    def do(self, step: Step) -> None:
        name, *arguments = step
        STEPS[name](self, *arguments)

    def value(self) -> bytes:
        return b"%d" % len(self.log)

    def write(self, worker: int, key: bytes, inside: list[Step]) -> None:
        if not self.inside:  # a write within a write is acknowledged at once
            self.inside = inside
        before = len(self.log)
        self.workers[worker].set(key, self.value(), None)
        self.note(worker, [key], before + 1)

    def remove(self, worker: int, keys: list[bytes], inside: list[Step]) -> None:
        if not self.inside:
            self.inside = inside
        before = len(self.log)
        self.workers[worker].delete_many(keys)
        self.note(worker, keys, before + 1)

    def empty(self, worker: int, inside: list[Step]) -> None:
        if not self.inside:
            self.inside = inside
        before = len(self.log)
        self.workers[worker].clear()
        self.note(worker, KEYS, before + 1)

    def note(self, worker: int, keys: Iterable[bytes], position: int) -> None:
        for key in keys:
            self.written[worker][key] = max(position, self.written[worker].get(key, 0))

    def read(self, worker: int, key: bytes) -> None:
        store, many = self.workers[worker], self.workers[worker].get_many([key])
        for found in (store.get(key), many.get(key)):
            history = self.histories[key]
            assert found in {value for _, value in history}, "the master never had that"
            assert found in self.since(key, self.written[worker].get(key, 0)), "older than the process's own write"
            long_ago = self.clock.now - int(LAG * 10**9)
            length = max((length for time, length in self.lengths if time <= long_ago), default=0)
            assert found in self.since(key, length), "older than the lag that is allowed"

    def since(self, key: bytes, position: int) -> set[bytes | None]:
        """Return the values that the master had at a position of its log, or after it."""
        history = self.histories[key]
        first = max(index for index, (changed, _) in enumerate(history) if changed <= position)
        return {value for _, value in history[first:]}


STEPS: dict[str, Callable[..., None]] = {
    "write": World.write,
    "remove": World.remove,
    "empty": World.empty,
    "read": World.read,
    "elsewhere": lambda world, key: world.append(Set(0, key, world.value(), XT_MAX)),
    "elsewhere cleared": lambda world: world.append(Clear(0)),
    "time taken": World.take_time,
    "marker logged": World.log_marker,
    "heard": World.hear,
    "follower dies": World.begin_following,
    "time passes": lambda world, seconds: world.clock.advance(seconds),
}

keys, workers = st.sampled_from(KEYS), st.sampled_from([0, 1])
simple = st.one_of(
    st.tuples(st.just("read"), workers, keys),
    st.tuples(st.just("elsewhere"), keys),
    st.tuples(st.just("elsewhere cleared")),
    st.tuples(st.just("time taken")),
    st.tuples(st.just("marker logged")),
    st.tuples(st.just("heard"), st.sampled_from([1, 2, 100])),
    st.tuples(st.just("follower dies")),
    st.tuples(st.just("time passes"), st.sampled_from([0.3, 0.9, 2])),
)
insides = st.lists(simple, max_size=5)
steps = st.one_of(
    simple,
    st.tuples(st.just("write"), workers, keys, insides),
    st.tuples(st.just("remove"), workers, st.lists(keys, max_size=2), insides),
    st.tuples(st.just("empty"), workers, insides),
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    directory: Path = tmp_path_factory.mktemp("model")
    with opened(directory) as environment:
        yield environment


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(every=st.lists(steps, max_size=40))
def test_no_read_breaks_a_promise(environment: Environment, every: list[Step]) -> None:
    world = World(environment)
    for step in every:
        world.do(step)
        for worker in range(2):
            for key in KEYS:
                world.read(worker, key)


def test_the_copy_is_read_at_all(environment: Environment) -> None:
    """The model would be of no use if every read went to the master."""
    world = World(environment)
    world.write(0, b"a", [])
    world.take_time()
    world.log_marker()
    world.hear(100)
    world.histories.clear()
    assert world.workers[0].get(b"a") == b"0"
