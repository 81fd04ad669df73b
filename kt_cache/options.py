"""What a cache is configured with: a location and options, parsed once into a frozen value.

Every framework's adapter writes the same two: a URL (or a list of them) for the place, and a mapping for the rest.
Options may also stand in the URL's query. Names are the fields of `Options` and of the kind of store that the
location names, in any case; unknown ones are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar, TypeAlias, get_args

from kt_cache.values import Codec
from kt_core.database import DatabaseOptions
from kt_core.database.options import MAX_DATABASES, Durability, Eviction
from kt_core.errors import Misconfigured, choose
from kt_core.locations import locate, read_servers, without_password
from kt_core.pool import PoolOptions
from kt_core.sizes import parse_size
from kt_core.transport import Address

_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class EmbeddedOptions:
    """Where an embedded database is, and how it keeps its records."""

    place: str
    """A name, or an absolute path."""
    max_size: int = 256 << 20
    """Bytes that all files of the database together never exceed; written as a number or as ``256MiB``."""
    durability: str = "process"
    """``process``: survives the death of any process; ``commit``: each write is on the disk before it returns."""
    eviction: str = "lru"
    """``lru``: old records make room for new ones; ``none``: a full database refuses new ones."""
    database: int = 0
    """The number of the logical database."""

    @property
    def places(self) -> tuple[str]:
        """The place: caches that have one of theirs in common meet there."""
        return (self.place,)

    asked: ClassVar[tuple[Address, ...]] = ()
    """The servers: none."""

    @property
    def of_database(self) -> DatabaseOptions:
        """The part that the database is made with."""
        durability: Any = self.durability
        eviction: Any = self.eviction
        return DatabaseOptions(self.max_size, durability, eviction, self.database + 1)


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


@dataclass(frozen=True)
class TyrantOptions(ServerOptions):
    """Which Tokyo Tyrant servers keep the records; each has one database."""

    database: ClassVar[int] = 0


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

    @property
    def location(self) -> str:
        """Where the records are, as a URL."""
        return f"aerospike://{','.join(map(str, self.servers))}/{self.namespace}/{self.set}"


_AEROSPIKE_NAMES = {"namespace": 31, "set": 63}


StoreOptions: TypeAlias = EmbeddedOptions | KyotoOptions | TyrantOptions | AerospikeOptions


@dataclass(frozen=True)
class Options:
    """Where the records are, how values become bytes, and what becomes of errors."""

    store: StoreOptions
    serializer: Any = "pickle"
    """``pickle``, ``msgpack``, ``json``, ``raw``, or an object, class or dotted path with ``dumps`` and ``loads``."""
    accept: tuple[str, ...] | None = None
    """Serializers that values may be read by besides that one; None for all that cannot run code."""
    compression: str | None = None
    """``zlib``, ``lzma``, ``bz2``, ``lz4``, ``zstd`` or ``brotli``; None for none."""
    compress_min_length: int = 1024
    """Bytes from which on a value is compressed."""
    compress_level: int | None = None
    """The compression's own level; None for its default."""
    sign: bool = False
    """Whether values carry a signature, checked before anything is unpickled."""
    on_error: str = "raise"
    """``raise``, or ``miss``: a server that fails is as good as an empty one (an embedded database has none)."""

    @classmethod
    def parse(cls, location: object, options: Mapping[str, Any], *, default_name: str) -> Options:
        """Read a location and options; `default_name` names the place where the location is empty."""
        is_empty = location is None or location == ""
        scheme, place, written = locate(f"embedded://{default_name}" if is_empty else location)
        kind, readers = _KINDS[scheme]
        given: dict[str, Any] = {}
        for name, value in [*written, *options.items()]:
            reader_name = str(name).lower()
            reader = _reader(reader_name, scheme)
            try:
                given[reader_name] = reader(value)
            except Misconfigured as error:
                raise Misconfigured(f"option {name}: {error}") from None
        own = {name: given.pop(name) for name in list(given) if name in readers}
        try:
            return cls(kind(place, **own), **given)
        except Misconfigured as error:
            raise Misconfigured(without_password(str(error))) from None

    def codec(self, signing_keys: Callable[[], Iterable[bytes]]) -> Codec:
        """Return the codec that these options ask for; the keys are fetched if it signs."""
        return Codec(
            serializer=self.serializer,
            accept=self.accept,
            compression=self.compression,
            compress_min_length=self.compress_min_length,
            compress_level=self.compress_level,
            signing_keys=tuple(signing_keys()) if self.sign else (),
        )


def has_option(scheme: str, name: str) -> bool:
    """Tell whether locations of a scheme have an option."""
    return name in _COMMON or name in _KINDS[scheme][1]


