"""The client of a Kyoto Tycoon server that waits for its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kt_core.calls import Key, merged
from kt_core.client import WaitingClient
from kt_core.errors import InvalidInput
from kt_core.kyoto.base import KyotoClient
from kt_core.kyoto.calls import Details, Origin, Record, key_and_db
from kt_core.kyoto.cursor import Cursor
from kt_core.kyoto.expiry import ExpireTime
from kt_core.kyoto.lua import Lua
from kt_core.kyoto.status import Report, Status


class KyotoTycoon(KyotoClient, WaitingClient):
    """A client of a Kyoto Tycoon server, to be shared by the threads of a process.

    `serializer` is one of the names in `kt_core.serializers`, or an object with `dumps` and `loads`. Keys are str
    or bytes; with `decode_keys` those that the server gives are str, unless they are not UTF-8. `timeout` is the
    seconds that one exchange with the server may take, None for any time; `connect_timeout`, the same for connecting.
    `default_db` is the index of the database that is meant where `db` is None. `path` is a unix socket to connect to
    instead of host and port. At most `max_connections` are open at once; clients of one server with the same options
    share them.

    An `expire_time` is seconds from now, rounded up, a timedelta or a datetime, None for never; a negative number is
    the second since 1970: see `kt_core.kyoto.expiry`. A write without one makes the record stay for ever, also
    where it had an expiry before.

    With `no_reply` an operation returns 0 at once, and nobody hears of its failure.

    Errors are those of `kt_core.errors`: `InvalidInput` for an argument that cannot be used, `ConnectionFailed` and
    `Timeout` for a server that is not there, `ServerError` for one that refuses, `ProtocolError` for one that talks
    nonsense.
    """

    # -- records -----------------------------------------------------------------------------------------

    def get(self, key: Key, db: int | None = None) -> Any:
        """Return the value under a key, None if there is none."""
        return self._pool.run(self._calls.get(key, db))

    def get_bytes(self, key: Key, db: int | None = None) -> bytes | None:
        """Return the bytes under a key, whatever serializer wrote them."""
        return self._pool.run(self._calls.get_bytes(key, db))

    def get_int(self, key: Key, db: int | None = None) -> int | None:
        """Return the number that `incr` has left under a key; `NotACounter` if the record is none."""
        return self._pool.run(self._calls.get_int(key, db))

    def get_double(self, key: Key, db: int | None = None) -> float | None:
        """Return the number that `incr_double` has left under a key; `NotACounter` if the record is none."""
        return self._pool.run(self._calls.get_double(key, db))

    def get_record(self, key: Key, db: int | None = None) -> Record | None:
        """Return value and expiry together."""
        return self._pool.run(self._calls.get_record(key, db))

    def get_bulk(self, keys: Iterable[Key], db: int | None = None) -> dict[Any, Any]:
        """Return those of the records that are there, in one round trip."""
        return self._pool.run(self._calls.get_bulk(keys, db))

    def get_bulk_details(self, db_key_list: Iterable[tuple[int, Key]]) -> list[Details]:
        """Return records of several databases with their expiry."""
        return self._pool.run(self._calls.get_bulk_details(db_key_list))

    def set(
        self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None, *, no_reply: bool = False
    ) -> int:
        """Store a value; return the number of records stored, 0 where the server has no such database."""
        return self._pool.run(self._calls.set(key, value, db, expire_time, no_reply))

    def set_bytes(
        self, key: Key, value: bytes, db: int | None = None, expire_time: ExpireTime = None, *, no_reply: bool = False
    ) -> int:
        """Store bytes past the serializer, as `set` stores a value."""
        return self._pool.run(self._calls.set_bytes(key, value, db, expire_time, no_reply))

    def set_bulk(
        self,
        __data: Mapping[Key, Any] | None = None,
        db: int | None = None,
        expire_time: ExpireTime = None,
        *,
        no_reply: bool = False,
        **kwargs: Any,
    ) -> int:
        """Store what a mapping and the keyword arguments say, in one round trip; return the number of records."""
        return self._pool.run(self._calls.set_bulk(merged(__data, kwargs), db, expire_time, no_reply))

    def set_bulk_details(self, data: Iterable[tuple[int, Key, Any, ExpireTime]], *, no_reply: bool = False) -> int:
        """Store records (db, key, value, expire_time); to keep what `get_bulk_details` said, negate the last."""
        return self._pool.run(self._calls.set_bulk_details(data, no_reply))

    update = set_bulk

    def remove(self, key: Key, db: int | None = None, *, no_reply: bool = False) -> int:
        """Remove a record; return how many there were, 0 or 1."""
        return self._pool.run(self._calls.remove(key, db, no_reply))

    def remove_bulk(self, keys: Iterable[Key], db: int | None = None, *, no_reply: bool = False) -> int:
        """Remove records in one round trip; return how many there were."""
        return self._pool.run(self._calls.remove_bulk(keys, db, no_reply))

    def remove_bulk_details(self, db_key_list: Iterable[tuple[int, Key]], *, no_reply: bool = False) -> int:
        """Remove records of several databases in one round trip; return how many there were."""
        return self._pool.run(self._calls.remove_bulk_details(db_key_list, no_reply))

    def add(self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None) -> bool:
        """Store a value where there is none; tell whether it was stored."""
        return self._pool.run(self._calls.add(key, value, db, expire_time))

    def replace(self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None) -> bool:
        """Store a value where there is one; tell whether it was stored."""
        return self._pool.run(self._calls.replace(key, value, db, expire_time))

    def append(self, key: Key, value: Any, db: int | None = None, expire_time: ExpireTime = None) -> bool:
        """Store the bytes of a value behind those that are there, if any; tell whether they were stored."""
        return self._pool.run(self._calls.append(key, value, db, expire_time))

    def seize(self, key: Key, db: int | None = None) -> Any:
        """Remove a record and return its value, None if there is none, at one blow."""
        return self._pool.run(self._calls.seize(key, db))

    pop = seize

    def cas(self, key: Key, old_val: Any, new_val: Any, db: int | None = None, expire_time: ExpireTime = None) -> bool:
        """Put a value in the place of another, None standing for no record; tell whether the old one was there."""
        return self._pool.run(self._calls.cas(key, old_val, new_val, db, expire_time))

    def touch(self, key: Key, expire_time: ExpireTime = None, db: int | None = None) -> bool:
        """Change when a record expires and nothing else; tell whether there is one."""
        return self._pool.drive(self._calls.touch(key, expire_time, db))

    def incr(
        self, key: Key, n: int = 1, orig: Origin = None, db: int | None = None, expire_time: ExpireTime = None
    ) -> int | None:
        """Add to a counter of 64 bits and return the sum.

        A counter that is not there begins at `orig`; with ``"try"`` it stays absent and the result is None; with
        ``"set"`` any counter begins anew. `NotACounter` if the record is something else. Only `get_int` reads
        counters; ``incr(key, 0)`` would create one.
        """
        return self._pool.run(self._calls.incr(key, n, orig, db, expire_time))

    def incr_double(
        self, key: Key, n: float = 1.0, orig: Origin = None, db: int | None = None, expire_time: ExpireTime = None
    ) -> float | None:
        """Add to a counter with a fraction and return the sum, to six decimals; see `incr` and `get_double`."""
        return self._pool.run(self._calls.incr_double(key, n, orig, db, expire_time))

    increment, increment_double = incr, incr_double

    def exists(self, key: Key, db: int | None = None) -> bool:
        """Tell whether there is a record under a key."""
        return self._pool.run(self._calls.exists(key, db))

    def length(self, key: Key, db: int | None = None) -> int | None:
        """Return the bytes that a value takes, None if there is none."""
        return self._pool.run(self._calls.length(key, db))

    def expire_time(self, key: Key, db: int | None = None) -> int | None:
        """Return the second since 1970 in which a record expires; None if it never does, or is not there."""
        return self._pool.run(self._calls.expire_time(key, db))

    # -- databases ---------------------------------------------------------------------------------------

    def match_prefix(self, prefix: Key, max_keys: int | None = None, db: int | None = None) -> list[Any]:
        """Return keys that begin with a prefix; some may have expired and not be collected yet."""
        return self._pool.run(self._calls.match_prefix(prefix, max_keys, db))

    def match_regex(self, regex: Key, max_keys: int | None = None, db: int | None = None) -> list[Any]:
        """Return keys in which a POSIX extended regular expression is found; else as `match_prefix`."""
        return self._pool.run(self._calls.match_regex(regex, max_keys, db))

    def match_similar(
        self, origin: Key, distance: int | None = None, max_keys: int | None = None, db: int | None = None
    ) -> list[Any]:
        """Return keys within an edit distance, 1 unless given, the closest first; else as `match_prefix`.

        The distance counts characters, or with ``decode_keys=False`` bytes.
        """
        return self._pool.run(self._calls.match_similar(origin, distance, max_keys, db))

    def keys(self, db: int | None = None) -> list[Any]:
        """Return all keys of a database."""
        return list(self.iter_keys(db))

    def keys_nonlazy(self, db: int | None = None) -> list[Any]:
        """Return all keys in one round trip; some may have expired and not be collected yet."""
        return self.match_prefix(b"", db=db)

    def iter_keys(self, db: int | None = None) -> Iterator[Any]:
        """Yield all keys, some hundreds in a round trip, holding a connection until the end or its closing."""
        with self.cursor(db) as cursor:
            yield from cursor.scan(self._calls.next_keys)

    def iter_values(self, db: int | None = None) -> Iterator[Any]:
        """Yield all values, as `iter_keys` does."""
        with self.cursor(db) as cursor:
            yield from cursor.scan(self._calls.next_values)

    def iter_items(self, db: int | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield all keys with their values, as `iter_keys` does."""
        with self.cursor(db) as cursor:
            yield from cursor.scan(self._calls.next_items)

    values, items = iter_values, iter_items

    def cursor(self, db: int | None = None) -> Cursor:
        """Return a cursor, which holds a connection from its first use until it is closed."""
        return Cursor(self._pool, self._calls, db)

    def count(self, db: int | None = None) -> int:
        """Return the number of records, with those that have expired and are not collected yet."""
        return self.status(db).count

    @property
    def size(self) -> int:
        """The size of the default database in bytes."""
        return self.status().size

    @property
    def path(self) -> str:
        """The path of the default database."""
        return self.status().path

    def status(self, db: int | None = None) -> Status:
        """Return what the server says about a database: a dict, its usual figures also as attributes."""
        return self._pool.run(self._calls.status(db))

    def report(self) -> Report:
        """Return what the server says about itself: a dict, its usual figures also as attributes."""
        return self._pool.run(self._calls.report())

    def clear(self, db: int | None = None) -> bool:
        """Remove all records of a database."""
        return self._pool.run(self._calls.clear(db))

    def synchronize(self, hard: bool = False, command: str | None = None, db: int | None = None) -> bool:
        """Write a database to its file, `hard` to the disk itself; then have a command of the server's run on it."""
        return self._pool.run(self._calls.synchronize(hard, command, db))

    def vacuum(self, step: int = 0, db: int | None = None) -> bool:
        """Remove expired records: all of them, or as many steps' worth."""
        return self._pool.run(self._calls.vacuum(step, db))

    def script(
        self,
        name: str,
        __data: Mapping[Key, Any] | None = None,
        encode_values: bool = True,
        *,
        no_reply: bool = False,
        **kwargs: Any,
    ) -> dict[Any, Any]:
        """Call a Lua procedure of the server's with what a mapping and the keyword arguments say.

        Without `encode_values` the arguments are str, numbers or bytes, and the results bytes.
        """
        return self._pool.run(self._calls.script(name, merged(__data, kwargs), encode_values, no_reply))

    @property
    def lua(self) -> Lua:
        """The procedures of the server's script as methods: ``client.lua.NAME(...)`` is ``client.script("NAME", ...)``.

        A name that is no identifier, or begins with two underscores, only `script` takes.
        """
        return Lua(self.script)

    # -- the client as a mapping -------------------------------------------------------------------------

    def __getitem__(self, key_or_keydb: Key | tuple[Key, int | None]) -> Any:
        return self.get(*key_and_db(key_or_keydb))

    def __setitem__(self, key_or_keydb: Key | tuple[Key, int | None], value_or_valueexpire: Any) -> None:
        key, db = key_and_db(key_or_keydb)
        value, expire_time = value_or_valueexpire, None
        if isinstance(value, tuple):
            if len(value) != 2:
                raise InvalidInput("a tuple to store here is (value, expire_time): write set() to store another one")
            value, expire_time = value
        self.set(key, value, db, expire_time)

    def __delitem__(self, key_or_keydb: Key | tuple[Key, int | None]) -> None:
        self.remove(*key_and_db(key_or_keydb))

    def __contains__(self, key_or_keydb: Key | tuple[Key, int | None]) -> bool:
        return self.exists(*key_and_db(key_or_keydb))

    def __len__(self) -> int:
        return self.count()

    def __iter__(self) -> Iterator[Any]:
        return self.iter_keys()
