"""Stores by the kind of their location: one contract, whatever lies below."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

from kt_cache.options import EmbeddedOptions, KyotoOptions, Options, TyrantOptions
from kt_cache.stores.base import KEEP, AsyncStore, Entry, Keep, Stats, Store, Value
from kt_cache.stores.embedded import EmbeddedStore
from kt_cache.stores.hosts import Breaker, Host
from kt_cache.stores.replicas import ReplicatedStore
from kt_cache.stores.routing import RoutedStore
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.stores.wrapper import Member, Wrapper
from kt_core.database import Database, Environment, resolve
from kt_core.transport import Address

__all__ = ["KEEP", "AsyncStore", "Entry", "Keep", "Stats", "Store", "Value", "open_store"]


Clock = Callable[[], float]


def open_store(options: Options, *, clock: Clock = time.time) -> AsyncStore:
    """Open the store that the options name, or share the one that this process has open already.

    `clock` gives seconds since the epoch; of an embedded database, the one of whoever opened it first counts.
    """
    return _OPENERS[type(options.store)](options.store, options.on_error == "miss", clock)


def _embedded(options: EmbeddedOptions, tolerant: bool, clock: Clock) -> AsyncStore:
    of_database = options.of_database
    directory = (
        Path(options.place)
        if options.place.startswith("/")
        else resolve(options.place, durable=of_database.durability == "commit", max_size=of_database.max_size)
    )
    return EmbeddedStore(Database(Environment.open(directory, of_database, clock=clock), options.database))


# Imported when there is a server to talk to: a project whose records are in its processes needs neither client.


def _kyoto(options: KyotoOptions, host: Host, clock: Clock) -> AsyncStore:
    from kt_cache.stores.kyoto import KyotoStore

    return KyotoStore(host, options.database, clock=clock)


def _tyrant(options: TyrantOptions, host: Host, clock: Clock) -> AsyncStore:
    from kt_cache.stores.tyrant import TyrantStore

    return TyrantStore(host, options.timeout, clock=clock)


_OF_SERVERS: dict[type, Callable[[Any, Host, Clock], AsyncStore]] = {KyotoOptions: _kyoto, TyrantOptions: _tyrant}


@cache  # all threads share what is known about the servers' failures
def _served(options: KyotoOptions | TyrantOptions, tolerant: bool, clock: Clock) -> AsyncStore:
    store_at = _OF_SERVERS[type(options)]

    def member(address: Address) -> Member:
        breaker = Breaker(
            str(address), rest=options.retry_timeout, attempts=options.retry_attempts, dead=options.dead_timeout
        )
        return Member(str(address), store_at(options, Host(options.of_pool(address), breaker), clock), breaker)

    def surely(store: AsyncStore) -> AsyncStore:
        return _as_store(TolerantStore(store)) if tolerant else store

    first, *others = [member(address) for address in options.servers]
    if others:
        members = [each._replace(store=surely(each.store)) for each in [first, *others]]
        return _as_store(RoutedStore(members, failover=options.failover))
    if options.replicas:
        return surely(_as_store(ReplicatedStore(first.store, [member(address) for address in options.replicas])))
    if tolerant:
        return surely(first.store)
    return store_at(options, Host(options.of_pool(options.servers[0])), clock)


def _as_store(wrapper: Wrapper) -> AsyncStore:
    return cast(AsyncStore, wrapper)


_OPENERS: dict[type, Callable[[Any, bool, Clock], AsyncStore]] = {
    EmbeddedOptions: _embedded,
    KyotoOptions: _served,
    TyrantOptions: _served,
}