def _one_of(*values: str) -> Callable[[object], str]:
    return lambda value: choose(dict(zip(values, values, strict=True)), str(value), "such value")


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
        raise Misconfigured(f"{value!r} is not a number")
    return int(value)


def _count(value: object) -> int:
    number = _number(value)
    if not number:
        raise Misconfigured("0 is not enough: write 1 or more")
    return number


def _seconds(value: object) -> float:
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Misconfigured(f"{value!r} is not a time: write seconds as a number greater than 0, like 0.5")
    return seconds


def _database(value: object) -> int:
    number = _number(value)
    if number >= MAX_DATABASES:
        raise Misconfigured(f"there is no logical database {number}: write a number from 0 to {MAX_DATABASES - 1}")
    return number


def _truth(value: object) -> bool:
    return choose(_TRUTH, str(value).lower(), "truth value")


def _names(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(filter(None, value.split(",")))
    if not isinstance(value, Iterable):
        raise Misconfigured(f"{value!r} is not a list of names")
    return tuple(map(str, value))


def _optional(reader: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else reader(value)


def _copy(value: object) -> EmbeddedOptions:
    """Read where a copy of a server is."""
    scheme, place, written = locate(value)
    if scheme != "embedded" or not isinstance(place, str):
        raise Misconfigured(f"{value!r} is not on this machine: write embedded://NAME")
    readers: _Readers = {"max_size": parse_size}
    return EmbeddedOptions(place, **{name: choose(readers, name, "option of a copy")(text) for name, text in written})


_Readers = dict[str, Callable[[Any], Any]]

_COMMON: _Readers = {
    "serializer": lambda value: value,
    "accept": _names,
    "compression": _optional(str),
    "compress_min_length": parse_size,
    "compress_level": _optional(_number),
    "sign": _truth,
    "on_error": _one_of("raise", "miss"),
}
_EMBEDDED: _Readers = {
    "max_size": parse_size,
    "durability": _one_of(*get_args(Durability)),
    "eviction": _one_of(*get_args(Eviction)),
    "database": _database,
}
_SERVERS: _Readers = {
    "timeout": _seconds,
    "connect_timeout": _optional(_seconds),
    "max_connections": _count,
    "max_idle": _seconds,
    "retry_attempts": _number,
    "retry_timeout": _seconds,
    "dead_timeout": _seconds,
    "failover": _truth,
}
_KYOTO: _Readers = {
    "database": _database,
    **_SERVERS,
    "replicas": read_servers,
    "replica": _optional(_copy),
    "max_lag": _seconds,
    "outage": _seconds,
}
_TYRANT: _Readers = {**_SERVERS, "replicas": partial(read_servers, kind="tt")}
_AEROSPIKE: _Readers = {
    "namespace": str,
    "set": str,
    **{name: _SERVERS[name] for name in ("timeout", "connect_timeout", "max_connections", "retry_timeout")},
    "retries": _number,
    "send_key": _truth,
    "user": _optional(str),
    "password": _optional(str),
    "cluster_name": _optional(str),
    "replica": _one_of("sequence", "master", "any", "random"),
    "read_mode": _one_of("one", "all"),
    "commit_level": _one_of("all", "master"),
    "oversize": _one_of("drop", "refuse"),
}
_KINDS: dict[str, tuple[Callable[..., StoreOptions], _Readers]] = {
    "embedded": (EmbeddedOptions, _EMBEDDED),
    "kt": (KyotoOptions, _KYOTO),
    "kt+unix": (KyotoOptions, _KYOTO),
    "tt": (TyrantOptions, _TYRANT),
    "tt+unix": (TyrantOptions, _TYRANT),
    "aerospike": (AerospikeOptions, _AEROSPIKE),
}

assert {"store", *_COMMON} == {field.name for field in fields(Options)}
assert {"place", *_EMBEDDED} == {field.name for field in fields(EmbeddedOptions)}
assert {"servers", *_KYOTO} == {field.name for field in fields(KyotoOptions)}
assert {"servers", *_TYRANT} == {field.name for field in fields(TyrantOptions)}
assert {"servers", *_AEROSPIKE} == {field.name for field in fields(AerospikeOptions)}


def _reader(name: str, scheme: str) -> Callable[[Any], Any]:
    _, own = _KINDS[scheme]
    for other, (_, readers) in _KINDS.items():
        if name in readers and name not in own:
            raise Misconfigured(f"{name} is an option of {other}:// locations, not of {scheme}:// ones: leave it out")
    return choose(own | _COMMON, name, "option")
