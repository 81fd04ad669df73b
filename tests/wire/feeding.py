"""The ways in which every decoder is fed, and what is asked of it each time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.errors import ProtocolError
from kt_core.wire.exchange import NEED_DATA, Buffer, Decoder

Make = Callable[[], Decoder[Any]]


class CountingBuffer(Buffer):
    """Counts the bytes that are copied when pieces are joined."""

    __slots__ = ("copied",)

    def __init__(self) -> None:
        super().__init__()
        self.copied = 0

    @property
    def rest(self) -> bytes:
        rest = super().rest
        self.copied += len(rest)
        return rest


def typed(message: object) -> tuple[type, object]:
    """Return what tells equal tuples of different kinds apart."""
    return type(message), message


def check_decoding(make: Make, data: bytes, message: object, trailing: bytes = b"\xba\x00HTTP/1.1 \r\n\r\n") -> None:
    """Feed a message whole, byte by byte, cut in two anywhere, and with more behind it."""
    decoder = make()
    assert typed(decoder.feed(data)) == typed(message)
    assert decoder.rest == b""

    decoder = make()
    for index in range(len(data) - 1):
        assert decoder.feed(data[index : index + 1]) is NEED_DATA
        assert decoder.feed(b"") is NEED_DATA
    assert typed(decoder.feed(data[-1:])) == typed(message)
    assert decoder.rest == b""

    for cut in range(1, len(data)):
        decoder = make()
        assert decoder.feed(data[:cut]) is NEED_DATA
        assert typed(decoder.feed(data[cut:] + trailing)) == typed(message)
        assert decoder.rest == trailing

    decoder = make()
    assert typed(decoder.feed(data + trailing)) == typed(message)
    assert decoder.rest == trailing


def feed_pieces(decoder: Decoder[Any], data: bytes, size: int) -> Any:
    """Feed all pieces of some size and return what the last of them gives."""
    message: Any = NEED_DATA
    for start in range(0, len(data), size):
        assert message is NEED_DATA
        message = decoder.feed(data[start : start + size])
    return message


def check_survives(decoder: Decoder[Any], pieces: list[bytes]) -> None:
    """Feed anything: a message, the wish for more, or `ProtocolError` may come of it, and nothing else."""
    try:
        for piece in pieces:
            message = decoder.feed(piece)
            for _ in range(len(piece)):  # every message takes a byte or more
                if message is NEED_DATA:
                    break
                message = decoder.feed(b"")
    except ProtocolError:
        pass


def check_refused(make: Make, data: bytes, error: type[ProtocolError]) -> None:
    """Feed something malformed, whole and byte by byte; the very error comes, and no memory is taken for it."""
    for size in (len(data), 1):
        with pytest.raises(ProtocolError) as caught:
            check_needs_more(make(), data, size)
        assert caught.type is error


def check_needs_more(decoder: Decoder[Any], data: bytes, size: int) -> None:
    """Feed pieces of what is no whole message; no memory is taken for what it announces."""
    tracemalloc.start()
    try:
        for start in range(0, len(data), size):
            assert decoder.feed(data[start : start + size]) is NEED_DATA
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 18
