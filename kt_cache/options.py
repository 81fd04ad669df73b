"""What a cache is configured with: a location and options, parsed once into a frozen value.

Every framework's adapter writes the same two: a URL for the place, and a mapping for the rest. Options may also
stand in the URL's query. Names are the fields of `Options`, in any case; unknown ones are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args
from urllib.parse import parse_qsl, unquote

from kt_cache.values import Codec
from kt_core.database import DatabaseOptions
from kt_core.database.options import MAX_DATABASES, Durability, Eviction
from kt_core.errors import Misconfigured, choose

SCHEMES = ("embedded",)

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Options:
    """Where the records are, how they are kept, and how values become bytes."""

    scheme: str
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

    @classmethod
    def parse(cls, location: str, options: Mapping[str, Any], *, default_name: str) -> Options:
        """Read a location and options; `default_name` names the place where the location is empty."""
        scheme, place, query = _split(location or f"embedded://{default_name}")
        given: dict[str, Any] = {}
        for name, value in [*query, *options.items()]:
            reader_name = str(name).lower()
            reader = choose(_READERS, reader_name, "option")
            try:
                given[reader_name] = reader(value)
            except Misconfigured as error:
                raise Misconfigured(f"option {name}: {error}") from None
        return cls(scheme, place, **given)

    @property
    def of_database(self) -> DatabaseOptions:
        """The part that the database is made with."""
        durability: Any = self.durability
        eviction: Any = self.eviction
        return DatabaseOptions(self.max_size, durability, eviction, self.database + 1)

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


def parse_size(value: object) -> int:
    """Return a number of bytes, written as one or with a unit (powers of 1024): ``256MiB``, ``64m``, ``1.5 GB``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Misconfigured(f"{value!r} is not a size: write bytes as a number, or like '256MiB'")
    return int(float(match[1]) * (1 << _UNITS[match[2].lower()]))


def _split(location: object) -> tuple[str, str, list[tuple[str, str]]]:
    url = os.fspath(location) if isinstance(location, os.PathLike) else location
    if not isinstance(url, str) or "://" not in url:
        near = url.removeprefix("embedded:") if isinstance(url, str) else ""
        raise Misconfigured(
            f"the location {location!r} is not a URL: write embedded://{near if near.find('/') < 1 else 'NAME'} "
            "(embedded://NAME for a database of that name, embedded:///absolute/path for a directory)"
        )
    scheme, _, rest = url.partition("://")
    choose(dict.fromkeys(SCHEMES), scheme, "kind of location")
    if "#" in rest:
        raise Misconfigured(f"the location {location!r} holds a '#': write %23 for it")
    place, _, query = rest.partition("?")
    name, _, path = place.partition("/")
    if not place:
        raise Misconfigured(f"the location {location!r} names nothing: write embedded://NAME or embedded:///path")
    if name and path.strip("/"):
        raise Misconfigured(f"the location {location!r} has a name and a path: write embedded:///{place} for a path")
    return scheme, unquote(name or place), parse_qsl(query, keep_blank_values=True)


def _one_of(kind: Any) -> Callable[[object], str]:
    values = get_args(kind)
    return lambda value: choose(dict(zip(values, values, strict=True)), str(value), "such value")


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
        raise Misconfigured(f"{value!r} is not a number")
    return int(value)


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


_READERS: dict[str, Callable[[Any], Any]] = {
    "max_size": parse_size,
    "durability": _one_of(Durability),
    "eviction": _one_of(Eviction),
    "database": _database,
    "serializer": lambda value: value,
    "accept": _names,
    "compression": _optional(str),
    "compress_min_length": parse_size,
    "compress_level": _optional(_number),
    "sign": _truth,
}

assert {"scheme", "place", *_READERS} == {field.name for field in fields(Options)}
