"""The client of a Tokyo Tyrant server that waits for its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from kt_core.calls import Key, merged
from kt_core.client import WaitingClient
from kt_core.tyrant import operations as ops
from kt_core.tyrant.base import TyrantClient
from kt_core.tyrant.script import Form, Lua
from kt_core.tyrant.search import Expression, Search
from kt_core.tyrant.status import Status

T = TypeVar("T")


class TokyoTyrant(TyrantClient, WaitingClient):
    """A client of a Tokyo Tyrant server, to be shared by the threads of a process.

    `serializer` is one of the names in `kt_core.serializers`, ``"table"`` for the rows of a table database as dicts, or
    an object with `dumps` and `loads`. Keys are str or bytes; with `decode_keys` those that the server gives are str,
    unless they are not UTF-8. `timeout` is the seconds that one exchange with the server may take, None for any time;
    `connect_timeout`, the same for connecting. `path` is a unix socket to connect to instead of host and port. At most
    `max_connections` are open at once; clients of one server with the same options share them.

    Records do not expire. The protocol says that an operation failed, never why: what a database may refuse returns
    False or None, as each method tells.

    With `no_reply` an operation returns None at once, and nobody hears of its failure.

    Errors are those of `kt_core.errors`: `InvalidInput` for an argument that cannot be used, `ConnectionFailed` and
    `Timeout` for a server that is not there, `ServerError` for one that refuses, `ProtocolError` for one that talks
    nonsense.
    """

    # -- records -----------------------------------------------------------------------------------------

    def get(self, key: Key) -> Any:
        """Return the value under a key, None if there is none."""
        return self._pool.run(self._calls.get(key))

    def get_bytes(self, key: Key) -> bytes | None:
        """Return the bytes under a key, whatever serializer wrote them."""
        return self._pool.run(self._calls.get_bytes(key))

    def get_int(self, key: Key) -> int | None:
        """Return the number that `incr` has left under a key of another than a table database; `NotACounter` if none.

        It is read as a server writes it whose processor has the lowest byte first; ``incr(key, 0)`` reads any.
        """
        return self._pool.run(self._calls.get_int(key))

    def get_double(self, key: Key) -> float | None:
        """Return the number that `incr_double` has left under a key, as `get_int` does."""
        return self._pool.run(self._calls.get_double(key))

    def get_bulk(self, keys: Iterable[Key], *, decode_values: bool = True) -> dict[Any, Any]:
        """Return those of the records that are there, in one round trip; without `decode_values` as bytes."""
        return self._pool.run(self._calls.get_bulk(keys, decode_values))

    def get_part(self, key: Key, start: int | None = None, end: int | None = None) -> Any:
        """Return part of a value: from the byte `start` on, `end` bytes of it, or all behind; None if there is none."""
        return self._pool.run(self._calls.get_part(key, start, end))

    def set(self, key: Key, value: Any, *, no_reply: bool = False) -> bool | None:
        """Store a value; tell whether it was stored."""
        return self._pool.run(self._calls.set(key, value, no_reply))

    def set_bytes(self, key: Key, value: bytes, *, no_reply: bool = False) -> bool | None:
        """Store bytes past the serializer, as `set` stores a value."""
        return self._pool.run(self._calls.set_bytes(key, value, no_reply))

    def set_bulk(
        self, __data: Mapping[Key, Any] | None = None, *, no_reply: bool = False, **kwargs: Any
    ) -> bool | None:
        """Store what a mapping and the keyword arguments say, in as few round trips as can be; tell whether it was."""
        return self._pool.drive(self._calls.set_bulk(merged(__data, kwargs), no_reply))

    update = set_bulk

    def setdup(self, key: Key, value: Any) -> bool:
        """Store a value behind the others of a key, in a B+ tree; tell whether it was stored."""
        return self._pool.run(self._calls.set_duplicate(key, value, last=True))

    def setdupback(self, key: Key, value: Any) -> bool:
        """Store a value before the others of a key, in a B+ tree; tell whether it was stored."""
        return self._pool.run(self._calls.set_duplicate(key, value, last=False))

    def remove(self, key: Key) -> int:
        """Remove a record; return how many there were, 0 or 1."""
        return self._pool.run(self._calls.remove(key))

    def remove_bulk(self, keys: Iterable[Key]) -> bool:
        """Remove records in one round trip, of a B+ tree all of a key; return True, also where there were none."""
        return self._pool.run(self._calls.remove_bulk(keys))

    def add(self, key: Key, value: Any) -> bool:
        """Store a value where there is none; tell whether it was stored."""
        return self._pool.run(self._calls.add(key, value))

    def append(self, key: Key, value: Any) -> bool:
        """Store the bytes of a value behind those that are there, if any; tell whether they were stored.

        To a row of a table it adds the columns that are missing.
        """
        return self._pool.run(self._calls.append(key, value))

    def addshl(self, key: Key, value: Any, width: int) -> bool:
        """Append, and keep the last `width` bytes; a value where there was none is stored whole."""
        return self._pool.run(self._calls.addshl(key, value, width))

    def seize(self, key: Key) -> Any:
        """Remove a record and return its value, None if there is none; of several who try, one gets it.

        The server is asked twice in one round trip: what somebody stores between is removed unseen.
        """
        return self._pool.run(self._calls.seize(key))

    pop = seize

    def incr(self, key: Key, n: int = 1) -> int:
        """Add to a counter of 32 bits, which wraps, and return the sum; `NotACounter` if the record is something else.

        A counter that is not there begins at 0. Only `get_int` reads counters; ``incr(key, 0)`` would create one.
        """
        return self._pool.drive(self._calls.incr(key, n))

    def incr_double(self, key: Key, n: float = 1.0) -> float:
        """Add to a counter with a fraction and return the sum, to twelve decimals; see `incr` and `get_double`."""
        return self._pool.run(self._calls.incr_double(key, n))

    def exists(self, key: Key) -> bool:
        """Tell whether there is a record under a key."""
        return self._pool.run(self._calls.exists(key))

    def length(self, key: Key) -> int | None:
        """Return the bytes that a value takes, None if there is none."""
        return self._pool.run(self._calls.length(key))

    # -- many records ------------------------------------------------------------------------------------

    def get_range(self, start: Key | None, stop: Key | None = None, max_keys: int | None = 0) -> dict[Any, Any]:
        """Return records whose keys are not before `start` and are before `stop`, in order; 0 stands for all of them.

        Trees and fixed-length databases have this order; `ServerError` for others. `get_rangelist` also gives the
        duplicates of a B+ tree.
        """
        return self._pool.drive(self._calls.get_range(start, stop, max_keys))

    def get_rangelist(
        self, start: Key | None, stop: Key | None = None, max_keys: int | None = 0
    ) -> list[tuple[Any, Any]]:
        """Return keys and values, as `get_range` does."""
        return self._pool.drive(self._calls.get_rangelist(start, stop, max_keys))

    def match_prefix(self, prefix: Key, max_keys: int | None = 1024) -> list[Any]:
        """Return keys that begin with a prefix, None or 0 for all of them.

        With a fixed-length database `prefix` is an interval like ``[2,33]``.
        """
        return self._pool.run(self._calls.match_prefix(prefix, max_keys))

    def match_regex(self, regex: Key, max_keys: int | None = 1024) -> dict[Any, Any]:
        """Return records in whose keys a POSIX extended regular expression is found, None or 0 for all of them.

        `ServerError` if it is none.
        """
        return self._pool.run(self._calls.match_regex(regex, max_keys))

    def match_regexlist(self, regex: Key, max_keys: int | None = 1024) -> list[tuple[Any, Any]]:
        """Return keys and values, as `match_regex` does."""
        return self._pool.run(self._calls.match_regexlist(regex, max_keys))

    def keys(self) -> list[Any]:
        """Return all keys, in one round trip."""
        return self._pool.drive(self._calls.keys())

    keys_fast = keys

    def items(self, start_key: Key | None = None) -> list[tuple[Any, Any]]:
        """Return all keys with their values, or those from a key on; see `iter_items`."""
        return list(self.iter_items(start_key))

    items_fast = items

    def iter_from(self, start_key: Key) -> list[tuple[Any, Any]]:
        """Return keys and values from a key on; see `iter_items`."""
        return self.items(start_key)

    def iter_keys(self) -> Iterator[Any]:
        """Yield all keys, which are fetched in one round trip."""
        yield from self.keys()

    def iter_items(self, start_key: Key | None = None) -> Iterator[tuple[Any, Any]]:
        """Yield all keys with their values, or those from a key on, some hundreds in a round trip.

        Where keys have no order that key has to be there, or nothing comes. The iterator of the server, which all its
        clients share, is left alone.
        """
        scan = self._pool.drive(self._calls.scan(start_key))
        while records := self._pool.drive(scan.next()):
            yield from self._calls.items(records)

    # -- the database and its server ---------------------------------------------------------------------

    def count(self) -> int:
        """Return the number of records."""
        return self._pool.run(ops.rnum())

    @property
    def size(self) -> int:
        """The size of the database in bytes."""
        return self._pool.run(ops.size())

    @property
    def error(self) -> tuple[int, str] | None:
        """Code and text of the last error of the server's thread that answers; None for databases in memory.

        Every thread has its own, and keeps it: with more than one thread it may be anybody's.
        """
        return self._pool.run(self._calls.error())

    def status(self) -> Status:
        """Return what the server says about itself: a dict, its usual figures also as attributes."""
        return self._pool.run(self._calls.status())

    def clear(self) -> bool:
        """Remove all records; tell whether they were removed."""
        return self._pool.run(ops.vanish())

    def synchronize(self) -> bool:
        """Write the database to its file; of one in memory, remove what is over its limits."""
        return self._pool.run(ops.sync())

    sync = synchronize

    def optimize(self, options: str = "") -> bool:
        """Tune the database by what may stand behind its name, like ``bnum=1000000#apow=10``.

        A database in memory has the limits then that are named here, or none.
        """
        return self._pool.run(self._calls.optimize(options))

    def clear_cache(self) -> bool:
        """Have the server drop what it has cached of a file; tell whether it did."""
        return self._pool.run(self._calls.clear_cache())

    def defragment(self, nsteps: int | None = None) -> bool:
        """Have the server move records together, all or as many steps' worth; tell whether it did."""
        return self._pool.run(self._calls.defragment(nsteps))

    def copy(self, path: str) -> bool:
        """Copy the database to a path on the server's machine, or with ``@`` before it run a command there."""
        return self._pool.run(self._calls.copy(path))

    def restore(self, path: str, timestamp: int | datetime, options: int = 0) -> bool:
        """Replay the update log in a directory on the server's machine from a time on: microseconds, or a datetime.

        With ``options=1`` it stops where the log contradicts the database.
        """
        return self._pool.run(self._calls.restore(path, timestamp, options))

    def set_master(self, host: str | None, port: int = 1978, timestamp: int | datetime = 0, options: int = 0) -> bool:
        """Have the server replicate another from a time on, 0 for where it was; None as `host` ends it.

        With ``options=1`` it stops where what it is told contradicts the database.
        """
        return self._pool.run(self._calls.set_master(host, port, timestamp, options))

    def misc(
        self,
        cmd: str,
        keys: Iterable[Any] | None = None,
        data: Mapping[Any, Any] | None = None,
        *,
        update_log: bool = True,
        decode_values: bool = False,
    ) -> list[Any] | None:
        """Call a function of the database with arguments, or keys and values, that are str, bytes or numbers.

        Return a list of bytes, or with `decode_values` of what the serializer makes of them; None if the function
        failed, or there is none of that name. With `update_log` the call is written to the server's update log, and
        so reaches its slaves.
        """
        return self._pool.run(self._calls.misc(cmd, keys, data, update_log, decode_values))

    def script(
        self,
        name: str,
        key: Key | None = None,
        value: Any = None,
        lock_records: bool = False,
        lock_all: bool = False,
        encode_value: bool = True,
        decode_value: bool = False,
        as_list: bool = False,
        as_dict: bool = False,
        as_int: bool = False,
    ) -> Any:
        """Call a function of the server's script; `ServerError` if it fails, gives nothing, or is not there.

        The result is bytes, or with `decode_value` what the serializer makes of them; True for the text ``true``; with
        `as_list` its lines, with `as_dict` its lines of keys and values with a tab between, with `as_int` an integer,
        None for no text. `lock_records` locks the key, `lock_all` all keys, against other calls that lock.
        """
        form = Form(lock_records, lock_all, encode_value, decode_value, as_list, as_dict, as_int)
        return self._pool.run(self._calls.script(name, key, value, form))

    @property
    def lua(self) -> Lua:
        """The functions of the server's script as methods, with what `script` takes behind the name."""
        return Lua(self.script)

    # -- tables ------------------------------------------------------------------------------------------

    def set_index(self, name: str, index_type: int, check_exists: bool = False) -> bool:
        """Make an index of a column, "" for the key, of one of the INDEX_ types; tell whether there is one now.

        With `check_exists`, one that is there already is left alone, and False returned.
        """
        return self._pool.run(self._calls.set_index(name, index_type, check_exists))

    def optimize_index(self, name: str) -> bool:
        """Make an index anew; tell whether there was one."""
        return self._pool.run(self._calls.optimize_index(name))

    def delete_index(self, name: str) -> bool:
        """Remove an index; tell whether there was one."""
        return self._pool.run(self._calls.delete_index(name))

    def search(self, expressions: Iterable[Expression], cmd: str | None = None) -> Any:
        """Return the keys of the rows that meet all expressions; `QueryBuilder` builds them.

        With ``cmd="get"`` keys and rows as bytes, with ``"count"`` how many rows, and with ``"out"`` True when they are
        removed.
        """
        return self._pool.run(self._calls.search(expressions, cmd))

    def find(self, search: Search[T]) -> T:
        """Return what a search of a `QueryBuilder` finds."""
        return self._pool.run(self._calls.find(search))

    def genuid(self) -> int:
        """Return a number that the table has not given before."""
        return self._pool.run(self._calls.genuid())

    # -- the client as a mapping -------------------------------------------------------------------------

    def __getitem__(self, key: Key | slice) -> Any:
        if isinstance(key, slice):
            return self._pool.drive(self._calls.slice(key))
        return self.get(key)

    def __setitem__(self, key: Key, value: Any) -> None:
        self._pool.run(self._calls.store(key, value))

    def __delitem__(self, key: Key) -> None:
        self.remove(key)

    def __contains__(self, key: Key) -> bool:
        return self.exists(key)

    def __len__(self) -> int:
        return self.count()

    def __iter__(self) -> Iterator[Any]:
        return self.iter_keys()
