"""Every operation of a Kyoto Tycoon server on bytes, as an exchange: what to send, and what the reply means.

The binary protocol is used where it has the operation, calls over HTTP otherwise; both go over one connection.
Databases are indices here. An `xt` is an expiry in seconds as the protocol has it: of a request not negative and
relative, or negative and the absolute second; `NEVER_XT` for never; of a reply absolute, `XT_MAX` for never.
Source: the Kyoto Tycoon protocol reference, sections 1 to 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, Literal, TypeVar

from kt_core.errors import ProtocolError, ServerError
from kt_core.kyoto.quick import Found as Found
from kt_core.kyoto.quick import fetch as fetch
from kt_core.kyoto.quick import fetch_texts as fetch_texts
from kt_core.kyoto.quick import get as get
from kt_core.kyoto.quick import put as put
from kt_core.kyoto.quick import refused
from kt_core.wire import kt_binary as binary
from kt_core.wire.exchange import NEED_DATA, Decoder, NeedData, Op
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX
from kt_core.wire.kt_items import Key, Pair, Record
from kt_core.wire.kt_rpc import RpcReply, RpcReplyDecoder, rpc_op

T = TypeVar("T")

Origin = int | float | Literal["try", "set"] | None
"""Where an absent counter begins; ``try`` fails there, ``set`` puts the number in place of whatever number there is."""

_LOGIC = 450  # the status of a call that the state of the records does not allow


# --- Binary


def get_bulk(keys: Sequence[Key]) -> Op[Sequence[Record]]:
    """Fetch records; those found come back in the order asked for."""
    return _binary(binary.GetBulk(keys), binary.GetReply, True, _records)


def set_bulk(records: Sequence[Record], *, no_reply: bool = False) -> Op[int]:
    """Store records; return how many were stored, or with `no_reply` nothing, unheard."""
    return _binary(binary.SetBulk(records, no_reply), binary.SetReply, True, _hits, no_reply)


def remove_bulk(keys: Sequence[Key], *, no_reply: bool = False) -> Op[int]:
    """Remove records; return how many there were, or with `no_reply` nothing, unheard."""
    return _binary(binary.RemoveBulk(keys, no_reply), binary.RemoveReply, False, _hits, no_reply)


def play_script(name: bytes, pairs: Sequence[Pair], *, no_reply: bool = False) -> Op[Sequence[Pair]]:
    """Call a procedure of the server's script and return what it gives back."""
    return _binary(binary.PlayScript(name, pairs, no_reply), binary.ScriptReply, False, _records, no_reply)


def _binary(
    message: binary.Request, kind: type[Any], idempotent: bool, finish: Callable[[Any], T], no_reply: bool = False
) -> Op[T]:
    decoder: Decoder[Any] | None = None if no_reply else binary.ReplyDecoder(kind)
    return Op(binary.encode_request(message), decoder, idempotent, finish)


def _hits(reply: binary.SetReply | binary.RemoveReply | binary.ErrorReply | None) -> int:
    if reply is None:
        return 0
    if isinstance(reply, binary.ErrorReply):
        raise refused()
    return reply.hits


def _records(reply: Any) -> Any:
    if reply is None:
        return ()
    if isinstance(reply, binary.ErrorReply):
        raise refused()
    return reply.records


# --- Calls


def add(db: int, key: bytes, value: bytes, xt: int = NEVER_XT) -> Op[bool]:
    """Store a record where there is none; tell whether it was stored."""
    return _call("add", _done, db, {b"key": key, b"value": value}, xt)


def replace(db: int, key: bytes, value: bytes, xt: int = NEVER_XT) -> Op[bool]:
    """Store a record where there is one; tell whether it was stored."""
    return _call("replace", _done, db, {b"key": key, b"value": value}, xt)


def append(db: int, key: bytes, value: bytes, xt: int = NEVER_XT) -> Op[bool]:
    """Store a value behind the one that is there, if any; the expiry is the new one."""
    return _call("append", _done, db, {b"key": key, b"value": value}, xt)


def increment(db: int, key: bytes, number: int, origin: Origin = None, xt: int = NEVER_XT) -> Op[int | None]:
    """Add to a counter and return the sum; None where there is no counter, or another kind of record."""
    return _call("increment", _integer, db, _counter(key, b"%d" % number, origin), xt)


def increment_double(db: int, key: bytes, number: float, origin: Origin = None, xt: int = NEVER_XT) -> Op[float | None]:
    """Add to a double and return the sum; None as for `increment`."""
    return _call("increment_double", _real, db, _counter(key, repr(float(number)).encode(), origin), xt)


def cas(db: int, key: bytes, old: bytes | None, new: bytes | None, xt: int = NEVER_XT) -> Op[bool]:
    """Put `new` in the place of `old`, None standing for no record; tell whether `old` was there."""
    return _call("cas", _done, db, {b"key": key, **_present({b"oval": old, b"nval": new})}, xt)


