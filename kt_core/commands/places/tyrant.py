"""The database of a Tokyo Tyrant server as a place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from struct import Struct
from typing import Any, Final

from kt_core.commands.places.base import BATCH, Databank, Place, Row, Sample
from kt_core.database import NEVER
from kt_core.errors import InvalidInput, NotACounter, NotSupported, ServerError
from kt_core.transport import Address
from kt_core.tyrant.client import TokyoTyrant

_COUNTER: Final = Struct("<i")
_KINDS: Final = ("get", "put", "out", "misc", "script")


class TyrantPlace:
    """Records of a server, which never expire."""

    expires = False

    def __init__(
        self, url: str, address: Address, *, timeout: float = 30.0, connect_timeout: float | None = 5.0
    ) -> None:
        self.url = url
        self._client = TokyoTyrant(
            address.host,
            address.port,
            serializer="none",
            decode_keys=False,
            timeout=timeout,
            connect_timeout=connect_timeout,
            path=address.path,
        )

    def at(self, database: int) -> Place:
        """Return the one database that there is."""
        if database:
            raise NotSupported(f"{self.url} has one database, number 0, and {database} is asked for")
        return self

    def ping(self) -> None:
        """Ask for a number."""
        self._client.count()

    def get(self, key: bytes) -> Row | None:
        """Return a record."""
        value = self._client.get_bytes(key)
        return None if value is None else Row(key, value)

    def get_all(self, keys: Sequence[bytes]) -> list[Row]:
        """Return those of the records that are there."""
        return [Row(*pair) for pair in self._client.get_bulk(keys, decode_values=False).items()]

    def put(self, rows: Sequence[Row]) -> None:
        """Store records; `NotSupported` for one that expires."""
        for row in rows:
            if row.expiry != NEVER:
                raise NotSupported(f"{row.key!r} expires, and records at {self.url} do not")
        if not self._client.set_bulk({row.key: row.value for row in rows}):
            raise ServerError(1, "records were refused: is this a table, or is it full?")

    def increment(self, key: bytes, number: int, start: int, expiry: int | None) -> int:
        """Add to a counter of 32 bits, which begins at 0."""
        if start or expiry is not None:
            raise NotSupported(f"a counter at {self.url} begins at 0 and does not expire")
        return self._client.incr(key, number)

    def number(self, value: bytes) -> int:
        """Return the number of a counter of 32 bits, as a server writes it that has the lowest byte first."""
        if len(value) != _COUNTER.size:
            raise NotACounter(f"{len(value)} bytes are no counter, which has {_COUNTER.size}")
        (number,) = _COUNTER.unpack(value)
        return int(number)

    def remove(self, keys: Sequence[bytes]) -> int:
        """Remove records."""
        return sum(map(self._client.remove, keys))

    def keys(self, prefix: bytes, regex: bytes | None, limit: int | None) -> Iterator[bytes]:
        """Yield keys; the server makes the list of them."""
        if regex is not None:
            found = self._client.match_regex(regex, 0 if prefix or limit is None else limit)
            return islice((key for key in found if key.startswith(prefix)), limit)
        return iter(self._client.match_prefix(prefix, 0 if limit is None else limit))

    def rows(self, after: bytes | None = None) -> Iterator[list[Row]]:
        """Yield all records, or those behind a key; where keys have no order that key has to be there."""
        items = self._client.iter_items(after)
        if after is not None:
            first = next(items, None)
            if first is None or first[0] != after:
                raise InvalidInput(f"{after!r}, where it is to go on, is not there any more: begin anew")
        while batch := [Row(*item) for item in islice(items, BATCH)]:
            yield batch

    def count(self) -> int:
        """Return the number of records."""
        return self._client.count()

    def clear(self) -> None:
        """Remove every record."""
        if not self._client.clear():
            raise ServerError(1, "the database was not cleared")

    def databases(self) -> list[Databank]:
        """Return what the server tells of its one database."""
        status = self._client.status()
        return [Databank(db=0, count=status.count, size=status.size, path=status.path)]

    def status(self) -> dict[str, Any]:
        """Return what the server tells of its database."""
        return {name: figure for name, figure in self._client.status().items() if name in _OF_DATABASE}

    def report(self) -> dict[str, Any]:
        """Return what the server tells of itself."""
        return dict(self._client.status())

    def sample(self) -> Sample:
        """Return the server's figures."""
        status = self._client.status()
        counters = status.counters
        misses = counters.get("get_miss", 0)
        return Sample(
            {kind: counters.get(kind, 0) for kind in _KINDS},
            counters.get("get", 0) - misses,
            misses,
            int(status.get("fd", 0)),
            status.count,
            status.size,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


_OF_DATABASE: Final = ("type", "path", "rnum", "size", "bigend", "sid", "mhost", "mport", "rts", "delay")
