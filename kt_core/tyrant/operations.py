"""Every operation of a Tokyo Tyrant server on bytes, as an exchange: what to send, and what the reply means.

Source: the Tokyo Tyrant protocol reference, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from kt_core.errors import ServerError
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, Buffer, NeedData, Op
from kt_core.wire.kt_items import Pair
from kt_core.wire.tt_binary import ReplyDecoder, encode_request

T = TypeVar("T")

_FAILURE: Final = 1  # the status of whatever fails

# The functions of `misc` that may be called twice: they change nothing, and do not move the iterator.
_READING: Final = frozenset((b"get", b"getlist", b"getpart", b"regex", b"range", b"error"))


def refused(what: str) -> ServerError:
    """Return the error of a request that the server has refused."""
    return ServerError(_FAILURE, f"the server refused {what}; the protocol has no words for why")


# --- Records


def put(key: bytes, value: bytes) -> Op[bool]:
    """Store a record; tell whether it was stored."""
    return _op(tt.Put(key, value), _done, repeatable=True)


def put_unheard(records: Iterable[Pair]) -> Op[None]:
    """Store records; nobody hears whether they were stored."""
    payload = b"".join([encode_request(tt.PutNr(key, value)) for key, value in records])
    return Op(payload, None, True, lambda reply: None)


def put_keep(key: bytes, value: bytes) -> Op[bool]:
    """Store a record where there is none; tell whether it was stored."""
    return _op(tt.PutKeep(key, value), _done)


def put_cat(key: bytes, value: bytes) -> Op[bool]:
    """Store a value behind the one that is there, if any; of a table's row, only columns that are missing."""
    return _op(tt.PutCat(key, value), _done)


def put_shl(key: bytes, value: bytes, width: int) -> Op[bool]:
    """Store a value behind the one that is there, and keep the last bytes; a new value is stored whole."""
    return _op(tt.PutShl(key, value, width), _done)


def out(key: bytes) -> Op[bool]:
    """Remove a record; tell whether there was one."""
    return _op(tt.Out(key), _done)


def get(key: bytes) -> Op[bytes | None]:
    """Fetch a value."""
    return _op(tt.Get(key), _first, repeatable=True)


def mget(keys: Sequence[bytes]) -> Op[Sequence[Pair]]:
    """Fetch records; those found come back in the order asked for."""
    return _op(tt.MGet(keys), _first, repeatable=True)


def vsiz(key: bytes) -> Op[int | None]:
    """Return the size of a value in bytes."""
    return _op(tt.VSiz(key), _first, repeatable=True)


def add_int(key: bytes, number: int) -> Op[int | None]:
    """Add to a counter of 32 bits and return the sum, wrapped; None for another record, or a sum of -2^31."""
    return _op(tt.AddInt(key, number), _first)


def add_double(key: bytes, number: float) -> Op[float | None]:
    """Add to a double and return the sum, to twelve decimals; None for another record, or a sum that is none."""
    return _op(tt.AddDouble.of(key, number), _sum)


def seize(key: bytes) -> Op[bytes | None]:
    """Fetch and remove a record; of several who try, one gets it.

    Two requests in one round trip: what others store between them is removed unseen.
    """
    return together([get(key), out(key)]).then(lambda results: results[0] if results[1] else None)


# --- Databases


def fwm_keys(prefix: bytes, limit: int = -1) -> Op[list[bytes]]:
    """Return keys that begin with a prefix, all if the limit is negative; of a fixed-length database, an interval's."""
    return _op(tt.FwmKeys(prefix, limit), _first, repeatable=True)


def rnum() -> Op[int]:
    """Return the number of records."""
    return _op(tt.RNum(), _told, repeatable=True)


def size() -> Op[int]:
    """Return the size of the database in bytes."""
    return _op(tt.Size(), _told, repeatable=True)


def stat() -> Op[Mapping[bytes, bytes]]:
    """Return what the server says about itself."""
    return _op(tt.Stat(), _told, repeatable=True).then(_parse_stat)


def sync() -> Op[bool]:
    """Write the database to its file."""
    return _op(tt.Sync(), _done, repeatable=True)


