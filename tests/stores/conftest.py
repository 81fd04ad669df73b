"""The clock and the databases that the stores are tested with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment
from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., EmbeddedStore]]:
    """Return a function that makes an embedded store in a directory of its own, with the options given."""
    opened: list[Environment] = []
    numbers = count()

    def make(max_size: int = 4 << 20, **options: Any) -> EmbeddedStore:
        directory = tmp_path / f"store-{next(numbers)}"
        environment = Environment.open(directory, DatabaseOptions(max_size=max_size, **options), clock=clock)
        opened.append(environment)
        return EmbeddedStore(Database(environment))

    yield make
    for environment in opened:
        environment.close()
