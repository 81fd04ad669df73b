"""What servers of Kyoto Tycoon and Tokyo Tyrant are configured with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import ClassVar, Self

from kt_cache.options.embedded import EmbeddedOptions
from kt_cache.options.reading import Kind, Readers, count, database, number, optional, seconds, truth
from kt_core.errors import Misconfigured, choose
from kt_core.locations import locate, read_servers
from kt_core.pool import PoolOptions
from kt_core.sizes import parse_size
from kt_core.transport import Address


@dataclass(frozen=True)
class ServerOptions:
    """Which servers keep the records, and how they are talked to; times in seconds.

    Several servers share the keys between them. `retry_timeout` counts wherever the cache can do without a server:
    with `on_error` ``miss``, with several servers, and for replicas.
    """

    servers: tuple[Address, ...]
    timeout: float = 1.0
    """What one exchange with a server may take; clearing a prefix of a large database without order may need more."""
    connect_timeout: float | None = None
    """What connecting may take; None for the same as `timeout`."""
    max_connections: int = 64
    """Connections of one process to one server, at most."""
    max_idle: float = 300.0
    """How long an unused connection is kept."""
    retry_attempts: int = 2
    """How often a server that failed is tried again before the others take its keys."""
    retry_timeout: float = 1.0
    """How long a server that failed is left alone before one call tries it again."""
    dead_timeout: float = 60.0
    """How long a server that failed all attempts stays without keys."""
    failover: bool = True
    """Whether others take the keys of a dead server; if not, it fails until it is back, and nothing seems missing."""
    replicas: tuple[Address, ...] = ()
    """Copies of the one server, which reads may go to."""

    def __post_init__(self) -> None:
        every = [*self.servers, *self.replicas]
        twice = {str(address) for address in every if every.count(address) > 1}
        if twice:
            raise Misconfigured(f"the server {min(twice)} is there twice: write it once")
        if self.replicas and len(self.servers) > 1:
            raise Misconfigured("replicas copy one server, and several are given: leave out either")

    @property
    def places(self) -> tuple[Address, ...]:
        """The places of the records: caches that have one of theirs in common meet there."""
        return self.servers

    @property
    def asked(self) -> tuple[Address, ...]:
        """The servers that are talked to."""
        return (*self.servers, *self.replicas)

    def for_sessions(self, given: Collection[str]) -> Self:
        """What sessions beside a cache of these options are kept with, as `kt_cache.sessions` says."""
        return replace(self, failover=False, replicas=())

    def of_pool(self, address: Address) -> PoolOptions:
        """The part that a server's connections are made with."""
        return PoolOptions(
            address,
            timeout=self.timeout,
            connect_timeout=self.connect_timeout,
            max_connections=self.max_connections,
            max_idle=self.max_idle,
        )


@dataclass(frozen=True)
class KyotoOptions(ServerOptions):
    """Which Kyoto Tycoon servers keep the records."""

    database: int = 0
    """The number of the logical database."""
    replica: EmbeddedOptions | None = None
    """A database on this machine that is kept a copy of the server's, and read in its place.

    Of several servers each has one, and no failover: while a server is dead, only its copy has its records.
    """
    max_lag: float = 1.0
    """How far that copy may be behind before the server is read instead."""
    outage: float = 60.0
    """How far it may be behind while the server is out of order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replica is not None and self.replicas:
            raise Misconfigured("reads go to replica= on this machine or to replicas= on others: leave out either")

    def for_sessions(self, given: Collection[str]) -> Self:
        """As for all servers; a copy lags behind, and is not read."""
        return replace(super().for_sessions(given), replica=None)


@dataclass(frozen=True)
class TyrantOptions(ServerOptions):
    """Which Tokyo Tyrant servers keep the records; each has one database."""

    database: ClassVar[int] = 0


def _copy(value: object) -> EmbeddedOptions:
    """Read where a copy of a server is."""
    scheme, place, written = locate(value)
    if scheme != "embedded" or not isinstance(place, str):
        raise Misconfigured(f"{value!r} is not on this machine: write embedded://NAME")
    readers: Readers = {"max_size": parse_size}
    return EmbeddedOptions(place, **{name: choose(readers, name, "option of a copy")(text) for name, text in written})


_SERVERS: Readers = {
    "timeout": seconds,
    "connect_timeout": optional(seconds),
    "max_connections": count,
    "max_idle": seconds,
    "retry_attempts": number,
    "retry_timeout": seconds,
    "dead_timeout": seconds,
    "failover": truth,
}
_KYOTO: Readers = {
    "database": database,
    **_SERVERS,
    "replicas": read_servers,
    "replica": optional(_copy),
    "max_lag": seconds,
    "outage": seconds,
}
_TYRANT: Readers = {**_SERVERS, "replicas": partial(read_servers, kind="tt")}
KINDS = {
    **dict.fromkeys(("kt", "kt+unix"), Kind(KyotoOptions, _KYOTO)),
    **dict.fromkeys(("tt", "tt+unix"), Kind(TyrantOptions, _TYRANT)),
}

assert {"servers", *_KYOTO} == {field.name for field in fields(KyotoOptions)}
assert {"servers", *_TYRANT} == {field.name for field in fields(TyrantOptions)}
