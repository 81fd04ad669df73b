"""Stores over servers: one, several that share the keys, copies of one, a cluster; with what an outage is to be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias, cast

from kt_cache.options import AerospikeOptions, EmbeddedOptions, KyotoOptions, TyrantOptions
from kt_cache.stores.base import AsyncStore
from kt_cache.stores.hosts import Breaker, Host
from kt_cache.stores.replicas import ReplicatedStore
from kt_cache.stores.routing import RoutedStore
from kt_cache.stores.threads import InThreads
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.stores.wrapper import Member, Wrapper
from kt_core.transport import Address

Clock: TypeAlias = Callable[[], float]


def open_served(options: KyotoOptions | TyrantOptions | AerospikeOptions, tolerant: bool, clock: Clock) -> AsyncStore:
    """Open the store over the servers that the options name, or share it with all other threads."""
    if isinstance(options, AerospikeOptions):
        return _clustered(options, tolerant, clock)
    return _served(options, tolerant, clock)


# Of the two clients a project needs one.


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

    members = [member(address) for address in options.servers]
    copy = options.replica if isinstance(options, KyotoOptions) else None
    if isinstance(options, KyotoOptions) and copy is not None:
        members = [
            _copied(options, copy, each, address, clock) for each, address in zip(members, options.servers, strict=True)
        ]
    first, *others = members
    if others:
        members = [each._replace(store=surely(each.store)) for each in members]
        # Where there is a copy, the keys of a dead server are read from that: nobody else has them.
        return _as_store(RoutedStore(members, failover=options.failover and copy is None))
    if options.replicas:
        return surely(_as_store(ReplicatedStore(first.store, [member(address) for address in options.replicas])))
    if tolerant or copy is not None:
        return surely(first.store)
    return store_at(options, Host(options.of_pool(options.servers[0])), clock)


def _copied(options: KyotoOptions, copy: EmbeddedOptions, member: Member, address: Address, clock: Clock) -> Member:
    """Return a server whose records are read from a copy on this machine; each of several has one of its own."""
    from kt_cache.stores.replica.opening import open_replica

    if len(options.servers) > 1:
        copy = replace(copy, place=f"{copy.place.rstrip('/')}-{_plain(str(address))}")
    store = open_replica(member.store, address, options, copy.directory, copy.max_size, clock)
    return member._replace(store=_as_store(store))


def _plain(text: str) -> str:
    """Return a text as part of a name."""
    return re.sub("[^A-Za-z0-9._-]", "-", text)


@cache  # all threads share one client, and what is known about its failures
def _clustered(options: AerospikeOptions, tolerant: bool, clock: Clock) -> AsyncStore:
    from kt_core.aerospike.package import official

    official()  # where it is not installed, this says how to
    from kt_cache.stores.aerospike import AerospikeStore, Cluster

    drops = options.oversize == "drop"
    if not tolerant:
        return _as_store(AerospikeStore(Cluster(options), drops=drops, clock=clock))
    breaker = Breaker(options.location, rest=options.retry_timeout)
    store = AerospikeStore(Cluster(options, breaker), drops=drops, clock=clock)
    return _as_store(TolerantStore(_as_store(store)))


def _as_store(store: Wrapper | InThreads) -> AsyncStore:
    return cast(AsyncStore, store)
