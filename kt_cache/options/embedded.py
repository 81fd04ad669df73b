"""What an embedded database is configured with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from kt_cache.options.reading import Kind, Readers, database, one_of
from kt_core.database import resolve
from kt_core.database.options import DatabaseOptions, Durability, Eviction
from kt_core.sizes import parse_size

if TYPE_CHECKING:
    from kt_core.transport import Address


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

    def for_sessions(self, given: Collection[str]) -> EmbeddedOptions:
        """What sessions beside a cache of these options are kept with, as `kt_cache.sessions` says."""
        if {"durability", "eviction"} & set(given):
            return self
        return replace(self, place=self.place.rstrip("/") + "-sessions", durability="commit", eviction="none")

    @property
    def directory(self) -> Path:
        """Where the database is: the path, or the place that the name stands for."""
        if self.place.startswith("/"):
            return Path(self.place)
        return resolve(self.place, durable=self.durability == "commit", max_size=self.max_size)

    @property
    def of_database(self) -> DatabaseOptions:
        """The part that the database is made with."""
        durability: Any = self.durability
        eviction: Any = self.eviction
        return DatabaseOptions(self.max_size, durability, eviction, self.database + 1)


_READERS: Readers = {
    "max_size": parse_size,
    "durability": one_of(*get_args(Durability)),
    "eviction": one_of(*get_args(Eviction)),
    "database": database,
}
KINDS = {"embedded": Kind(EmbeddedOptions, _READERS)}

assert {"place", *_READERS} == {field.name for field in fields(EmbeddedOptions)}
