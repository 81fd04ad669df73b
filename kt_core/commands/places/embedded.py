"""A database of this machine as a place: opened in this process, beside all others that have it open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from kt_core.commands.places.base import BATCH, Databank, Place, Row, Sample
from kt_core.database import NEVER, Database, DatabaseOptions, Environment, resolve
from kt_core.database.files import read_settings
from kt_core.database.place import CONTROL_FILE
from kt_core.database.posix import compile_posix
from kt_core.errors import InvalidInput, Misconfigured
from kt_core.number import decode_integer

_KINDS: Final = ("evictions", "expirations")


class EmbeddedPlace:
    """Records of one logical database."""

    expires = True

    def __init__(self, url: str, database: Database) -> None:
        self.url = url
        self._database = database
        self.environment = database.environment

    @classmethod
    def open(cls, url: str, place: str, options: dict[str, Any], create: bool) -> EmbeddedPlace:
        """Open a name or a path as its files are; only what is made here is made by the options."""
        index = options.pop("database", 0)
        wanted = DatabaseOptions(**options, databases=index + 1)
        directory = _directory(place, wanted)
        settings = read_settings(directory)
        if settings is None:
            if not create:
                raise Misconfigured(f"there is no database at {url}: {directory} holds none")
        else:
            durability: Any = settings.durability
            eviction: Any = settings.eviction
            wanted = DatabaseOptions(settings.max_size, durability, eviction, index + 1 if create else 1)
        return cls(url, _database(Environment.open(directory, wanted), index, url))

    def at(self, database: int) -> Place:
        """Return another logical database, which is made if need be."""
        options = replace(self.environment.options, databases=database + 1)
        return EmbeddedPlace(self.url, Database(Environment.open(self.environment.directory, options), database))

    def ping(self) -> None:
        """Look for a record."""
        self._database.check(b"")

    def get(self, key: bytes) -> Row | None:
        """Return a record."""
        found = self._database.find(key)
        return None if found is None else Row(key, *found)

    def get_all(self, keys: Sequence[bytes]) -> list[Row]:
        """Return those of the records that are there."""
        found = zip(keys, self._database.find_all(keys), strict=True)
        return [Row(key, *record) for key, record in found if record is not None]

    def put(self, rows: Sequence[Row]) -> None:
        """Store records."""
        self._database.set_bulk(rows)

    def increment(self, key: bytes, number: int, start: int, expiry: int | None) -> int:
        """Add to a counter."""
        total = self._database.increment(
            key, number, start, NEVER if expiry is None else expiry, keep_expiry=expiry is None
        )
        assert total is not None  # it is for a counter that must be there
        return total

    def number(self, value: bytes) -> int:
        """Return the number of a counter of 64 bits."""
        return decode_integer(value)

    def remove(self, keys: Sequence[bytes]) -> int:
        """Remove records."""
        return self._database.remove_bulk(keys)

    def keys(self, prefix: bytes, regex: bytes | None, limit: int | None) -> Iterator[bytes]:
        """Yield keys in their order."""
        found = self._database.keys(prefix)
        if regex is not None:
            matches = compile_posix(regex).search
            found = (key for key in found if matches(key))
        return islice(found, limit)

    def rows(self, after: bytes | None = None) -> Iterator[list[Row]]:
        """Yield all records in the order of their keys, or those behind a key."""
        cursor = self._database.cursor()
        cursor.jump(after)
        entries = iter(lambda: cursor.get(step=True), None)
        first = next(entries, None)
        if first is not None and first.key != after:
            entries = chain([first], entries)
        while batch := list(islice(entries, BATCH)):
            yield [Row(entry.key, *entry.record) for entry in batch if entry is not None]

    def count(self) -> int:
        """Return the number of records."""
        return self._database.count()

    def clear(self) -> None:
        """Remove every record."""
        self._database.clear()

    def databases(self) -> list[Databank]:
        """Return what is known of the logical databases."""
        each = [Database(self.environment, index) for index in range(len(self.environment.dbis))]
        path = str(self.environment.directory)
        return [
            Databank(db=one.index, count=status["count"], size=status["size"], path=path)
            for one in each
            for status in [one.status()]
        ]

    def status(self) -> dict[str, Any]:
        """Return what is known of the logical database."""
        return {**self._database.status(), "path": str(self.environment.directory)}

    def report(self) -> dict[str, Any]:
        """Return what all processes together have counted, and how the files are made."""
        settings = self.environment.files.settings
        return {
            "path": str(self.environment.directory),
            "durability": settings.durability,
            "eviction": settings.eviction,
            **self.environment.counters(),
            "bypassed": self.environment.bypassed,
            "databases": len(self.environment.dbis),
        }

    def sample(self) -> Sample:
        """Return what all processes together have counted."""
        counters = self.environment.counters()
        databases = self.databases()
        return Sample(
            {"get": counters["hits"] + counters["misses"], **{kind: counters[kind] for kind in _KINDS}},
            counters["hits"],
            counters["misses"],
            counters["processes"],
            sum(each["count"] for each in databases),
            sum(each["size"] for each in databases),
        )

    def close(self) -> None:
        """Close it in this process; others go on."""
        self.environment.close()


def _directory(place: str, wanted: DatabaseOptions) -> Path:
    if place.startswith("/"):
        return Path(place)
    durable = resolve(place, durable=True, max_size=0)
    if (durable / CONTROL_FILE).exists():
        return durable
    return resolve(place, durable=wanted.durability == "commit", max_size=wanted.max_size)


def _database(environment: Environment, index: int, url: str) -> Database:
    try:
        return Database(environment, index)
    except InvalidInput:
        environment.close()
        raise Misconfigured(
            f"there is no database {index} at {url}: there are {len(environment.dbis)}, numbered from 0"
        ) from None
