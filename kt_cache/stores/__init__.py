"""Stores by the scheme of their location: one contract, whatever lies below."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kt_cache.options import Options
from kt_cache.stores.base import KEEP, AsyncStore, Keep, Stats, Store, Value
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, Environment, resolve

__all__ = ["KEEP", "AsyncStore", "Keep", "Stats", "Store", "Value", "open_store"]


def _embedded(options: Options) -> AsyncStore:
    of_database = options.of_database
    directory = (
        Path(options.place)
        if options.place.startswith("/")
        else resolve(options.place, durable=of_database.durability == "commit", max_size=of_database.max_size)
    )
    return EmbeddedStore(Database(Environment.open(directory, of_database), options.database))


_OPENERS: dict[str, Callable[[Options], AsyncStore]] = {"embedded": _embedded}


def open_store(options: Options) -> AsyncStore:
    """Open the store that the options name, or share the one that this process has open already."""
    return _OPENERS[options.scheme](options)
