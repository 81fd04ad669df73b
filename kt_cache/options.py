"""What a cache is configured with: a location and options, parsed once into a frozen value.

Every framework's adapter writes the same two: a URL (or a list of them) for the place, and a mapping for the rest.
Options may also stand in the URL's query. Names are the fields of `Options` and of the kind of store that the
location names, in any case; unknown ones are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar, get_args

from kt_cache.locations import locate, read_servers
from kt_cache.values import Codec
from kt_core.database import DatabaseOptions
from kt_core.database.options import MAX_DATABASES, Durability, Eviction
from kt_core.errors import Misconfigured, choose
from kt_core.pool import PoolOptions
from kt_core.transport import Address

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
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


@dataclass(frozen=True)
class TyrantOptions(ServerOptions):
    """Which Tokyo Tyrant servers keep the records; each has one database."""

    database: ClassVar[int] = 0


@dataclass(frozen=True)
class Options:
    """Where the records are, how values become bytes, and what becomes of errors."""

    store: EmbeddedOptions | KyotoOptions | TyrantOptions
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
        return cls(kind(place, **own), **given)

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


def parse_size(value: object) -> int:
    """Return a number of bytes, written as one or with a unit (powers of 1024): ``256MiB``, ``64m``, ``1.5 GB``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Misconfigured(f"{value!r} is not a size: write bytes as a number, or like '256MiB'")
    return int(float(match[1]) * (1 << _UNITS[match[2].lower()]))


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
_KYOTO: _Readers = {"database": _database, **_SERVERS, "replicas": read_servers}
_TYRANT: _Readers = {**_SERVERS, "replicas": partial(read_servers, kind="tt")}
_KINDS: dict[str, tuple[Callable[..., EmbeddedOptions | KyotoOptions | TyrantOptions], _Readers]] = {
    "embedded": (EmbeddedOptions, _EMBEDDED),
    "kt": (KyotoOptions, _KYOTO),
    "kt+unix": (KyotoOptions, _KYOTO),
    "tt": (TyrantOptions, _TYRANT),
    "tt+unix": (TyrantOptions, _TYRANT),
}

assert {"store", *_COMMON} == {field.name for field in fields(Options)}
assert {"place", *_EMBEDDED} == {field.name for field in fields(EmbeddedOptions)}
assert {"servers", *_KYOTO} == {field.name for field in fields(KyotoOptions)}
assert {"servers", *_TYRANT} == {field.name for field in fields(TyrantOptions)}


def _reader(name: str, scheme: str) -> Callable[[Any], Any]:
    _, own = _KINDS[scheme]
    for other, (_, readers) in _KINDS.items():
        if name in readers and name not in own:
            raise Misconfigured(f"{name} is an option of {other}:// locations, not of {scheme}:// ones: leave it out")
    return choose(own | _COMMON, name, "option")
