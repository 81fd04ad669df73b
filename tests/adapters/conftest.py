"""Caches in directories of their own, on a clock that the test moves, called both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from kt_cache.django import KTCache
from kt_cache.options import Options
from kt_core.database import Environment
from tests.clock import Clock

MakeCache: TypeAlias = Callable[..., KTCache]
Call: TypeAlias = Callable[..., Any]

DJANGO_OPTIONS = {"MAX_ENTRIES", "CULL_FREQUENCY"}


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def make_cache(tmp_path: Path, clock: Clock) -> Iterator[MakeCache]:
    """Return a function that makes a cache with a CACHES entry's parameters; those of one place share it."""
    opened: set[Environment] = set()

    def make(place: str = "place", kind: type[KTCache] = KTCache, **params: Any) -> KTCache:
        location = f"embedded://{tmp_path}/{place}"
        options = {"max_size": 4 << 20, **params.pop("OPTIONS", {})}
        ours = {name: value for name, value in options.items() if name not in DJANGO_OPTIONS}
        of_database = Options.parse(location, ours, default_name=place).of_database
        # An environment is opened once in a process: the cache will find this one, and its clock.
        opened.add(Environment.open(tmp_path / place, of_database, clock=clock))
        return kind(location, {"OPTIONS": options, **params})

    yield make
    for environment in opened:
        environment.close()


@pytest.fixture
def cache(make_cache: MakeCache) -> KTCache:
    """Return a cache as its users mostly have it."""
    return make_cache()


def waiting(cache: KTCache, method: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(cache, method)(*args, **kwargs)


def awaited(cache: KTCache, method: str, *args: Any, **kwargs: Any) -> Any:
    return asyncio.run(getattr(cache, f"a{method}")(*args, **kwargs))


@pytest.fixture(params=[waiting, awaited])
def call(request: pytest.FixtureRequest) -> Call:
    """Return a function that calls a cache's method, once as it is and once its awaited twin."""
    return request.param
