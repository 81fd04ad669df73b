"""`KTCache` in the place of a SimpleCache, over each store, with the clock that Flask-Caching's tests move."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cachelib.simple

from kt_cache.flask import KTCache
from tests.fix_aerospike import AEROSPIKE_KINDS
from tests.fix_aerospike import serving as aerospike_serving
from tests.fix_servers import KINDS, PATIENTLY, TYRANT_KINDS, running
from tests.server.running import serving


def now() -> float:
    """Return the time as the suites have it, who put a function of their own here."""
    return cachelib.simple.time()  # type: ignore[attr-defined, no-any-return]


class SimpleCache(KTCache):
    """A `KTCache` that is made as the suites' SimpleCache is, empty each time."""

    clock = staticmethod(now)
    open_location: Callable[[], str]
    made = 0

    def __init__(self, *, threshold: int = 500, key_prefix: Any = None, **options: Any) -> None:
        SimpleCache.made += 1
        prefix = f"{SimpleCache.made}:{key_prefix or ''}"
        super().__init__(SimpleCache.open_location(), key_prefix=prefix, **options)

    @classmethod
    def factory(cls, app: Any, config: Any, args: Any, kwargs: Any) -> SimpleCache:
        return cls(*args, **kwargs)


@contextlib.contextmanager
def embedded() -> Iterator[Callable[[], str]]:
    """Give each cache a database of its own."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:
        numbers = itertools.count()
        yield lambda: f"embedded://{directory}/{next(numbers)}?max_size=4MiB"


@contextlib.contextmanager
def bundled() -> Iterator[Callable[[], str]]:
    """Give all caches a server in this process."""
    with serving("*", clock=now) as server:
        yield lambda: f"kt://127.0.0.1:{server.port}{PATIENTLY}"


@contextlib.contextmanager
def ktserver() -> Iterator[Callable[[], str]]:
    """Give all caches the original server."""
    with running("ktserver") as address:
        yield lambda: f"kt://{address}{PATIENTLY}"


@contextlib.contextmanager
def tyrant(kind: str) -> Iterator[Callable[[], str]]:
    """Give all caches a server that knows no time: the caches' own clock is the one that counts."""
    with running(kind, databases=["*"]) as address:
        yield lambda: f"tt://{address}{PATIENTLY}"


@contextlib.contextmanager
def aerospike(kind: str) -> Iterator[Callable[[], str]]:
    """Give all caches a set of a server."""
    with aerospike_serving(kind) as place:
        yield lambda: place.url("flask") + PATIENTLY


STORES: dict[str, Callable[[], contextlib.AbstractContextManager[Callable[[], str]]]] = {
    "embedded": embedded,
    "bundled": bundled,
    "ktserver": ktserver,
    "bundled tyrant": partial(tyrant, "bundled tyrant"),
    "ttserver": partial(tyrant, "ttserver"),
    **{f"Aerospike, {kind}": partial(aerospike, kind) for kind in AEROSPIKE_KINDS},
}

TIMED = [name for name in STORES if name == "ktserver" or name.startswith("Aerospike")]
"""The stores whose clock nobody can move."""

FOUND = [name for name in STORES if name in ("embedded", *KINDS, *TYRANT_KINDS) or name.startswith("Aerospike")]
"""The stores that this machine can have."""
