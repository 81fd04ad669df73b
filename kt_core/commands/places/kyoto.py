"""A database of a Kyoto Tycoon server as a place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from kt_core.commands.places.base import BATCH, Databank, Place, Row, Sample
from kt_core.database import NEVER
from kt_core.errors import NotACounter, ServerError
from kt_core.kyoto import operations as ops
from kt_core.kyoto.calls import Calls
from kt_core.kyoto.cursor import Cursor
from kt_core.kyoto.status import Report, Status
from kt_core.number import decode_integer
from kt_core.pool import PoolOptions, pool_for
from kt_core.replication import Changes
from kt_core.server.expiry import to_expiry, to_xt
from kt_core.transport import Address
from kt_core.wire.kt_binary import NEVER_XT
from kt_core.wire.kt_rpc import rpc_op

TIMEOUT: Final = 30.0  # seconds; a server that counts or clears many records takes its time
_KINDS: Final = ("get", "set", "remove", "script", "misc")


class KyotoPlace:
    """Records of one database of a server."""

    expires = True

    def __init__(
        self,
        url: str,
        address: Address,
        *,
        database: int = 0,
        timeout: float = TIMEOUT,
        connect_timeout: float | None = 5.0,
    ) -> None:
        self.url = url
        self._options = PoolOptions(address, timeout=timeout, connect_timeout=connect_timeout)
        self._pool = pool_for(self._options)
        self._calls = Calls("none", False, database)
        self.database = database

    def at(self, database: int) -> Place:
        """Return another database of the server."""
        other = KyotoPlace(self.url, self._options.address, database=database)
        other._options, other._pool = self._options, self._pool
        return other

    def ping(self) -> None:
        """Ask for nothing."""
        self._pool.run(rpc_op("void", {}, lambda reply: None))

    def get(self, key: bytes) -> Row | None:
        """Return a record."""
        return next(iter(self.get_all([key])), None)

    def get_all(self, keys: Sequence[bytes]) -> list[Row]:
        """Return those of the records that are there."""
        found = self._pool.run(ops.get_bulk([(self.database, key) for key in keys]))
        return [Row(key, value, _expiry(xt)) for _, key, value, xt in found]

    def put(self, rows: Sequence[Row]) -> None:
        """Store records."""
        stored = self._pool.run(ops.set_bulk([(self.database, row.key, row.value, _xt(row.expiry)) for row in rows]))
        if stored != len(rows):
            raise ServerError(400, f"{len(rows) - stored} of {len(rows)} records were refused: is there a database?")

    def increment(self, key: bytes, number: int, start: int, expiry: int | None) -> int:
        """Add to a counter; the expiry that it keeps is the one that it had just before."""
        if expiry is None:
            found = self._pool.run(ops.check(self.database, key))
            expiry = NEVER if found is None else _expiry(found[1])
        total = self._pool.run(ops.increment(self.database, key, number, start, _xt(expiry)))
        if total is None:
            raise NotACounter(f"{key!r} holds something else than a counter")
        return total

    def number(self, value: bytes) -> int:
        """Return the number of a counter of 64 bits."""
        return decode_integer(value)

    def remove(self, keys: Sequence[bytes]) -> int:
        """Remove records."""
        return self._pool.run(ops.remove_bulk([(self.database, key) for key in keys]))

    def keys(self, prefix: bytes, regex: bytes | None, limit: int | None) -> Iterator[bytes]:
        """Yield keys; the server makes the list of those with a prefix, and some may have expired."""
        if regex is not None:
            matched = self._pool.run(ops.match_regex(self.database, regex, None if prefix else limit))
            return islice((key for key in matched if key.startswith(prefix)), limit)
        if prefix:
            found = self._pool.run(ops.match_prefix(self.database, prefix, limit))
            return iter(found)
        return islice(self._scan_keys(), limit)

    def _scan_keys(self) -> Iterator[bytes]:
        with self._cursor() as cursor:
            yield from cursor.scan(ops.scan_keys)

    def rows(self, after: bytes | None = None) -> Iterator[list[Row]]:
        """Yield all records, or those behind a key; of a database without order that key has to be there."""
        with self._cursor() as cursor:
            entries = cursor.scan(ops.scan_entries, after)
            if after is not None:
                first = next(entries, None)
                if first is None and self.get(after) is None:
                    raise ServerError(450, f"{after!r}, where it is to go on, is not there any more: begin anew")
                if first is not None and first[0] != after:
                    entries = chain([first], entries)
            while batch := list(islice(entries, BATCH)):
                yield [Row(key, found.value, _expiry(found.xt)) for key, found in batch]

    def _cursor(self) -> Cursor:
        return Cursor(self._pool, self._calls, None)

    def count(self) -> int:
        """Return the number of records."""
        return self._pool.run(self._calls.status(None)).count

    def clear(self) -> None:
        """Remove every record."""
        self._pool.run(self._calls.clear(None))

    def databases(self) -> list[Databank]:
        """Return what the server tells of its databases."""
        return [
            Databank(db=db, count=each.count, size=each.size, path=each.path)
            for db, each in enumerate(self._report().databases)
        ]

    def status(self) -> dict[str, Any]:
        """Return what the server tells of the database."""
        status: Status = self._pool.run(self._calls.status(None))
        return dict(status)

    def report(self) -> dict[str, Any]:
        """Return what the server tells of itself."""
        return dict(self._report())

    def _report(self) -> Report:
        return self._pool.run(self._calls.report())

    def sample(self) -> Sample:
        """Return the server's figures, those of all its databases together."""
        report = self._report()
        counters = report.counters
        return Sample(
            {kind: counters.get(kind, 0) for kind in _KINDS},
            counters.get("get", 0) - counters.get("get_misses", 0),
            counters.get("get_misses", 0),
            report.connections,
            sum(each.count for each in report.databases),
            sum(each.size for each in report.databases),
        )

    def now(self) -> float:
        """Return the server's clock, in seconds since 1970."""
        return self._report().current_time

    def changes(self, since: int, retry: float | None) -> Changes:
        """Return the changes that the server logs after a timestamp; see `Changes`."""
        address = self._options.address
        return Changes(address.host, address.port, path=address.path, since=since, retry=retry, heartbeats=True)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def _expiry(xt: int) -> int:
    return to_expiry(-xt, 0)


def _xt(expiry: int) -> int:
    return NEVER_XT if expiry == NEVER else -max(to_xt(expiry), 1)