def seize(db: int, key: bytes) -> Op[Found | None]:
    """Remove a record and return what it held."""
    return _call("seize", _value, db, {b"key": key})


def check(db: int, key: bytes) -> Op[tuple[int, int] | None]:
    """Return the size of a record's value in bytes, and its expiry."""
    return _call("check", _size, db, {b"key": key})


def clear(db: int) -> Op[bool]:
    """Remove every record."""
    return _call("clear", _done, db)


def vacuum(db: int, step: int = 0) -> Op[bool]:
    """Reclaim expired records: all of them, or as many steps' worth."""
    return _call("vacuum", _done, db, _present({b"step": b"%d" % step if step else None}))


def synchronize(db: int, *, hard: bool = False, command: bytes | None = None) -> Op[bool]:
    """Write the database to its file, `hard` to the disk itself, and run a command of the server's on it."""
    return _call("synchronize", _strictly, db, _present({b"hard": b"" if hard else None, b"command": command}))


def status(db: int) -> Op[Mapping[bytes, bytes]]:
    """Return what the server says about a database."""
    return _call("status", _values, db)


def report() -> Op[Mapping[bytes, bytes]]:
    """Return what the server says about itself."""
    return _call("report", _values, None)


def match_prefix(db: int, prefix: bytes, limit: int | None = None) -> Op[list[bytes]]:
    """Return keys that begin with a prefix, in the server's order."""
    return _call("match_prefix", _ranked, db, {b"prefix": prefix, **_limit(limit)})


def match_regex(db: int, pattern: bytes, limit: int | None = None) -> Op[list[bytes]]:
    """Return keys in which a POSIX extended regular expression is found; `ServerError` if it is none."""
    return _call("match_regex", _ranked, db, {b"regex": pattern, **_limit(limit)})


def match_similar(
    db: int, origin: bytes, distance: int | None = None, *, utf: bool = False, limit: int | None = None
) -> Op[list[bytes]]:
    """Return keys within an edit distance (1 unless given), the closest first; `utf` counts characters, not bytes."""
    optional = {b"range": None if distance is None else b"%d" % distance, b"utf": b"" if utf else None}
    return _call("match_similar", _ranked, db, {b"origin": origin, **_present(optional), **_limit(limit)})


def _call(
    procedure: str,
    finish: Callable[[RpcReply], T],
    db: int | None,
    parameters: Mapping[bytes, bytes] = {},
    xt: int = NEVER_XT,
) -> Op[T]:
    every = dict(parameters)
    if db:
        every[b"DB"] = b"%d" % db
    if xt != NEVER_XT:
        every[b"xt"] = b"%d" % xt
    return rpc_op(procedure, every, finish)


def _present(parameters: Mapping[bytes, bytes | None]) -> dict[bytes, bytes]:
    return {name: value for name, value in parameters.items() if value is not None}


def _limit(limit: int | None) -> dict[bytes, bytes]:
    return {} if limit is None else {b"max": b"%d" % limit}


def _counter(key: bytes, number: bytes, origin: Origin) -> dict[bytes, bytes]:
    return {b"key": key, b"num": number, **_present({b"orig": None if origin is None else str(origin).encode()})}


# --- What replies to calls mean


def _good(reply: RpcReply) -> bool:
    """Tell whether a call did something, or found the records otherwise than it needs them."""
    if reply.status == 200:
        return True
    if reply.status == _LOGIC:
        return False
    raise ServerError(reply.status, reply.error)


def _done(reply: RpcReply) -> bool:
    return _good(reply)


def _strictly(reply: RpcReply) -> bool:
    if reply.status != 200:
        raise ServerError(reply.status, reply.error)
    return True


def _values(reply: RpcReply) -> Mapping[bytes, bytes]:
    _strictly(reply)
    return reply.values


def _integer(reply: RpcReply) -> int | None:
    return int(_field(reply, b"num")) if _good(reply) else None


def _real(reply: RpcReply) -> float | None:
    return float(_field(reply, b"num")) if _good(reply) else None


def _value(reply: RpcReply) -> Found | None:
    return Found(_field(reply, b"value"), _xt(reply)) if _good(reply) else None


def _size(reply: RpcReply) -> tuple[int, int] | None:
    return (int(_field(reply, b"vsiz")), _xt(reply)) if _good(reply) else None


def _ranked(reply: RpcReply) -> list[bytes]:
    _strictly(reply)
    ranks = {name[1:]: int(rank) for name, rank in reply.values.items() if name[:1] == b"_"}
    return sorted(ranks, key=ranks.__getitem__)


def _xt(reply: RpcReply) -> int:
    return int(reply.values.get(b"xt", XT_MAX))


def _field(reply: RpcReply, name: bytes) -> bytes:
    try:
        return reply.values[name]
    except KeyError:
        raise ProtocolError(f"the reply has no {name.decode()!r}") from None


# --- Cursors: each lives on one connection, under a number that its owner chooses

