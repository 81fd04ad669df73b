"""Limits at their edges: what is as large as may be is waited for, and one more is refused before anything is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kt_cache.compression import MAX_EXPANDED
from kt_core.errors import ProtocolError
from kt_core.server import ServerOptions
from kt_core.server.tyrant.server import TyrantOptions
from kt_core.wire import http, kt_binary, tt_binary
from kt_core.wire.exchange import NEED_DATA, Decoder
from kt_core.wire.memcached import TextDecoder, WordsDecoder

PART = 256 << 20
RECORDS = 1 << 20
BODY = b"PUT /k HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
CHUNK = b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n"
MEMCACHED = b"set k 0 0 %d\r\n"


def four(head: bytes, tail: bytes = b"") -> Callable[[int], bytes]:
    """Return what announces a number in four bytes."""
    return lambda number: head + number.to_bytes(4, "big") + tail


ANNOUNCED: dict[str, tuple[Callable[[], Decoder[Any]], Callable[[int], bytes], int]] = {
    "key to set": (kt_binary.RequestDecoder, four(b"\xb8\0\0\0\0\0\0\0\1\0\0", bytes(12)), PART),
    "value to set": (kt_binary.RequestDecoder, four(b"\xb8\0\0\0\0\0\0\0\1\0\0\0\0\0\1", bytes(8)), PART),
    "key to get": (kt_binary.RequestDecoder, four(b"\xba\0\0\0\0\0\0\0\1\0\0"), PART),
    "key to remove": (kt_binary.RequestDecoder, four(b"\xb9\0\0\0\0\0\0\0\1\0\0"), PART),
    "records to set": (kt_binary.RequestDecoder, four(b"\xb8\0\0\0\0"), RECORDS),
    "records to get": (kt_binary.RequestDecoder, four(b"\xba\0\0\0\0"), RECORDS),
    "records for a script": (kt_binary.RequestDecoder, four(b"\xb4\0\0\0\0\0\0\0\1", b"f"), RECORDS),
    "body": (http.RequestDecoder, lambda size: BODY % size, PART),
    "chunk": (http.RequestDecoder, lambda size: CHUNK % size, PART),
    "header line": (http.RequestDecoder, lambda size: b"GET / HTTP/1.1\r\n" + b"a: ".ljust(size, b"x"), 8191),
    "headers": (http.RequestDecoder, lambda count: b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * count, 100),
    "Tokyo Tyrant's key": (tt_binary.RequestDecoder, four(b"\xc8\x10", bytes(4)), PART),
    "Tokyo Tyrant's value": (tt_binary.RequestDecoder, four(b"\xc8\x10\0\0\0\1"), PART),
    "Tokyo Tyrant's keys": (tt_binary.RequestDecoder, four(b"\xc8\x31"), RECORDS),
    "memcached's value": (WordsDecoder, lambda size: MEMCACHED % size, PART),
    "memcached's value at Tokyo Tyrant's": (TextDecoder, lambda size: MEMCACHED % size, PART),
}


@pytest.mark.parametrize("what", ANNOUNCED)
def test_the_most_is_waited_for_and_one_more_refused(what: str) -> None:
    decoder, announce, most = ANNOUNCED[what]
    assert decoder().feed(announce(most)) is NEED_DATA
    with pytest.raises(ProtocolError):
        decoder().feed(announce(most + 1))


@pytest.mark.parametrize("options", [ServerOptions, TyrantOptions])
def test_the_defaults_of_servers(options: type[ServerOptions | TyrantOptions]) -> None:
    made = options()
    assert (made.host, made.timeout, made.max_connections, made.max_reply) == ("127.0.0.1", 30, 10_000, 1 << 30)


def test_the_defaults_of_scripts() -> None:
    assert (ServerOptions().script_patience, ServerOptions().script_memory) == (10, 256 << 20)


def test_the_most_that_a_value_expands_to() -> None:
    assert MAX_EXPANDED == 1 << 30
