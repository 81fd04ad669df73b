"""The clients' operations: Python's keys, values and times on one side, exchanges of bytes on the other.

Each operation is written once and run by `KyotoTycoon` and awaited by `AsyncKyotoTycoon`, whose docstrings say what
it means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

from kt_core.calls import BaseCalls, Key, encode_key, encode_keys
from kt_core.errors import InvalidInput, NotACounter
from kt_core.kyoto import operations as ops
from kt_core.kyoto.expiry import ExpireTime, from_xt, to_xt
from kt_core.kyoto.status import Report, Status
from kt_core.number import decode_double, decode_integer
from kt_core.serializers import Serializer, choose_serializer, dump_bytes, dump_plain
from kt_core.text import decode_text, encode_text
from kt_core.wire.exchange import Flow, Op
from kt_core.wire.kt_items import Key as BytesKey

S = TypeVar("S")
T = TypeVar("T")

Origin: TypeAlias = float | Literal["try", "set"] | None

_INT64: Final = range(-(1 << 63), 1 << 63)
_LAST_INDEX: Final = (1 << 16) - 1


class Record(NamedTuple):
    """A value, and the second since 1970 in which it expires, None for never."""

    value: Any
    expire_time: int | None


class Details(NamedTuple):
    """A record with its database and key."""

    db: int
    key: Any
    value: Any
    expire_time: int | None


class Calls(BaseCalls):
    """The operations of one client; `default_db` is the database meant where none is named."""

    def __init__(self, serializer: str | Serializer, decode_keys: bool, default_db: int) -> None:
        super().__init__(choose_serializer(serializer), decode_keys)
        self.set_database(default_db)
        self._utf = decode_keys
        self._texts = self._name is self._loads is decode_text

    def set_database(self, db: int) -> None:
        self.default_db = _index(db)

    def index(self, db: int | None) -> int:
        """Return the database meant."""
        return self.default_db if db is None else _index(db)

    # -- many records, or one ----------------------------------------------------------------------------

    def get(self, key: Key, db: int | None) -> Op[Any]:
        return ops.get(self.index(db), encode_key(key), self._found)

    def get_bytes(self, key: Key, db: int | None) -> Op[bytes | None]:
        return _if_found(ops.get(self.index(db), encode_key(key)), lambda found: found.value)

    def get_int(self, key: Key, db: int | None) -> Op[int | None]:
        return _if_found(ops.get(self.index(db), encode_key(key)), lambda found: decode_integer(found.value))

    def get_double(self, key: Key, db: int | None) -> Op[float | None]:
        return _if_found(ops.get(self.index(db), encode_key(key)), lambda found: decode_double(found.value))

    def get_record(self, key: Key, db: int | None) -> Op[Record | None]:
        op = ops.get(self.index(db), encode_key(key))
        return _if_found(op, lambda found: Record(self._loads(found.value), from_xt(found.xt)))

    def expire_time(self, key: Key, db: int | None) -> Op[int | None]:
        return _if_found(ops.check(self.index(db), encode_key(key)), lambda size_and_xt: from_xt(size_and_xt[1]))

    def length(self, key: Key, db: int | None) -> Op[int | None]:
        return _if_found(ops.check(self.index(db), encode_key(key)), lambda size_and_xt: size_and_xt[0])

    def exists(self, key: Key, db: int | None) -> Op[bool]:
        return ops.check(self.index(db), encode_key(key)).then(lambda size_and_xt: size_and_xt is not None)

    def get_bulk(self, keys: Iterable[Key], db: int | None) -> Op[dict[Any, Any]]:
        index, names = self.index(db), encode_keys(keys)
        return ops.fetch_texts(index, names) if self._texts else ops.fetch(index, names, self._records)

    def get_bulk_details(self, keys: Iterable[tuple[int, Key]]) -> Op[list[Details]]:
        return ops.get_bulk(_keys_and_databases(keys)).then(
            lambda records: [
                Details(db, self._name(key), self._loads(value), from_xt(xt)) for db, key, value, xt in records
            ]
        )

    def set(self, key: Key, value: Any, db: int | None, expire_time: ExpireTime, no_reply: bool) -> Op[int]:
        return ops.put(self.index(db), encode_key(key), self._dumps(value), to_xt(expire_time), no_reply=no_reply)

    def set_bytes(self, key: Key, value: bytes, db: int | None, expire_time: ExpireTime, no_reply: bool) -> Op[int]:
        return ops.put(self.index(db), encode_key(key), dump_bytes(value), to_xt(expire_time), no_reply=no_reply)

    def set_bulk(self, data: Mapping[Key, Any], db: int | None, expire_time: ExpireTime, no_reply: bool) -> Op[int]:
        db, xt, dumps = self.index(db), to_xt(expire_time), self._dumps
        return ops.set_bulk([(db, encode_key(key), dumps(value), xt) for key, value in data.items()], no_reply=no_reply)

    def set_bulk_details(self, records: Iterable[tuple[int, Key, Any, ExpireTime]], no_reply: bool) -> Op[int]:
        return ops.set_bulk(
            [
                (_index(db), encode_key(key), self._dumps(value), to_xt(expire_time))
                for db, key, value, expire_time in records
            ],
            no_reply=no_reply,
        )

    def remove(self, key: Key, db: int | None, no_reply: bool) -> Op[int]:
        return ops.remove_bulk(((self.index(db), encode_key(key)),), no_reply=no_reply)

    def remove_bulk(self, keys: Iterable[Key], db: int | None, no_reply: bool) -> Op[int]:
        index = self.index(db)
        return ops.remove_bulk([(index, key) for key in encode_keys(keys)], no_reply=no_reply)

    def remove_bulk_details(self, keys: Iterable[tuple[int, Key]], no_reply: bool) -> Op[int]:
        return ops.remove_bulk(_keys_and_databases(keys), no_reply=no_reply)

    # -- one record, if it is as expected ----------------------------------------------------------------

    def add(self, key: Key, value: Any, db: int | None, expire_time: ExpireTime) -> Op[bool]:
        return ops.add(self.index(db), encode_key(key), self._dumps(value), to_xt(expire_time))

    def replace(self, key: Key, value: Any, db: int | None, expire_time: ExpireTime) -> Op[bool]:
        return ops.replace(self.index(db), encode_key(key), self._dumps(value), to_xt(expire_time))

    def append(self, key: Key, value: Any, db: int | None, expire_time: ExpireTime) -> Op[bool]:
        return ops.append(self.index(db), encode_key(key), self._dumps(value), to_xt(expire_time))

    def seize(self, key: Key, db: int | None) -> Op[Any]:
        return _if_found(ops.seize(self.index(db), encode_key(key)), self._value)

    def cas(self, key: Key, old: Any, new: Any, db: int | None, expire_time: ExpireTime) -> Op[bool]:
        if old is None and new is None:
            raise InvalidInput("cas() from no record to none: write exists() to ask whether there is one")
        before, after = (None if value is None else self._dumps(value) for value in (old, new))
        return ops.cas(self.index(db), encode_key(key), before, after, to_xt(expire_time))

    def touch(self, key: Key, expire_time: ExpireTime, db: int | None) -> Flow[bool]:
        index, name, xt = self.index(db), encode_key(key), to_xt(expire_time)
        while (found := (yield ops.get(index, name))) is not None:
            if (yield ops.cas(index, name, found.value, found.value, xt)):
                return True
        return False

    def incr(self, key: Key, n: int, orig: Origin, db: int | None, expire_time: ExpireTime) -> Op[int | None]:
        for number in _numbers(n, orig):
            if not isinstance(number, int) or number not in _INT64:
                raise InvalidInput(f"{number!r} is not an integer of 64 bits; incr_double() adds others")
        op = ops.increment(self.index(db), encode_key(key), n, orig, to_xt(expire_time))
        return op.then(lambda result: _counted(result, key, orig))

    def incr_double(
        self, key: Key, n: float, orig: Origin, db: int | None, expire_time: ExpireTime
    ) -> Op[float | None]:
        for number in _numbers(n, orig):
            if not isinstance(number, int | float) or math.isnan(number):
                raise InvalidInput(f"{number!r} is not a number")
        op = ops.increment_double(self.index(db), encode_key(key), n, orig, to_xt(expire_time))
        return op.then(lambda result: _counted(result, key, orig))

    # -- whole databases ---------------------------------------------------------------------------------

    def match_prefix(self, prefix: Key, max_keys: int | None, db: int | None) -> Op[list[Any]]:
        return ops.match_prefix(self.index(db), encode_key(prefix), max_keys).then(self._names)

    def match_regex(self, regex: Key, max_keys: int | None, db: int | None) -> Op[list[Any]]:
        return ops.match_regex(self.index(db), encode_key(regex), max_keys).then(self._names)

    def match_similar(self, origin: Key, distance: int | None, max_keys: int | None, db: int | None) -> Op[list[Any]]:
        op = ops.match_similar(self.index(db), encode_key(origin), distance, utf=self._utf, limit=max_keys)
        return op.then(self._names)

    def clear(self, db: int | None) -> Op[bool]:
        return ops.clear(self.index(db))

    def vacuum(self, step: int, db: int | None) -> Op[bool]:
        return ops.vacuum(self.index(db), step)

    def synchronize(self, hard: bool, command: str | None, db: int | None) -> Op[bool]:
        return ops.synchronize(self.index(db), hard=hard, command=None if command is None else encode_text(command))

    def status(self, db: int | None) -> Op[Status]:
        return ops.status(self.index(db)).then(Status)

    def report(self) -> Op[Report]:
        return ops.report().then(Report)

    def script(self, name: str, data: Mapping[Key, Any], encode_values: bool, no_reply: bool) -> Op[dict[Any, Any]]:
        dumps, loads = (self._dumps, self._loads) if encode_values else (dump_plain, bytes)
        pairs = [(encode_key(key), dumps(value)) for key, value in data.items()]
        return ops.play_script(encode_key(name), pairs, no_reply=no_reply).then(
            lambda results: {self._name(key): loads(value) for key, value in results}
        )

    # -- cursors -----------------------------------------------------------------------------------------

    def jump(self, cursor: int, key: Key | None, db: int | None) -> Op[bool]:
        return ops.cursor_jump(cursor, self.index(db), None if key is None else encode_key(key))

    def jump_back(self, cursor: int, key: Key | None, db: int | None) -> Op[bool]:
        return ops.cursor_jump_back(cursor, self.index(db), None if key is None else encode_key(key))

    def current(self, cursor: int, step: bool) -> Op[tuple[Any, Any] | None]:
        return _if_found(ops.cursor_get(cursor, step=step), self._item)

    def current_key(self, cursor: int, step: bool) -> Op[Any]:
        return _if_found(ops.cursor_get_key(cursor, step=step), self._name)

    def current_value(self, cursor: int, step: bool) -> Op[Any]:
        return _if_found(ops.cursor_get(cursor, step=step), lambda entry: self._value(entry[1]))

    def set_current(self, cursor: int, value: Any, step: bool, expire_time: ExpireTime) -> Op[bool]:
        return ops.cursor_set_value(cursor, self._dumps(value), to_xt(expire_time), step=step)

    def seize_current(self, cursor: int) -> Op[tuple[Any, Any] | None]:
        return _if_found(ops.cursor_seize(cursor), self._item)

    def next_keys(self, cursor: int, count: int) -> Op[list[Any]]:
        return ops.scan_keys(cursor, count).then(self._names)

    def next_items(self, cursor: int, count: int) -> Op[list[tuple[Any, Any]]]:
        return ops.scan_entries(cursor, count).then(lambda entries: [self._item(entry) for entry in entries])

    def next_values(self, cursor: int, count: int) -> Op[list[Any]]:
        return ops.scan_entries(cursor, count).then(lambda entries: [self._value(found) for _, found in entries])

    # -- arguments and results ---------------------------------------------------------------------------

    def _records(self, found: dict[bytes, bytes]) -> dict[Any, Any]:
        name, loads = self._name, self._loads
        return {name(key): loads(value) for key, value in found.items()}

    def _found(self, found: ops.Found | None) -> Any:
        return None if found is None else self._loads(found.value)

    def _value(self, found: ops.Found) -> Any:
        return self._loads(found.value)

    def _item(self, entry: tuple[bytes, ops.Found]) -> tuple[Any, Any]:
        return self._name(entry[0]), self._loads(entry[1].value)


def _if_found(op: Op[S | None], change: Callable[[S], T]) -> Op[T | None]:
    return op.then(lambda found: None if found is None else change(found))


def key_and_db(key_or_keydb: Key | tuple[Key, int | None]) -> tuple[Key, int | None]:
    """Return the two that an item form means, no database meaning the default one."""
    if not isinstance(key_or_keydb, tuple):
        return key_or_keydb, None
    if len(key_or_keydb) != 2:
        raise InvalidInput("a tuple as a key is (key, db)")
    return key_or_keydb


def _index(db: int) -> int:
    if isinstance(db, int) and 0 <= db <= _LAST_INDEX:
        return db
    raise InvalidInput(f"db={db!r}: a database is meant by its index, 0 to {_LAST_INDEX}")


def _keys_and_databases(keys: Iterable[tuple[int, Key]]) -> list[BytesKey]:
    return [(_index(db), encode_key(key)) for db, key in keys]


def _numbers(n: float, orig: Origin) -> list[object]:
    return [n] if orig in (None, "try", "set") else [n, orig]


def _counted(result: T | None, key: Key, orig: Origin) -> T | None:
    if result is None and orig != "try":
        raise NotACounter(f"the record under {key!r} is no counter of this kind: it was not written by incr()")
    return result