SCAN_BATCH: Final = 256


def cursor_jump(cursor: int, db: int, key: bytes | None = None) -> Op[bool]:
    """Stand on the first record, or the first from a key on; tell whether there is one."""
    return _cursor_call("cur_jump", _done, cursor, {b"DB": b"%d" % db, **_present({b"key": key})})


def cursor_jump_back(cursor: int, db: int, key: bytes | None = None) -> Op[bool]:
    """Stand on the last record, or the last up to a key; `ServerError` 501 where records have no order."""
    return _cursor_call("cur_jump_back", _done, cursor, {b"DB": b"%d" % db, **_present({b"key": key})})


def cursor_step(cursor: int) -> Op[bool]:
    """Go to the next record; tell whether there is one."""
    return _cursor_call("cur_step", _done, cursor)


def cursor_step_back(cursor: int) -> Op[bool]:
    """Go to the record before; tell whether there is one."""
    return _cursor_call("cur_step_back", _done, cursor)


def cursor_get(cursor: int, *, step: bool = False) -> Op[tuple[bytes, Found] | None]:
    """Return key and record, and with `step` go on to the next."""
    return _cursor_call("cur_get", _entry, cursor, _present({b"step": b"" if step else None}))


def cursor_get_key(cursor: int, *, step: bool = False) -> Op[bytes | None]:
    """Return the key, and with `step` go on to the next."""
    return _cursor_call("cur_get_key", _key, cursor, _present({b"step": b"" if step else None}))


def cursor_set_value(cursor: int, value: bytes, xt: int = NEVER_XT, *, step: bool = False) -> Op[bool]:
    """Store another value under the key; tell whether the cursor stood on a record."""
    optional = {b"step": b"" if step else None, b"xt": None if xt == NEVER_XT else b"%d" % xt}
    return _cursor_call("cur_set_value", _done, cursor, {b"value": value, **_present(optional)})


def cursor_remove(cursor: int) -> Op[bool]:
    """Remove the record and stand on the next one; tell whether there was one."""
    return _cursor_call("cur_remove", _done, cursor)


def cursor_seize(cursor: int) -> Op[tuple[bytes, Found] | None]:
    """Remove the record, return what it was, and stand on the next one."""
    return _cursor_call("cur_seize", _entry, cursor)


def cursor_delete(cursor: int) -> Op[bool]:
    """Free the cursor's number."""
    return _cursor_call("cur_delete", _strictly, cursor)


def scan_keys(cursor: int, count: int = SCAN_BATCH) -> Op[list[bytes]]:
    """Return the next keys in one round trip, fewer than asked for at the end."""
    return together([cursor_get_key(cursor, step=True) for _ in range(count)]).then(_until_none)


def scan_entries(cursor: int, count: int = SCAN_BATCH) -> Op[list[tuple[bytes, Found]]]:
    """Return the next keys and records in one round trip, fewer than asked for at the end."""
    return together([cursor_get(cursor, step=True) for _ in range(count)]).then(_until_none)


def _cursor_call(
    procedure: str, finish: Callable[[RpcReply], T], cursor: int, parameters: Mapping[bytes, bytes] = {}
) -> Op[T]:
    return rpc_op(procedure, {b"CUR": b"%d" % cursor, **parameters}, finish)


def _entry(reply: RpcReply) -> tuple[bytes, Found] | None:
    return (_field(reply, b"key"), Found(_field(reply, b"value"), _xt(reply))) if _good(reply) else None


def _key(reply: RpcReply) -> bytes | None:
    return _field(reply, b"key") if _good(reply) else None


# --- Several at once


def together(calls: Iterable[Op[T]]) -> Op[list[T]]:
    """Return the exchange that sends several calls at once and gives all their results.

    Send a few dozen: nobody reads the replies to the first while the last are still being sent.
    """
    every = list(calls)

    def results(replies: list[RpcReply]) -> list[T]:
        return [op.finish(reply) for op, reply in zip(every, replies, strict=True)]

    payload = b"".join([op.payload for op in every])
    return Op(payload, _Replies(len(every)), all(op.idempotent for op in every), results)


class _Replies:
    """Decodes the replies to several calls that were sent at once."""

    def __init__(self, count: int) -> None:
        self._decoder = RpcReplyDecoder()
        self._missing = count
        self._found: list[RpcReply] = []

    @property
    def rest(self) -> bytes:
        return self._decoder.rest

    @property
    def closing(self) -> bool:
        return self._decoder.closing

    def feed(self, data: bytes) -> list[RpcReply] | NeedData:
        while self._missing:
            reply = self._decoder.feed(data)
            if isinstance(reply, NeedData):
                return NEED_DATA
            self._found.append(reply)
            self._missing -= 1
            data = b""
        return self._found


def _until_none(results: list[T | None]) -> list[T]:
    return list(takewhile(lambda result: result is not None, results))  # type: ignore[arg-type]
