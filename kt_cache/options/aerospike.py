"""What a cluster of Aerospike is configured with."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, ClassVar

from kt_cache.options.reading import Kind, Readers, count, number, one_of, optional, seconds, truth
from kt_core.errors import Misconfigured

if TYPE_CHECKING:
    from kt_core.transport import Address


@dataclass(frozen=True)
class AerospikeOptions:
    """Which set of an Aerospike cluster keeps the records, and how the cluster is talked to; times in seconds."""

    servers: tuple[Address, ...]
    """Some nodes of the cluster: the first that answers names the others."""
    namespace: str = ""
    set: str = ""
    """The set that is the cache's own: to clear the cache empties it."""
    timeout: float = 1.0
    """What one operation may take, attempts and a wait for a free connection included."""
    connect_timeout: float | None = None
    """What connecting may take; None for the same as `timeout`."""
    max_connections: int = 64
    """Connections of one process to one node, at most."""
    retries: int = 1
    """How often a read is tried again within the timeout; a write, which may have been done, never is."""
    retry_timeout: float = 1.0
    """How long a cluster that failed is left alone, with `on_error` ``miss``."""
    send_key: bool = True
    """Whether keys are stored beside their digests; without them no keys can be listed, nor deleted by a prefix."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    cluster_name: str | None = None
    """The name that a node must give for its cluster; None for any."""
    replica: str = "sequence"
    """Which copy is read: ``sequence`` (the master, at another attempt the next), ``master``, ``any``, ``random``."""
    read_mode: str = "one"
    """How many copies a read asks while the cluster moves records: ``one``, or ``all`` of them."""
    commit_level: str = "all"
    """When a write is done: once ``all`` copies have it, or the ``master`` has."""
    oversize: str = "drop"
    """What becomes of a value that the cluster has no room for: ``drop``, and what it was to replace, or ``refuse``."""
    database: ClassVar[int] = 0

    def __post_init__(self) -> None:
        where = f"aerospike://{','.join(map(str, self.servers))}"
        for name in ("namespace", "set"):
            value, limit = getattr(self, name), _AEROSPIKE_NAMES[name]
            if not value:
                known = f"{where}/{self.namespace or 'NAMESPACE'}/SET"
                raise Misconfigured(f"the location names no {name}: write {known}")
            # The native client cuts a name at NUL, and pastes it into commands, where "a;b" empties the set "a".
            if not re.fullmatch(f"[A-Za-z0-9_-]{{1,{limit}}}", value):
                raise Misconfigured(f"{value!r} cannot name a {name}: write up to {limit} letters, digits, '-' and '_'")
        if (self.user is None) != (self.password is None):
            raise Misconfigured("a user needs a password, and a password a user: give both or neither")

    @property
    def places(self) -> tuple[tuple[Address, str, str], ...]:
        """The places of the records: caches that have one of theirs in common meet there."""
        return tuple((address, self.namespace, self.set) for address in self.servers)

    @property
    def asked(self) -> tuple[Address, ...]:
        """The nodes that are talked to, as far as they are known."""
        return self.servers

    def for_sessions(self, given: Collection[str]) -> AerospikeOptions:
        """What sessions beside a cache of these options are kept with, as `kt_cache.sessions` says."""
        return replace(self, replica="sequence", commit_level="all", oversize="refuse")

    @property
    def location(self) -> str:
        """Where the records are, as a URL."""
        return f"aerospike://{','.join(map(str, self.servers))}/{self.namespace}/{self.set}"


_AEROSPIKE_NAMES = {"namespace": 31, "set": 63}

_READERS: Readers = {
    "namespace": str,
    "set": str,
    "timeout": seconds,
    "connect_timeout": optional(seconds),
    "max_connections": count,
    "retries": number,
    "retry_timeout": seconds,
    "send_key": truth,
    "user": optional(str),
    "password": optional(str),
    "cluster_name": optional(str),
    "replica": one_of("sequence", "master", "any", "random"),
    "read_mode": one_of("one", "all"),
    "commit_level": one_of("all", "master"),
    "oversize": one_of("drop", "refuse"),
}
KINDS = {"aerospike": Kind(AerospikeOptions, _READERS)}

assert {"servers", *_READERS} == {field.name for field in fields(AerospikeOptions)}
