"""What a message does with one record: policies first, then the operations in order, then the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from struct import pack, unpack

import msgpack  # type: ignore[import-untyped]

from tests.aerospike.server import expressions, geo
from tests.aerospike.server.records import Bins, Namespace, Record, Refused
from tests.aerospike.server.wire import NOTHING, Code, Field, Info1, Info2, Info3, Message, Op, Particle, Result

NONE, INTEGER, DOUBLE, STRING, BLOB, BOOLEAN, MAP, LIST, GEOJSON = 0, 1, 2, 3, 4, 17, 19, 20, 23
_PARTICLES = {INTEGER, DOUBLE, STRING, BLOB, 7, 8, 9, 10, 11, 12, BOOLEAN, 18, MAP, LIST, GEOJSON}
"""What a bin may hold: also blobs of the languages' own serializers, booleans, HyperLogLogs, maps and lists."""

MAX_BIN_NAME = 15
MAX_BINS = 32_767

_REPLACES = Info3.CREATE_OR_REPLACE | Info3.REPLACE_ONLY
_MODIFIES = {Code.INCR, Code.APPEND, Code.PREPEND, Code.TOUCH, Code.DELETE, Code.CDT_MODIFY}


def execute(namespaces: dict[bytes, Namespace], message: Message) -> Message:
    """Do what a message asks for its record, and return the answer."""
    namespace = namespaces.get(message.fields.get(Field.NAMESPACE, b""))
    if namespace is None:
        return Message(result=Result.NAMESPACE)
    digest = message.fields.get(Field.DIGEST, b"")
    do = _read if not message.info2 & Info2.WRITE else _delete if message.info2 & Info2.DELETE else _write
    if do is _write and (unfit := _unfit(message)):
        return Message(result=unfit)
    with namespace.lock:
        try:
            record, ops = do(namespace, digest, message)
        except Refused as refusal:
            return _answer(None if do is _delete else namespace.live(digest), [], refusal.result)
    return _answer(record, ops)


def _answer(record: Record | None, ops: list[Op], result: int = Result.OK) -> Message:
    if record is None:
        return Message(result=result, ops=ops)
    return Message(result=result, generation=record.generation, ttl=record.expiry, ops=ops)


def _read(namespace: Namespace, digest: bytes, message: Message) -> tuple[Record | None, list[Op]]:
    record = namespace.live(digest)
    if record is None:
        raise Refused(Result.NOT_FOUND)
    _check_key(message, record)
    _filter(namespace, message, record)
    if message.ttl and record.expiry and (record.expiry - namespace.now()) * 100 < message.ttl * record.lifetime:
        record = namespace.renew(digest, record)
    return record, read_bins(message, record)


def read_bins(message: Message, record: Record) -> list[Op]:
    """Return the bins that a message without writes asks for."""
    if message.info1 & Info1.NO_BIN_DATA:
        return []
    if message.info1 & Info1.ALL_BINS or not message.ops:
        return _all_bins(record.bins)
    changes = _Changes(record.bins)
    return changes.run_all(message)


def _all_bins(bins: Bins) -> list[Op]:
    return [Op(Code.READ, name, particle) for name, particle in bins.items()]


def _delete(namespace: Namespace, digest: bytes, message: Message) -> tuple[Record | None, list[Op]]:
    """Remove a record, also one that has expired and is only waiting to be reaped."""
    record = namespace.stored(digest)
    _check_generation(message, namespace.live(digest))
    if record is None:
        raise Refused(Result.NOT_FOUND)
    _filter(namespace, message, record)
    namespace.remove(digest)
    return None, []


def _write(namespace: Namespace, digest: bytes, message: Message) -> tuple[Record | None, list[Op]]:
    old = namespace.live(digest)
    touched = any(op.code == Code.TOUCH for op in message.ops)
    if old is None and (touched or message.info3 & (Info3.UPDATE_ONLY | Info3.REPLACE_ONLY)):
        raise Refused(Result.NOT_FOUND)
    if old is not None and message.info2 & Info2.CREATE_ONLY:
        raise Refused(Result.EXISTS)
    _check_generation(message, old)
    if old is not None:
        _check_key(message, old)
        _filter(namespace, message, old)
    base = old or Record(set=message.fields.get(Field.SET, b""))
    changes = _Changes({} if message.info3 & _REPLACES else base.bins)
    results = changes.run_all(message)
    if len(changes.bins) > MAX_BINS:
        raise Refused(Result.PARAMETER)
    if old is None and not changes.bins:
        raise Refused(Result.NOT_FOUND)
    new = replace(base, bins=changes.bins, key=message.fields.get(Field.KEY, base.key))
    return namespace.write(digest, old, new, message.ttl), results


