"""Opening the copy of a server in this process, which then counts as one of its workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from kt_cache.options import KyotoOptions
from kt_cache.stores.base import AsyncStore
from kt_cache.stores.replica.election import Crew, Following
from kt_cache.stores.replica.following import MARKER_EVERY
from kt_cache.stores.replica.records import may_be_filled, open_environment
from kt_cache.stores.replica.store import ReplicaStore
from kt_core.errors import Misconfigured
from kt_core.transport import Address

# Markers while nobody waits for one: so many that the copy is not too old for one that comes late.
_MARKERS: Final = 4


def open_replica(
    master: AsyncStore,
    address: Address,
    options: KyotoOptions,
    directory: Path,
    max_size: int,
    clock: Callable[[], float],
) -> ReplicaStore:
    """Return the store over a server's and the copy in a directory; see to it that somebody keeps the copy.

    `clock` gives seconds since the epoch, by which records expire.
    """
    environment = open_environment(directory, max_size, clock)
    if not may_be_filled(environment):
        raise Misconfigured(f"{directory} holds records of its own, and a copy would replace them: name another place")
    every = max(options.max_lag / _MARKERS, MARKER_EVERY)
    crew = Crew(Following(str(directory), max_size, address, options.database, options.timeout, every))
    crew.see_to_it()
    return ReplicaStore(master, environment, max_lag=options.max_lag, outage=options.outage, follow=crew.see_to_it)
