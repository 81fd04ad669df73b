"""The changes in Tokyo Tyrant's update log: as they lie in its files, and as a master streams them to a slave.

Each is the request that made it, whether that succeeded, when it was, and where. Source: the Tokyo Tyrant protocol
reference, sections 9.2 and 9.3.
"""

from __future__ import annotations

from struct import error
from typing import Final, NamedTuple, TypeVar

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Buffer, Limits, NeedData
from kt_core.wire.tt_binary import COMMANDS, FAILURE, MAGIC, SUCCESS, RequestDecoder
from kt_core.wire.tt_layouts import INT32_MAX, Layout, LayoutDecoder
from kt_core.wire.tt_messages import Request

M = TypeVar("M")


class Change(NamedTuple):
    """A request that was made, and whether it succeeded."""

    request: Request
    ok: bool = True


class LogRecord(NamedTuple):
    """A change in a file: its time in microseconds since 1970, the server where it began, the master it came from."""

    time: int
    sid: int
    mid: int
    change: Change


class StreamRecord(NamedTuple):
    """A change that a master sends: its time in microseconds since 1970, and the server where it began."""

    time: int
    sid: int
    change: Change


class KeepAlive(NamedTuple):
    """What a master sends when there is nothing to be told."""


_RECORD, _KEEP_ALIVE = 0xC9, 0xCA
_MISC = 0x90
_LOGGED = (tt.Put, tt.PutKeep, tt.PutCat, tt.PutShl, tt.Out, tt.AddInt, tt.AddDouble, tt.Sync, tt.Optimize, tt.Vanish)
# The options of a call are left out of the log.
_CHANGES: Final = {
    **{command: layout for command, layout in COMMANDS.items() if layout.kind in _LOGGED},
    _MISC: Layout(lambda name, arguments: tt.Misc(name, 0, arguments), "fn", (MAGIC, _MISC)),
}
_LAYOUTS: Final = {layout.kind: layout for layout in _CHANGES.values()}

_LOG: Final = Layout(LogRecord, "qhhv", (_RECORD,))
_STREAM: Final = Layout(StreamRecord, "qiv", (_RECORD,))


def _encode_change(change: Change) -> bytes:
    request, ok = change
    if isinstance(request, tt.Misc):
        packed = _CHANGES[_MISC].pack((request.name, request.arguments))
    elif isinstance(request, _LOGGED):
        packed = _LAYOUTS[type(request)].pack(request)
    else:
        raise InvalidInput(f"{type(request).__name__} changes nothing that a log would tell")
    return packed + bytes((SUCCESS if ok else FAILURE,))


def _decode_change(payload: bytes, limits: Limits) -> Change:
    decoder = RequestDecoder(limits, commands=_CHANGES)
    request = decoder.feed(payload[:-1])
    if isinstance(request, NeedData) or decoder.rest:
        raise ProtocolError("a change is not as long as it should be")
    if payload[-1] > FAILURE:
        raise ProtocolError(f"a change ends in 0x{payload[-1]:02x} where 0 or 1 must be")
    return Change(request, payload[-1] == SUCCESS)


def encode_log_record(record: LogRecord) -> bytes:
    """Return the bytes of a record in a file; `InvalidInput` for a request that changes nothing."""
    return _pack(_LOG, (*record[:-1], _encode_change(record.change)))


def encode_stream_record(record: StreamRecord | KeepAlive) -> bytes:
    """Return the bytes of a record in a stream; `InvalidInput` for a request that changes nothing."""
    if isinstance(record, KeepAlive):
        return bytes((_KEEP_ALIVE,))
    return _pack(_STREAM, (*record[:-1], _encode_change(record.change)))


def _pack(layout: Layout, fields: tuple[object, ...]) -> bytes:
    try:
        return layout.pack(fields)
    except error as problem:
        raise InvalidInput(f"the number of a server has 16 bits in a file, 32 in a stream: {problem}") from problem


class _RecordDecoder(LayoutDecoder[M]):
    _layout: Layout

    def __init__(self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None) -> None:
        super().__init__(Limits(value=min(limits.message, INT32_MAX)), buffer)
        self._change_limits = limits

    def _begin(self, data: bytes, at: int) -> M | NeedData:
        if at == len(data):
            return self._buffer.want(1)
        if data[at] != _RECORD:
            return self._begin_other(data[at])
        fields = self._read(self._layout, data, at)
        if fields is None:
            return NEED_DATA
        fields[-1] = _decode_change(fields[-1], self._change_limits)
        self._buffer.release()
        return self._layout.kind(*fields)  # type: ignore[no-any-return]

    def _begin_other(self, first: int) -> M:
        raise ProtocolError(f"0x{first:02x} begins no record")


class LogDecoder(_RecordDecoder[LogRecord]):
    """Decodes the records of a file, one after the other."""

    _layout = _LOG


class StreamDecoder(_RecordDecoder[StreamRecord | KeepAlive]):
    """Decodes what a master sends behind its `Master`, one record after the other."""

    _layout = _STREAM

    def _begin_other(self, first: int) -> StreamRecord | KeepAlive:
        if first != _KEEP_ALIVE:
            return super()._begin_other(first)
        self._buffer.at += 1
        return KeepAlive()