def optimize(parameters: bytes) -> Op[bool]:
    """Tune the database, by parameters as in its name: ``bnum=1000000#apow=10``."""
    return _op(tt.Optimize(parameters), _done)


def vanish() -> Op[bool]:
    """Remove every record."""
    return _op(tt.Vanish(), _done, repeatable=True)


def copy(path: bytes) -> Op[bool]:
    """Copy the database to a path of the server's, or with ``@`` before it run a command there."""
    return _op(tt.Copy(path), _done)


def restore(path: bytes, time: int, options: int) -> Op[bool]:
    """Replay the update log in a directory of the server's from a time on, in microseconds since 1970."""
    return _op(tt.Restore(path, time, options), _done)


def set_master(host: bytes, port: int, time: int, options: int) -> Op[bool]:
    """Replicate from a master, from a time on in microseconds since 1970; without a host, from none."""
    return _op(tt.SetMst(host, port, time, options), _done)


def ext(name: bytes, key: bytes, value: bytes, options: int = 0) -> Op[bytes | None]:
    """Call a function of the server's script; None if it fails or gives nothing."""
    return _op(tt.Ext(name, options, key, value), _first)


def misc(name: bytes, arguments: Sequence[bytes] = (), *, log: bool = False) -> Op[list[bytes] | None]:
    """Call a function of the database; None if it fails, or there is none of that name."""
    message = tt.Misc(name, 0 if log else tt.NO_UPDATE_LOG, arguments)
    return _op(message, _elements, repeatable=name in _READING and not log)


# --- What replies mean


def _op(message: tt.Request, finish: Callable[[Any], T], *, repeatable: bool = False) -> Op[T]:
    kind = tt.REPLIES[type(message)]
    assert kind is not None
    return Op(encode_request(message), ReplyDecoder(kind), repeatable, finish)


def _done(reply: tt.Reply) -> bool:
    return not isinstance(reply, tt.Failed)


def _first(reply: Any) -> Any:
    return None if isinstance(reply, tt.Failed) else reply[0]


def _told(reply: Any) -> Any:
    if isinstance(reply, tt.Failed):
        raise refused("to tell")
    return reply[0]


def _sum(reply: tt.Double | tt.Failed) -> float | None:
    return None if isinstance(reply, tt.Failed) else reply.number


def _elements(reply: tt.Elements) -> list[bytes] | None:
    return list(reply.elements) if reply.ok else None


def _parse_stat(text: bytes) -> Mapping[bytes, bytes]:
    said = {}
    for line in text.splitlines():
        name, tab, value = line.partition(b"\t")
        if tab:
            said[name] = value
    return said


# --- Several at once


def together(ops: Iterable[Op[Any]]) -> Op[list[Any]]:
    """Return the exchange that sends several requests at once and gives all their results.

    Send a few hundred: nobody reads the replies to the first while the last are still being sent.
    """
    every = list(ops)

    def results(replies: list[tt.Reply]) -> list[Any]:
        return [op.finish(reply) for op, reply in zip(every, replies, strict=True)]

    kinds = [op.decoder.kind for op in every if isinstance(op.decoder, ReplyDecoder)]
    payload = b"".join([op.payload for op in every])
    return Op(payload, _Replies(kinds), all(op.idempotent for op in every), results)


class _Replies:
    """Decodes the replies to several requests that were sent at once."""

    closing = False

    def __init__(self, kinds: Sequence[type[tt.Reply]]) -> None:
        self._buffer = Buffer()
        self._decoders = iter([ReplyDecoder(kind, buffer=self._buffer) for kind in kinds])
        self._decoder = next(self._decoders, None)
        self._found: list[tt.Reply] = []

    @property
    def rest(self) -> bytes:
        return self._buffer.rest

    def feed(self, data: bytes) -> list[tt.Reply] | NeedData:
        while self._decoder is not None:
            reply = self._decoder.feed(data)
            if isinstance(reply, NeedData):
                return NEED_DATA
            self._found.append(reply)
            self._decoder = next(self._decoders, None)
            data = b""
        return self._found
