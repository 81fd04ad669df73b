"""One process of the machine follows, whichever of its workers come and go; a new one takes a dead one's place."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kt_cache.stores.hosts import Host
from kt_cache.stores.kyoto import KyotoStore
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from tests.processes import running
from tests.stores.replica.conftest import until

_WORK = """
import os, sys
from kt_cache.options import Options
from kt_cache.stores import open_store

store = open_store(Options.parse(sys.argv[1], {}, default_name="x"))
for line in sys.stdin:
    print(repr(eval(line)), flush=True)
"""


class Worker:
    """A process with a store."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, expression: str) -> Any:
        """Return what an expression over its `store` comes to."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return eval(self.process.stdout.readline(), {"inf": float("inf")})

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return where the copy is; whoever follows is gone in the end."""
    yield tmp_path / "copy"
    until(lambda: follower_of(tmp_path / "copy") is None)


@pytest.fixture
def start(master: Address, place: Path) -> Iterator[Callable[[], Worker]]:
    """Return a function that starts a worker."""
    with ExitStack() as processes:
        yield lambda: Worker(processes.enter_context(running(_WORK, location(master, place))))


@pytest.fixture
def records(master: Address) -> Iterator[KyotoStore]:
    store = KyotoStore(Host(PoolOptions(master)))
    store.clear()
    yield store
    store.close()


def location(master: Address, place: Path) -> str:
    return f"kt://{master}/0?replica=embedded://{place}?max_size=8MiB&max_lag=0.5"


def follower_of(place: Path) -> int | None:
    """Return the process that follows."""
    try:
        pid = int((place / "follower").read_text())
        return pid if b"kt_cache.stores.replica" in Path(f"/proc/{pid}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None


def caught_up(worker: Worker) -> bool:
    worker.ask("store.get(b'k')")
    return bool(worker.ask("store.lag") < 0.5)


def test_all_workers_read_the_copy_of_one_follower(
    start: Callable[[], Worker], place: Path, records: KyotoStore
) -> None:
    records.set(b"k", b"v", None)
    workers = [start() for _ in range(3)]
    for worker in workers:
        until(lambda worker=worker: caught_up(worker))
        assert worker.ask("store.get(b'k')") == b"v"
    reads = records.stats().hits
    assert [worker.ask("[store.get(b'k') for _ in range(50)][-1]") for worker in workers] == [b"v"] * 3
    assert records.stats().hits == reads
    assert follower_of(place) not in {None, *(worker.process.pid for worker in workers)}


def test_a_worker_reads_its_own_writes(start: Callable[[], Worker], records: KyotoStore) -> None:
    worker = start()
    until(lambda: caught_up(worker))
    found = worker.ask("[(store.set(b'k', b'%d' % n, None), store.get(b'k'))[1] for n in range(300)]")
    assert found == [b"%d" % n for n in range(300)]
    assert worker.ask("[store.incr(b'n', 1, initial=0) == store.get(b'n') for _ in range(300)]") == [True] * 300
    assert worker.ask("(store.clear(), store.get(b'k'), store.get(b'n'))[1:]") == (None, None)


def test_a_killed_follower_is_replaced_and_goes_on(
    start: Callable[[], Worker], place: Path, records: KyotoStore
) -> None:
    records.set(b"k", b"1", None)
    worker = start()
    until(lambda: caught_up(worker))
    first = follower_of(place)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    records.set(b"k", b"2", None)
    until(
        lambda: worker.ask("store.get(b'k')") == b"2" and caught_up(worker) and follower_of(place) not in (None, first)
    )
    assert worker.ask("store.get(b'k')") == b"2"


def test_a_follower_outlives_the_worker_that_started_it_and_not_the_last(
    start: Callable[[], Worker], place: Path, records: KyotoStore
) -> None:
    first = start()
    until(lambda: caught_up(first))
    follower = follower_of(place)
    second = start()
    until(lambda: caught_up(second))
    first.end()
    records.set(b"k", b"later", None)
    until(lambda: caught_up(second) and second.ask("store.get(b'k')") == b"later")
    assert follower_of(place) == follower
    second.end()
    until(lambda: follower_of(place) is None)


def test_a_stopped_follower_makes_nobody_read_what_is_old(
    start: Callable[[], Worker], place: Path, records: KyotoStore
) -> None:
    """It is alive, and has the lock: nobody takes its place, and the master answers."""
    records.set(b"k", b"1", None)
    worker = start()
    until(lambda: caught_up(worker))
    follower = follower_of(place)
    assert follower is not None
    os.kill(follower, signal.SIGSTOP)
    try:
        records.set(b"k", b"2", None)
        until(lambda: worker.ask("store.lag") > 0.5)
        assert worker.ask("store.get(b'k')") == b"2"
    finally:
        os.kill(follower, signal.SIGCONT)
    until(lambda: caught_up(worker))
    assert follower_of(place) == follower


def test_forked_workers_read_the_copy_and_their_own_writes(start: Callable[[], Worker], records: KyotoStore) -> None:
    worker = start()
    until(lambda: caught_up(worker))
    forked = (
        "(lambda pid: os.waitpid(pid, 0)[1] if pid else os._exit("
        "not all((store.set(b'k', b'%d' % n, None), store.get(b'k') == b'%d' % n)[1] for n in range(100))))(os.fork())"
    )
    assert [worker.ask(forked) for _ in range(3)] == [0, 0, 0]
    until(lambda: worker.ask("store.get(b'k')") == b"99")  # another process's write comes a little later
