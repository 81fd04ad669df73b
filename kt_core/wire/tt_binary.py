"""The binary protocol of Tokyo Tyrant: the bytes of its requests and replies in both directions.

Source: the Tokyo Tyrant protocol reference, sections 1 to 3. A request decoder gives whole messages, and refuses what
the original server would take for the beginning of another one; of other status bytes than 0 and 1, which no server
sends, a reply decoder believes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from struct import error
from typing import Final, Generic, TypeVar

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Buffer, Limits, NeedData
from kt_core.wire.tt_layouts import NAME_MAX, PAIRS, REPLY_LIMITS, Layout, LayoutDecoder
from kt_core.wire.tt_messages import Failed, Reply, Request

R = TypeVar("R", bound=Reply)

MAGIC: Final = 0xC8
"""The first byte of every request; whatever else a connection begins with is text."""

SUCCESS, FAILURE = 0, 1

COMMANDS: Final[Mapping[int, Layout]] = {
    command: Layout(kind, letters, (MAGIC, command))
    for command, kind, letters in (
        (0x10, tt.Put, "kv"),
        (0x11, tt.PutKeep, "kv"),
        (0x12, tt.PutCat, "kv"),
        (0x13, tt.PutShl, "kvw"),
        (0x18, tt.PutNr, "kv"),
        (0x20, tt.Out, "k"),
        (0x30, tt.Get, "k"),
        (0x31, tt.MGet, "n"),
        (0x38, tt.VSiz, "k"),
        (0x50, tt.IterInit, ""),
        (0x51, tt.IterNext, ""),
        (0x58, tt.FwmKeys, "ki"),
        (0x60, tt.AddInt, "ki"),
        (0x61, tt.AddDouble, "kqq"),
        (0x68, tt.Ext, "fikv"),
        (0x70, tt.Sync, ""),
        (0x71, tt.Optimize, "v"),
        (0x72, tt.Vanish, ""),
        (0x73, tt.Copy, "v"),
        (0x74, tt.Restore, "vqi"),
        (0x78, tt.SetMst, "viqi"),
        (0x80, tt.RNum, ""),
        (0x81, tt.Size, ""),
        (0x88, tt.Stat, ""),
        (0x90, tt.Misc, "fin"),
        (0xA0, tt.Repl, "qi"),
    )
}
_REQUESTS: Final = {layout.kind: layout for layout in COMMANDS.values()}
_REPLIES: Final = {
    layout.kind: layout
    for layout in (
        Layout(tt.Done, "", (SUCCESS,)),
        Layout(tt.Failed, "", (FAILURE,)),
        Layout(tt.Value, "v", (SUCCESS,)),
        Layout(tt.Integer, "i", (SUCCESS,)),
        Layout(tt.Double, "qq", (SUCCESS,)),
        Layout(tt.Long, "q", (SUCCESS,)),
        Layout(tt.Records, "n", (SUCCESS,), PAIRS),
        Layout(tt.Elements, "n", (SUCCESS,)),
        Layout(tt.Master, "i", ()),
    )
}


# --- Encoding


def encode_request(message: Request, limits: Limits = REQUEST_LIMITS) -> bytes:
    """Return the bytes of a request; `InvalidInput` if no server would take it."""
    layout = _REQUESTS[type(message)]
    try:
        payload = layout.pack(message)
    except error as problem:
        raise InvalidInput(f"a number has 32 bits; a time, and each part of a double, 64: {problem}") from problem
    if len(payload) > NAME_MAX or layout.kind is tt.PutShl:  # only then can anything be too large
        layout.check(message, limits)
    return payload


def encode_reply(message: Reply) -> bytes:
    """Return the bytes of a reply."""
    if isinstance(message, tt.Records | tt.Elements):
        return _REPLIES[type(message)].pack(message, (SUCCESS if message.ok else FAILURE,))
    return _REPLIES[type(message)].pack(message)


# --- Decoding


class RequestDecoder(LayoutDecoder[Request]):
    """Decodes requests, one after the other; after a `ProtocolError` the connection is closed without a word."""

    def __init__(
        self,
        limits: Limits = REQUEST_LIMITS,
        buffer: Buffer | None = None,
        *,
        commands: Mapping[int, Layout] = COMMANDS,
    ) -> None:
        super().__init__(limits, buffer)
        self._commands = commands

    def _begin(self, data: bytes, at: int) -> Request | NeedData:
        if at == len(data):
            return self._buffer.want(1)
        if data[at] != MAGIC:
            raise ProtocolError(f"0x{data[at]:02x} begins no request")
        if at + 2 > len(data):
            return self._buffer.want(2)
        layout = self._commands.get(data[at + 1])
        if layout is None:
            raise ProtocolError(f"there is no command 0x{data[at + 1]:02x}")
        fields = self._read(layout, data, at)
        if fields is None:
            return NEED_DATA
        if layout.counted:
            self._make = partial(layout.kind, *fields)
            return NEED_DATA
        self._buffer.release()
        return layout.kind(*fields)  # type: ignore[no-any-return]


class ReplyDecoder(LayoutDecoder[R | Failed], Generic[R]):
    """Decodes the replies to one kind of request."""

    def __init__(self, kind: type[R], limits: Limits = REPLY_LIMITS, buffer: Buffer | None = None) -> None:
        super().__init__(limits, buffer)
        self.kind = kind
        self._layout = _REPLIES[kind]

    def _begin(self, data: bytes, at: int) -> R | Failed | NeedData:
        layout = self._layout
        if at == len(data):
            return self._buffer.want(1)
        code = data[at] if layout.prefix else SUCCESS
        if code > FAILURE:
            raise ProtocolError(f"0x{code:02x} begins the reply where 0 or 1 must")
        if code == FAILURE and not layout.counted:
            self._buffer.at = at + 1
            return Failed()
        fields = self._read(layout, data, at)
        if fields is None:
            return NEED_DATA
        if layout.counted:
            self._make = partial(layout.kind, ok=code == SUCCESS)
            return NEED_DATA
        return layout.kind(*fields)  # type: ignore[no-any-return]
