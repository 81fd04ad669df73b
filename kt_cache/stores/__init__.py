"""Stores by the kind of their location: one contract, whatever lies below."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

from kt_cache.options import EmbeddedOptions, KyotoOptions, Options
from kt_cache.stores.base import KEEP, AsyncStore, Keep, Stats, Store, Value
from kt_cache.stores.embedded import EmbeddedStore
from kt_cache.stores.hosts import Breaker, Host
from kt_cache.stores.kyoto import KyotoStore
from kt_cache.stores.replicas import ReplicatedStore
from kt_cache.stores.routing import RoutedStore
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.stores.wrapper import Member, Wrapper
from kt_core.database import Database, Environment, resolve
from kt_core.transport import Address

__all__ = ["KEEP", "AsyncStore", "Keep", "Stats", "Store", "Value", "open_store"]


def open_store(options: Options) -> AsyncStore:
    """Open the store that the options name, or share the one that this process has open already."""
    return _OPENERS[type(options.store)](options.store, options.on_error == "miss")


def _embedded(options: EmbeddedOptions, tolerant: bool) -> AsyncStore:
    of_database = options.of_database
    directory = (
        Path(options.place)
        if options.place.startswith("/")
        else resolve(options.place, durable=of_database.durability == "commit", max_size=of_database.max_size)
    )
    return EmbeddedStore(Database(Environment.open(directory, of_database), options.database))


@cache  # all threads share what is known about the servers' failures
def _kyoto(options: KyotoOptions, tolerant: bool) -> AsyncStore:
    def member(address: Address) -> Member:
        breaker = Breaker(
            str(address), rest=options.retry_timeout, attempts=options.retry_attempts, dead=options.dead_timeout
        )
        return Member(str(address), KyotoStore(Host(options.of_pool(address), breaker), options.database), breaker)

    def surely(store: AsyncStore) -> AsyncStore:
        return _as_store(TolerantStore(store)) if tolerant else store

    first, *others = [member(address) for address in options.servers]
    if others:
        return _as_store(RoutedStore([each._replace(store=surely(each.store)) for each in [first, *others]]))
    if options.replicas:
        return surely(_as_store(ReplicatedStore(first.store, [member(address) for address in options.replicas])))
    if tolerant:
        return surely(first.store)
    return KyotoStore(Host(options.of_pool(options.servers[0])), options.database)


def _as_store(wrapper: Wrapper) -> AsyncStore:
    return cast(AsyncStore, wrapper)


_OPENERS: dict[type, Callable[[Any, bool], AsyncStore]] = {EmbeddedOptions: _embedded, KyotoOptions: _kyoto}
