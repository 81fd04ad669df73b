"""No two have the lease of a record at a time, whoever dies with one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from struct import Struct
from typing import Any

import pytest

from kt_cache.stores.edits import HEADER, NEVER, Action, Edit, Seen, State, to_delta
from kt_cache.stores.hosts import Host
from kt_cache.stores.leases import OWN, Leases
from kt_core.errors import ServerError, Timeout
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from kt_core.tyrant import operations as ops
from tests.fix_servers import TYRANT_KINDS

Start = Callable[[str, str], Address]

COUNT = Edit(Action.ADD, to_delta(1), absent=HEADER.pack(NEVER) + bytes(7) + b"\1")
WITNESS = b"witness"
LEASE = OWN + b"lease\0"
LIFE = Struct(">I")


def witness(key: bytes, before: bytes | None, after: bytes) -> tuple[bytes, bytes]:
    """Note every count behind the others: two who count at a time note the same one."""
    return WITNESS, after[HEADER.size :]


class Counter:
    """Counts on a server, each time under the lease of the record."""

    def __init__(self, host: Host, timeout: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self.leases = Leases(timeout, lambda: 0, witness, clock=clock)
        self.slept = 0.0

    def edit(self, edits: dict[bytes, Edit], sleep: Callable[[float], None] = time.sleep) -> dict[bytes, Seen]:
        steps: Any = self.leases.edit(edits)
        reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if isinstance(step, float):
                self.slept += step
                sleep(step)
                reply = None
            else:
                reply = self._host.drive(step)

    def count(self, key: bytes = b"k") -> None:
        self.edit({key: COUNT})

    def witnessed(self) -> list[int]:
        noted = self._host.run(ops.get(WITNESS)) or b""
        return [int.from_bytes(noted[at : at + 8], "big") for at in range(0, len(noted), 8)]


@pytest.fixture(params=TYRANT_KINDS)
def host(request: pytest.FixtureRequest, start_tyrant: Start) -> Iterator[Host]:
    """Return a server, empty."""
    host = Host(PoolOptions(start_tyrant(request.param, "*")))
    host.run(ops.vanish())
    yield host
    host.close()


@pytest.fixture
def counter(host: Host) -> Counter:
    return Counter(host)


def leave(host: Host, key: bytes = b"k", term: int = 20) -> bytes:
    """Take a lease of so many milliseconds and forget it, as who dies; return its token."""
    token = os.urandom(12) + LIFE.pack(term)
    assert host.run(ops.put_keep(LEASE + key, token))
    return token


def nothing_is_left(host: Host) -> bool:
    return host.run(ops.fwm_keys(OWN)) == []


def test_an_edit_leaves_no_lease(host: Host, counter: Counter) -> None:
    counter.count()
    assert counter.edit({b"k": COUNT._replace(tells=True)}) == {b"k": Seen(State.THERE, bytes(7) + b"\1")}
    assert counter.witnessed() == [1, 2]
    assert nothing_is_left(host)


def test_a_lease_that_is_held_is_waited_for(host: Host, counter: Counter) -> None:
    leave(host, term=60_000)

    def release(seconds: float) -> None:
        if counter.slept > 0.1:
            host.run(ops.out(LEASE + b"k"))

    counter.edit({b"k": COUNT}, release)
    assert counter.slept > 0.1
    assert counter.witnessed() == [1]


def test_others_are_edited_while_one_is_waited_for(host: Host, counter: Counter) -> None:
    leave(host, b"k", 60_000)
    seen: list[Any] = []

    def look(seconds: float) -> None:
        seen.append(host.run(ops.get(b"other")))
        host.run(ops.out(LEASE + b"k"))

    assert sorted(counter.edit({b"k": COUNT, b"other": COUNT}, look)) == [b"k", b"other"]
    assert seen[0] == HEADER.pack(NEVER) + bytes(7) + b"\1"


def test_a_lease_that_was_left_is_succeeded_after_its_term(host: Host, counter: Counter) -> None:
    leave(host, term=500)
    counter.edit({b"k": COUNT}, lambda seconds: None)
    assert 0.5 <= counter.slept < 0.6
    assert counter.witnessed() == [1]
    assert nothing_is_left(host)


def test_a_successor_that_died_is_succeeded(host: Host, counter: Counter) -> None:
    token = leave(host, term=100)
    for term in (200, 300):
        successor = os.urandom(12) + LIFE.pack(term)
        assert host.run(ops.put_keep(OWN + b"successor\0" + token + b"k", successor))
        token = successor
    counter.edit({b"k": COUNT}, lambda seconds: None)
    assert 0.3 <= counter.slept < 0.4
    assert nothing_is_left(host)


def test_somebody_who_makes_himself_known_is_waited_for_anew(host: Host, counter: Counter) -> None:
    """The wait begins again with a successor, and with another lease."""
    tokens = [leave(host, term=100)]

    def meddle(seconds: float) -> None:
        if len(tokens) == 1 and counter.slept > 0.06:
            tokens.append(os.urandom(12) + LIFE.pack(100))
            host.run(ops.put(OWN + b"successor\0" + tokens[0] + b"k", tokens[1]))
        if len(tokens) == 2 and counter.slept > 0.12:
            host.run(ops.misc(b"outlist", [LEASE + b"k", OWN + b"successor\0" + tokens[0] + b"k"]))
            tokens.append(leave(host, term=100))

    counter.edit({b"k": COUNT}, meddle)
    assert counter.slept > 0.2
    assert counter.witnessed() == [1]
    assert nothing_is_left(host)


def test_who_succeeds_somebody_long_forgotten_has_nothing(host: Host, counter: Counter) -> None:
    """Between the last look and the succession others have had the lease, and somebody has it now."""
    leave(host, term=40)
    held: list[bool] = []

    def meddle(seconds: float) -> None:
        if held:
            held.append(bool(counter.witnessed()))
            host.run(ops.out(LEASE + b"k"))
        elif counter.slept >= 0.04:
            host.run(ops.out(LEASE + b"k"))
            leave(host, term=60_000)
            held.append(False)

    counter.edit({b"k": COUNT}, meddle)
    assert held == [False, False]
    assert counter.witnessed() == [1]
    assert nothing_is_left(host)


def test_who_gets_a_lease_too_late_writes_nothing(host: Host) -> None:
    times = iter([0.0, 0.3])
    counter = Counter(host, 0.25, lambda: next(times))
    with pytest.raises(Timeout, match=r"longer than 0.25 s to give a lease"):
        counter.count()
    assert host.run(ops.get(b"k")) is None


def test_a_lease_of_a_long_term_is_respected(host: Host) -> None:
    """Somebody's exchanges take longer than ours."""
    counter = Counter(host, 0.1)
    leave(host, term=5_000)
    counter.edit({b"k": COUNT}, lambda seconds: None)
    assert counter.slept >= 5
    assert counter.witnessed() == [1]


