"""What every place can do: records by key, in order, in number, and what is known about the place itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypedDict

from kt_core.database import NEVER

BATCH = 256  # records in a round trip


class Row(NamedTuple):
    """A record with its key; the expiry is in absolute milliseconds, `NEVER` for none."""

    key: bytes
    value: bytes
    expiry: int = NEVER


class Databank(TypedDict):
    """One logical database of a place: its number, its records, its bytes, and where it is."""

    db: int
    count: int
    size: int
    path: str


class Sample(NamedTuple):
    """What a place has done until now, and what it is now."""

    operations: dict[str, int]
    """By kind."""
    hits: int
    misses: int
    connections: int
    """To a server; or processes that have an embedded database open."""
    records: int
    bytes: int


class Place(Protocol):
    """Records behind a URL. Whatever goes wrong is one of `kt_core.errors`."""

    url: str
    expires: bool
    """Whether its records can expire."""

    def ping(self) -> None:
        """Ask for nothing, and wait for the answer."""

    def get(self, key: bytes) -> Row | None:
        """Return a record."""

    def get_all(self, keys: Sequence[bytes]) -> list[Row]:
        """Return those of the records that are there."""

    def put(self, rows: Sequence[Row]) -> None:
        """Store records, whatever was there."""

    def increment(self, key: bytes, number: int, start: int, expiry: int | None) -> int:
        """Add to a counter, which begins at `start`, and return the sum; None for `expiry` keeps the one it has."""

    def number(self, value: bytes) -> int:
        """Return the number that a counter's bytes are; `NotACounter` if they are none."""

    def remove(self, keys: Sequence[bytes]) -> int:
        """Remove records; return how many there were."""

    def keys(self, prefix: bytes, regex: bytes | None, limit: int | None) -> Iterator[bytes]:
        """Yield keys that begin with a prefix and in which a POSIX extended expression is found."""

    def rows(self, after: bytes | None = None) -> Iterator[list[Row]]:
        """Yield all records, some at a time, or those behind a key."""

    def count(self) -> int:
        """Return the number of records, with those that have expired and are not collected yet."""

    def clear(self) -> None:
        """Remove every record of the database."""

    def databases(self) -> list[Databank]:
        """Return what is known of its logical databases."""

    def at(self, database: int) -> Place:
        """Return another logical database of the same place."""

    def status(self) -> dict[str, Any]:
        """Return what the place tells of the one database."""

    def report(self) -> dict[str, Any]:
        """Return all that the place tells of itself."""

    def sample(self) -> Sample:
        """Return the figures that a monitor shows."""

    def close(self) -> None:
        """Let go of it."""
