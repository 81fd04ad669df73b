from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.database.options import Durability
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["process", "commit"])
def durability(request: pytest.FixtureRequest) -> Durability:
    """Both, since their writers have nothing in common but the operations."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def options(durability: Durability) -> DatabaseOptions:
    """What `environment` is opened with; a module may override it."""
    return DatabaseOptions(max_size=4 << 20, durability=durability, databases=3)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def environment(directory: Path, options: DatabaseOptions, clock: Clock) -> Iterator[Environment]:
    opened = Environment.open(directory, options, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def database(environment: Environment) -> Database:
    return Database(environment)


@pytest.fixture
def soon(clock: Clock) -> int:
    """The expiry that the records of a test begin with."""
    return clock.after(500)


@pytest.fixture
def late(clock: Clock) -> int:
    """The expiry that they are given."""
    return clock.after(900)


@pytest.fixture
def descriptors(directory: Path) -> Callable[[], int]:
    """A function that counts what this process has open below the directory: the rest is other tests'."""

    def target(descriptor: str) -> Path:
        with suppress(FileNotFoundError):  # that of the listing itself, or what another thread has closed
            return Path("/proc/self/fd", descriptor).readlink()
        return Path()

    def count() -> int:
        gc.collect()
        return sum(target(descriptor).is_relative_to(directory.resolve()) for descriptor in os.listdir("/proc/self/fd"))

    return count
