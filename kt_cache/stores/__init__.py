"""Stores by the kind of their location: one contract, whatever lies below."""

from __future__ import annotations

import time
from collections.abc import Callable

from kt_cache.options import EmbeddedOptions, Options
from kt_cache.stores.base import KEEP, AsyncStore, Entry, Keep, Stats, Store, Value
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, Environment

__all__ = ["KEEP", "AsyncStore", "Entry", "Keep", "Stats", "Store", "Value", "open_store"]


def open_store(options: Options, *, clock: Callable[[], float] = time.time) -> AsyncStore:
    """Open the store that the options name, or share the one that this process has open already.

    `clock` gives seconds since the epoch; of an embedded database, the one of whoever opened it first counts.
    """
    if isinstance(options.store, EmbeddedOptions):
        environment = Environment.open(options.store.directory, options.store.of_database, clock=clock)
        return EmbeddedStore(Database(environment, options.store.database))
    # Imported when there is a server to talk to: a project whose records are in its processes pays for none of it.
    from kt_cache.stores.served import open_served

    return open_served(options.store, options.on_error == "miss", clock)
