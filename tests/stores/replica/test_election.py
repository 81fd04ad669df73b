"""Where nobody follows a worker starts a follower; one that follows is not disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_cache.stores.replica.election import Crew, Following, lock_alone
from kt_core.transport import Address
from tests.clock import Clock
from tests.stores.replica.conftest import until


class Starting:
    """Notes what is started instead of starting it; a process that ends at once stands for it."""

    def __init__(self) -> None:
        self.started: list[Following] = []

    def __call__(self, following: Following) -> int:
        self.started.append(following)
        return os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)


@pytest.fixture
def following(tmp_path: Path) -> Following:
    return Following(str(tmp_path), 1 << 20, Address("db1", 1999), 3, 1.0, 0.25)


@pytest.fixture
def starting() -> Starting:
    return Starting()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crew(following: Following, starting: Starting, clock: Clock) -> Iterator[Crew]:
    crew = Crew(following, start=starting, clock=clock)
    yield crew
    crew.close()


@pytest.mark.parametrize("address", [Address("db1", 1999), Address(path="/run/kt.sock")])
def test_what_a_follower_is_told_arrives(address: Address) -> None:
    following = Following("/place", 1 << 30, address, 3, 1.5, 0.25)
    assert Following.decode(following.encode()) == following


def test_where_nobody_follows_one_is_started(crew: Crew, starting: Starting, following: Following) -> None:
    crew.see_to_it()
    assert starting.started == [following]


def test_one_that_ends_at_once_is_not_started_all_the_time(crew: Crew, starting: Starting, clock: Clock) -> None:
    started = []
    for _ in range(400):
        before = len(starting.started)
        crew.see_to_it()
        if len(starting.started) > before:
            started.append(clock() - Clock()())
        clock.advance(0.25)
    assert started == [0, 1, 3, 8, 38, 68, 98]


def test_after_a_long_while_it_is_started_soon_again(crew: Crew, starting: Starting, clock: Clock) -> None:
    for _ in range(5):
        clock.advance(30)
        crew.see_to_it()
    clock.advance(61)
    crew.see_to_it()
    clock.advance(1)
    crew.see_to_it()
    assert len(starting.started) == 7


def test_what_cannot_be_started_is_told_and_harms_nobody(
    following: Following, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(following: Following) -> int:
        raise FileNotFoundError("no interpreter")

    crew = Crew(following, start=fail, clock=clock)
    crew.see_to_it()
    assert [record.message for record in caplog.records] == ["nobody can be started to follow db1:1999: no interpreter"]
    crew.close()


def test_where_somebody_follows_nobody_is_started(
    crew: Crew, starting: Starting, following: Following, clock: Clock
) -> None:
    lock = lock_alone(following.directory, "follower")
    assert lock is not None
    crew.see_to_it()
    assert starting.started == []
    os.close(lock)
    clock.advance(1)
    crew.see_to_it()
    assert len(starting.started) == 1


def test_one_that_has_ended_is_buried(crew: Crew, clock: Clock) -> None:
    crew.see_to_it()
    (pid,) = crew._started

    def buried() -> bool:
        clock.advance(1)
        crew.see_to_it()
        return pid not in crew._started

    until(buried)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_workers_are_counted_until_the_last_has_ended(following: Following, crew: Crew) -> None:
    assert lock_alone(following.directory, "workers") is None
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[crew._workers],  # as a forked one has it
    )
    assert child.stdout is not None
    child.stdout.readline()
    crew.close()
    assert lock_alone(following.directory, "workers") is None
    child.send_signal(signal.SIGKILL)
    child.communicate()
    lock = lock_alone(following.directory, "workers")
    assert lock is not None
    os.close(lock)
    crew.close()