def test_patience_ends(host: Host) -> None:
    """Others have the lease, each for a short while, again and again."""
    counter = Counter(host, 0.1)

    def change_hands(seconds: float) -> None:
        host.run(ops.put(LEASE + b"k", os.urandom(12) + LIFE.pack(60)))

    change_hands(0)
    with pytest.raises(Timeout, match="others kept the lease of a record for 1 s"):
        counter.edit({b"k": COUNT}, change_hands)


def test_a_lease_of_somebody_elses_making_is_succeeded(host: Host, counter: Counter) -> None:
    assert host.run(ops.put_keep(LEASE + b"k", b"?"))
    counter.edit({b"k": COUNT}, lambda seconds: None)
    assert counter.witnessed() == [1]


def test_a_change_that_the_server_refuses_is_told() -> None:
    class Known(Leases):
        def token(self) -> bytes:
            return b"known"

    leases = Known(1.0, lambda: 0, lambda key, before, after: None)
    flow = leases._round({b"k": Edit(Action.NOTHING, absent=b"v")}, {})
    next(flow)
    flow.send([True, [(LEASE + b"k", b"known")], [], None])
    with pytest.raises(ServerError, match="refused to change a record"):
        flow.send([False, []])


def test_many_who_count_among_the_dying_count_exactly(host: Host) -> None:
    """Leases are left all the time; each count is noted once, in order."""
    counting = threading.Event()
    counting.set()

    def die() -> int:
        deaths = 0
        while counting.is_set():
            deaths += host.run(ops.put_keep(LEASE + b"k", os.urandom(12) + LIFE.pack(10)))
            time.sleep(0.005)
        return deaths

    def count() -> None:
        counter = Counter(host)
        for _ in range(10):
            counter.count()

    with ThreadPoolExecutor(6) as threads:
        deaths = threads.submit(die)
        for counted in [threads.submit(count) for _ in range(4)]:
            counted.result()
        counting.clear()
    assert Counter(host).witnessed() == list(range(1, 41))
    assert deaths.result() > 0


def test_a_deletion_that_the_server_refuses_is_an_error(host: Host) -> None:
    host.run(ops.put(b"k", HEADER.pack(NEVER) + b"value"))
    edit: Any = Leases(1.0, lambda: 0, witness).edit({b"k": Edit(Action.DELETE)})
    flow = next(edit)
    flow.send(host.run(next(flow)))
    with pytest.raises(ServerError, match="refused"):
        flow.send([None])  # as a server whose disk is full answers
