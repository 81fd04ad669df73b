"""What a project's tests have in the place of its caches: databases of their own, and a clock that they move."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import fields
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from kt_cache.options import AerospikeOptions, EmbeddedOptions, KyotoOptions, Options, TyrantOptions
from kt_core.database import Environment
from kt_core.server.scratch import Scratch

MAX_SIZE: Final = 4 << 20
"""Bytes of a database, unless the test says otherwise: the space is reserved, and to reserve 256 MiB takes 5 ms."""

_COMMON = [field.name for field in fields(Options) if field.name != "store"]


class Clock:
    """Seconds since the epoch, as all caches of a test are told them; it goes on by itself unless it is frozen."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._frozen = False

    def __call__(self) -> float:
        # Looked up at each call, so that it goes with libraries which move all of a test's time.
        return self._seconds if self._frozen else time.time() + self._seconds

    def advance(self, seconds: float) -> None:
        """Let time pass: what expires within so many seconds is gone."""
        self._seconds += seconds

    def freeze(self, at: datetime | float | None = None) -> None:
        """Stop the clock, now or at a time; `advance` still moves it."""
        self._seconds = self() if at is None else at.timestamp() if isinstance(at, datetime) else at
        self._frozen = True


class Databases:
    """Embedded databases for one test: caches that shared a place share one of them, whatever that place was."""

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._names: dict[Hashable, str] = {}

    def location(self, options: Options) -> str:
        """Return where a cache of these options is while the test lasts."""
        name = self._names.setdefault(options.store.places, str(len(self._names)))
        return f"embedded://{quote(str(self._scratch.path / name))}"

    def options(self, options: Options, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the options that go with the location: the cache's own as far as they are not about the place."""
        own = {name: getattr(options, name) for name in _COMMON}
        return own | {"database": options.store.database} | _SIZED[type(options.store)](options.store) | changes

    def remove(self) -> None:
        """Close and remove all of them."""
        Environment.close_below(self._scratch.path)
        self._scratch.remove()


def _of_embedded(options: EmbeddedOptions) -> dict[str, Any]:
    return {"max_size": min(options.max_size, MAX_SIZE), "eviction": options.eviction}


def _of_servers(options: KyotoOptions | TyrantOptions | AerospikeOptions) -> dict[str, Any]:
    return {"max_size": MAX_SIZE}


_SIZED: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    EmbeddedOptions: _of_embedded,
    KyotoOptions: _of_servers,
    TyrantOptions: _of_servers,
    AerospikeOptions: _of_servers,
}
