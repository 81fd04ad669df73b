"""The clients' operations: Python's keys, values and rows on one side, exchanges of bytes on the other.

Each operation is written once and run by `TokyoTyrant` and awaited by `AsyncTokyoTyrant`, whose docstrings say what it
means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from struct import Struct
from typing import Any, Final, TypeVar

from kt_core.calls import BaseCalls, Key, encode_key, encode_keys
from kt_core.errors import InvalidInput, NotACounter
from kt_core.serializers import SERIALIZERS, Serializer, choose_serializer, dump_bytes, dump_plain
from kt_core.text import encode_text
from kt_core.tyrant import arguments, quick
from kt_core.tyrant import operations as ops
from kt_core.tyrant.constants import IOP_DELETE, IOP_KEEP, IOP_OPTIMIZE
from kt_core.tyrant.scan import Scan, all_keys, key_range, pairs
from kt_core.tyrant.script import Form
from kt_core.tyrant.search import Expression, Search, search
from kt_core.tyrant.status import Status
from kt_core.tyrant.table import TABLE, TT_TABLE
from kt_core.wire.exchange import Flow, Op
from kt_core.wire.kt_items import Pair

T = TypeVar("T")

_SERIALIZERS: Final = {**SERIALIZERS, TT_TABLE: TABLE}
_INTEGER: Final = Struct("<i")
_DOUBLE: Final = Struct("<d")
# What a counter is that has come to the one sum that the protocol cannot tell from a failure.
_LOWEST: Final = _INTEGER.pack(arguments.INT32[0])

_DUPLICATING: Final = "B+ tree"  # where `putlist` adds to what is there
_PUTS: Final = 512  # in one round trip
_LISTED: Final = 1 << 18  # records in one `putlist`


class Calls(BaseCalls):
    """The operations of one client."""

    def __init__(self, serializer: str | Serializer, decode_keys: bool) -> None:
        super().__init__(choose_serializer(serializer, _SERIALIZERS), decode_keys)
        self._known_kind: str | None = None

    def _kind(self) -> Flow[str]:
        """Return what kind of database it is; a server does not change it."""
        if self._known_kind is None:
            self._known_kind = (yield self.status()).type
        return self._known_kind

    # -- records -----------------------------------------------------------------------------------------

    def get(self, key: Key) -> Op[Any]:
        return quick.get(encode_key(key), self._found)

    def get_bytes(self, key: Key) -> Op[bytes | None]:
        return ops.get(encode_key(key))

    def get_int(self, key: Key) -> Op[int | None]:
        return ops.get(encode_key(key)).then(lambda value: _number(value, key, _INTEGER))

    def get_double(self, key: Key) -> Op[float | None]:
        return ops.get(encode_key(key)).then(lambda value: _number(value, key, _DOUBLE))

    def get_bulk(self, keys: Iterable[Key], decode_values: bool) -> Op[dict[Any, Any]]:
        op = ops.mget(encode_keys(keys))
        return op.then(self._records if decode_values else self._stored)

    def get_part(self, key: Key, start: int | None, length: int | None) -> Op[Any]:
        numbers = [b"%d" % (start or 0), *([] if length is None else [b"%d" % length])]
        op = ops.misc(b"getpart", (encode_key(key), *numbers))
        return op.then(lambda found: self._loads(found[0]) if found else None)

    def set(self, key: Key, value: Any, no_reply: bool) -> Op[bool | None]:
        return self._put(encode_key(key), self._dumps(value), no_reply)

    def set_bytes(self, key: Key, value: bytes, no_reply: bool) -> Op[bool | None]:
        return self._put(encode_key(key), dump_bytes(value), no_reply)

    def _put(self, key: bytes, value: bytes, no_reply: bool) -> Op[Any]:
        return ops.put_unheard(((key, value),)) if no_reply else quick.put(key, value)

    def store(self, key: Key, value: Any) -> Op[None]:
        return ops.put(encode_key(key), self._dumps(value)).then(lambda stored: _require(stored, f"to store {key!r}"))

    def set_bulk(self, data: Mapping[Key, Any], no_reply: bool) -> Flow[bool | None]:
        dumps = self._dumps
        return self._set_bulk([(encode_key(key), dumps(value)) for key, value in data.items()], no_reply)

    def _set_bulk(self, records: list[Pair], no_reply: bool) -> Flow[bool | None]:
        if no_reply:
            yield ops.put_unheard(records)
            return None
        stored = True
        if records and (yield from self._kind()) == _DUPLICATING:
            for some in _slices(records, _PUTS):
                stored &= all((yield ops.together([ops.put(key, value) for key, value in some])))
        else:
            for some in _slices(records, _LISTED):
                stored &= (yield ops.misc(b"putlist", [word for pair in some for word in pair], log=True)) is not None
        return stored

    def set_duplicate(self, key: Key, value: Any, last: bool) -> Op[bool]:
        return _misc(b"putdup" if last else b"putdupback", encode_key(key), self._dumps(value))

    def remove(self, key: Key) -> Op[int]:
        return ops.out(encode_key(key)).then(int)

    def remove_bulk(self, keys: Iterable[Key]) -> Op[bool]:
        return _misc(b"outlist", *encode_keys(keys))

    def add(self, key: Key, value: Any) -> Op[bool]:
        return ops.put_keep(encode_key(key), self._dumps(value))

    def append(self, key: Key, value: Any) -> Op[bool]:
        return ops.put_cat(encode_key(key), self._dumps(value))

    def addshl(self, key: Key, value: Any, width: int) -> Op[bool]:
        return ops.put_shl(encode_key(key), self._dumps(value), arguments.width(width))

    def seize(self, key: Key) -> Op[Any]:
        return ops.seize(encode_key(key)).then(self._found)

    def exists(self, key: Key) -> Op[bool]:
        return ops.vsiz(encode_key(key)).then(lambda size: size is not None)

    def length(self, key: Key) -> Op[int | None]:
        return ops.vsiz(encode_key(key))

    def incr(self, key: Key, n: int) -> Flow[int]:
        return self._incr(key, encode_key(key), arguments.integer(n))

    def _incr(self, key: Key, name: bytes, n: int) -> Flow[int]:
        total: int | None = yield ops.add_int(name, n)
        if total is None:
            if (yield ops.get(name)) != _LOWEST:
                raise _no_counter(key)
            total = arguments.INT32[0]
        return total

    def incr_double(self, key: Key, n: float) -> Op[float]:
        return ops.add_double(encode_key(key), arguments.real(n)).then(lambda total: _counted(total, key))

    # -- many records ------------------------------------------------------------------------------------

    def get_range(self, start: Key | None, stop: Key | None, max_keys: int | None) -> Flow[dict[Any, Any]]:
        return self._range(start, stop, max_keys, self._records)

    def get_rangelist(self, start: Key | None, stop: Key | None, max_keys: int | None) -> Flow[list[tuple[Any, Any]]]:
        return self._range(start, stop, max_keys, self.items)

    def slice(self, keys: slice) -> Flow[dict[Any, Any]]:
        if keys.step is not None:
            raise InvalidInput("a range of keys has no step")
        return self.get_range(keys.start, keys.stop, None)

    def _range(
        self, start: Key | None, stop: Key | None, max_keys: int | None, finish: Callable[[list[Pair]], T]
    ) -> Flow[T]:
        first, last = encode_key(b"" if start is None else start), None if stop is None else encode_key(stop)
        return self._find_range(first, last, arguments.limit(max_keys), finish)

    def _find_range(self, first: bytes, last: bytes | None, limit: int, finish: Callable[[list[Pair]], T]) -> Flow[T]:
        found: list[Pair] | None = yield key_range((yield from self._kind()), first, limit, last)
        return finish(_demand(found, "a range of keys, which only trees and fixed-length databases have"))

    def match_prefix(self, prefix: Key, max_keys: int | None) -> Op[list[Any]]:
        return ops.fwm_keys(encode_key(prefix), arguments.limit(max_keys) or -1).then(self._names)

    def match_regex(self, regex: Key, max_keys: int | None) -> Op[dict[Any, Any]]:
        return self._matching(regex, max_keys).then(self._records)

    def match_regexlist(self, regex: Key, max_keys: int | None) -> Op[list[tuple[Any, Any]]]:
        return self._matching(regex, max_keys).then(self.items)

    def _matching(self, regex: Key, max_keys: int | None) -> Op[list[Pair]]:
        op = ops.misc(b"regex", (encode_key(regex), b"%d" % arguments.limit(max_keys)))
        return op.then(lambda found: pairs(_demand(found, f"the expression {regex!r}")))

    def keys(self) -> Flow[list[Any]]:
        return self._names((yield all_keys((yield from self._kind()))))

    def scan(self, start_key: Key | None) -> Flow[Scan]:
        return self._scan(encode_key(b"" if start_key is None else start_key))

    def _scan(self, start: bytes) -> Flow[Scan]:
        return Scan((yield from self._kind()), start)

    def items(self, records: Iterable[Pair]) -> list[tuple[Any, Any]]:
        name, loads = self._name, self._loads
        return [(name(key), loads(value)) for key, value in records]

    # -- the database and its server ---------------------------------------------------------------------

    def status(self) -> Op[Status]:
        return ops.stat().then(Status)

    def optimize(self, options: str) -> Op[bool]:
        return ops.optimize(encode_text(options))

    def copy(self, path: str) -> Op[bool]:
        return ops.copy(encode_text(path))

    def restore(self, path: str, timestamp: int | datetime, options: int) -> Op[bool]:
        return ops.restore(encode_text(path), arguments.microseconds(timestamp), options)

    def set_master(self, host: str | None, port: int, timestamp: int | datetime, options: int) -> Op[bool]:
        return ops.set_master(encode_text(host or ""), port, arguments.microseconds(timestamp), options)

    def clear_cache(self) -> Op[bool]:
        return ops.misc(b"cacheclear").then(_worked)

    def defragment(self, steps: int | None) -> Op[bool]:
        return _misc(b"defrag", *([] if steps is None else [b"%d" % steps]))

    def error(self) -> Op[tuple[int, str] | None]:
        return ops.misc(b"error").then(_last_error)

    def misc(
        self,
        cmd: str,
        keys: Iterable[Any] | None,
        data: Mapping[Any, Any] | None,
        update_log: bool,
        decode_values: bool,
    ) -> Op[list[Any] | None]:
        if isinstance(keys, str | bytes):
            raise InvalidInput(f"{keys!r} is one argument: write a list of arguments")
        if data is not None and not isinstance(data, Mapping):
            raise InvalidInput(f"data={data!r} is no dict of keys and values: is update_log={data!r} meant?")
        words = [*(keys or ()), *[word for pair in (data or {}).items() for word in pair]]
        plain = [dump_plain(word) for word in words]
        if cmd.startswith("put") and plain[:1] == [b""]:
            raise InvalidInput("some servers end when a table is given an empty key this way: write set() or add()")
        op = ops.misc(encode_text(cmd), plain, log=update_log)
        return op.then(lambda found: [*map(self._loads, found)] if found is not None and decode_values else found)

    def script(self, name: str, key: Key | None, value: Any, form: Form) -> Op[Any]:
        if value is None:
            word = b""
        else:
            word = self._dumps(value) if form.encode_value else dump_plain(value)
        load = self._loads if form.decode_value else bytes
        op = ops.ext(encode_text(name), encode_key(b"" if key is None else key), word, form.options)
        return op.then(lambda result: form.read(_demand(result, f"to run {name}()"), load))

    # -- tables ------------------------------------------------------------------------------------------

    def set_index(self, name: str, index_type: int, check_exists: bool) -> Op[bool]:
        kind = index_type | IOP_KEEP if check_exists else index_type
        return _misc(b"setindex", encode_text(name), b"%d" % kind)

    def optimize_index(self, name: str) -> Op[bool]:
        return self.set_index(name, IOP_OPTIMIZE, False)

    def delete_index(self, name: str) -> Op[bool]:
        return self.set_index(name, IOP_DELETE, False)

    def search(self, expressions: Iterable[Expression], command: str | None) -> Op[Any]:
        return self.find(search(expressions, command))

    def find(self, wanted: Search[T]) -> Op[T]:
        words, finish = wanted
        changes = b"out" in words
        op = ops.misc(b"search", words, log=changes)
        return op.then(lambda found: finish(_demand(found, "a search, which only tables have"), self._name))

    def genuid(self) -> Op[int]:
        op = ops.misc(b"genuid", log=True)
        return op.then(lambda found: int(_demand(found, "a number, which only tables give")[0]))

    # -- results -----------------------------------------------------------------------------------------

    def _found(self, value: bytes | None) -> Any:
        return None if value is None else self._loads(value)

    def _stored(self, records: Iterable[Pair]) -> dict[Any, bytes]:
        return {self._name(key): value for key, value in records}

    def _records(self, records: Iterable[Pair]) -> dict[Any, Any]:
        name, loads = self._name, self._loads
        return {name(key): loads(value) for key, value in records}


def _misc(name: bytes, *arguments: bytes) -> Op[bool]:
    """Call a function that changes something; tell whether it did."""
    return ops.misc(name, arguments, log=True).then(_worked)


def _worked(found: list[bytes] | None) -> bool:
    return found is not None


def _demand(found: T | None, what: str) -> T:
    if found is None:
        raise ops.refused(what)
    return found


def _require(done: bool, what: str) -> None:
    if not done:
        raise ops.refused(what)


def _slices(records: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (records[start : start + size] for start in range(0, len(records), size))


def _number(value: bytes | None, key: Key, form: Struct) -> Any:
    if value is None:
        return None
    if len(value) != form.size:
        raise _no_counter(key)
    return form.unpack(value)[0]


def _counted(total: T | None, key: Key) -> T:
    if total is None:
        raise _no_counter(key)
    return total


def _no_counter(key: Key) -> NotACounter:
    return NotACounter(f"the record under {key!r} is no counter of this kind: it was not written by incr()")


def _last_error(found: list[bytes] | None) -> tuple[int, str] | None:
    if not found:
        return None
    code, _, text = found[0].decode("utf-8", "replace").partition(": ")
    return int(code), text