def _unfit(message: Message) -> Result:
    """Return what is wrong with a write whatever the record is, `OK` for nothing."""
    if not message.ops:
        return Result.PARAMETER
    for op in message.ops:
        if len(op.name) > MAX_BIN_NAME:
            return Result.BIN_NAME
        if message.info3 & _REPLACES and (op.code in _MODIFIES or (op.code == Code.WRITE and not op.particle.type)):
            return Result.PARAMETER
    return Result.OK


def _check_key(message: Message, record: Record) -> None:
    if record.key is not None and message.fields.get(Field.KEY, record.key) != record.key:
        raise Refused(Result.KEY_MISMATCH)


def _check_generation(message: Message, record: Record | None) -> None:
    generation = record.generation if record else 0
    if message.info2 & Info2.GENERATION and message.generation != generation:
        raise Refused(Result.GENERATION)
    if message.info2 & Info2.GENERATION_GREATER and message.generation <= generation:
        raise Refused(Result.GENERATION)


def _filter(namespace: Namespace, message: Message, record: Record) -> None:
    if (source := message.fields.get(Field.FILTER)) and not expressions.matches(source, record, namespace.now()):
        raise Refused(Result.FILTERED_OUT)


def _integer(value: bytes) -> bytes:
    if len(value) not in (1, 2, 4, 8):
        raise Refused(Result.PARAMETER)
    return value.rjust(8, b"\0")


def _boolean(value: bytes) -> bytes:
    if len(value) != 1:
        raise Refused(Result.PARAMETER)
    return value


def _nested(value: bytes) -> bytes:
    try:
        msgpack.unpackb(value, raw=True, strict_map_key=False, object_pairs_hook=list)
    except ValueError:
        raise Refused(Result.SERVER) from None
    return value


_STORED: dict[int, Callable[[bytes], bytes]] = {
    INTEGER: _integer,
    BOOLEAN: _boolean,
    MAP: _nested,
    LIST: _nested,
    GEOJSON: geo.stored,
}
"""What is stored for the value of a request, where that is not the same."""


class _Changes:
    """The bins of a record while operations go over them."""

    def __init__(self, bins: Bins) -> None:
        self.bins = dict(bins)

    def run_all(self, message: Message) -> list[Op]:
        """Do a message's operations, and return what was read; every one has a result if that is asked for."""
        every = bool(message.info2 & Info2.ALL_OPS)
        return [result for op in message.ops for result in self._run(op, every)]

    def _run(self, op: Op, every: bool) -> list[Op]:
        if op.code == Code.READ:
            found = self.bins.get(op.name)
            return [Op(Code.READ, op.name, found or NOTHING)] if found or every else []
        if op.code not in self._WRITES:
            raise Refused(Result.PARAMETER)
        self._WRITES[op.code](self, op)
        return [Op(op.code, op.name)] if every and op.code != Code.TOUCH else []

    def _put(self, op: Op) -> None:
        kind, value = op.particle
        if kind == NONE:
            self.bins.pop(op.name, None)
            return
        if kind not in _PARTICLES:
            raise Refused(Result.PARAMETER)
        self.bins[op.name] = Particle(kind, _STORED[kind](value) if kind in _STORED else value)

    def _incr(self, op: Op) -> None:
        present = self.bins.get(op.name)
        if op.particle.type not in (INTEGER, DOUBLE):
            raise Refused(Result.BIN_TYPE)
        if present is None:
            self.bins[op.name] = op.particle
        elif present.type != op.particle.type:
            raise Refused(Result.BIN_TYPE)
        elif present.type == DOUBLE:
            total = unpack(">d", present.value)[0] + unpack(">d", op.particle.value)[0]
            self.bins[op.name] = Particle(DOUBLE, pack(">d", total))
        else:
            added = int.from_bytes(present.value) + int.from_bytes(op.particle.value)
            self.bins[op.name] = Particle(INTEGER, (added & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8))  # wraps around

    def _append(self, op: Op) -> None:
        self.bins[op.name] = Particle(op.particle.type, self._text(op) + op.particle.value)

    def _prepend(self, op: Op) -> None:
        self.bins[op.name] = Particle(op.particle.type, op.particle.value + self._text(op))

    def _text(self, op: Op) -> bytes:
        present = self.bins.get(op.name, Particle(op.particle.type, b""))
        if op.particle.type not in (STRING, BLOB) or present.type != op.particle.type:
            raise Refused(Result.BIN_TYPE)
        return present.value

    def _touch(self, op: Op) -> None:
        """Only the write itself counts."""

    def _delete(self, op: Op) -> None:
        self.bins.clear()

    _WRITES: dict[int, Callable[[_Changes, Op], None]] = {  # noqa: RUF012
        Code.WRITE: _put,
        Code.INCR: _incr,
        Code.APPEND: _append,
        Code.PREPEND: _prepend,
        Code.TOUCH: _touch,
        Code.DELETE: _delete,
    }
