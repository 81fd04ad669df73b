"""The buffer below all decoders, and the types of an exchange."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.wire import http
from kt_core.wire.exchange import NEED_DATA, REPLY_LIMITS, REQUEST_LIMITS, Buffer, Decoder, NeedData
from kt_core.wire.kt_binary import GetBulk, RequestDecoder, encode_request
from tests.wire.feeding import CountingBuffer


def test_there_is_one_need() -> None:
    assert list(NeedData) == [NEED_DATA]


def test_the_limits_are_those_of_the_original_server() -> None:
    assert REQUEST_LIMITS.key == REQUEST_LIMITS.value == REQUEST_LIMITS.body == 1 << 28
    assert REQUEST_LIMITS.header_line == 8191


def test_a_reply_may_hold_more_than_a_request() -> None:
    assert REPLY_LIMITS.records > REQUEST_LIMITS.records
    assert REPLY_LIMITS.body > REQUEST_LIMITS.body


def test_what_arrives_at_once_is_not_copied() -> None:
    buffer, data = CountingBuffer(), b"x" * 100
    assert buffer.add(data)
    assert buffer.data is data
    assert buffer.copied == 0


def test_an_empty_piece_changes_nothing() -> None:
    buffer = CountingBuffer()
    buffer.add(b"abc")
    buffer.at = 1
    assert buffer.add(b"")
    assert (buffer.data, buffer.at, buffer.copied) == (b"abc", 1, 0)


def test_pieces_are_joined_once() -> None:
    buffer = CountingBuffer()
    buffer.add(b"12")
    assert buffer.want(1002) is NEED_DATA
    assert [buffer.add(b"x") for _ in range(1000)] == [False] * 999 + [True]
    assert buffer.data == b"12" + b"x" * 1000
    assert buffer.copied == 1002


def test_what_is_wanted_is_counted_from_the_place_reached() -> None:
    buffer = Buffer()
    buffer.add(b"abcdef")
    buffer.at = 4
    buffer.want(3)
    assert buffer.rest == b"ef"
    assert buffer.add(b"g")
    assert (buffer.data, buffer.at) == (b"efg", 0)


def test_the_rest_is_known_while_more_is_wanted() -> None:
    buffer = Buffer()
    buffer.add(b"ab")
    buffer.want(10)
    buffer.add(b"cd")
    assert buffer.rest == b"abcd"


def test_what_has_been_read_is_let_go() -> None:
    buffer = Buffer()
    buffer.add(b"abc")
    buffer.at = 2
    buffer.release()
    assert buffer.rest == b"c"
    buffer.at = 3
    buffer.release()
    assert (buffer.data, buffer.at, buffer.rest) == (b"", 0, b"")


@pytest.mark.parametrize(
    ("decoder", "message"),
    [(RequestDecoder(), encode_request(GetBulk([(0, b"k")]))), (http.RequestDecoder(), b"GET / HTTP/1.1\n\n")],
)
def test_a_connection_that_idles_holds_no_message(decoder: Decoder[object], message: bytes) -> None:
    held = sys.getrefcount(message)
    assert decoder.feed(message) is not NEED_DATA
    assert sys.getrefcount(message) == held


@given(st.lists(st.binary(max_size=5)), st.lists(st.integers(1, 7)))
def test_nothing_is_lost_or_doubled(pieces: list[bytes], wishes: list[int]) -> None:
    buffer, taken, wanted = Buffer(), b"", iter(wishes)
    need = 1
    for piece in pieces:
        if not buffer.add(piece):
            continue
        while len(buffer.data) - buffer.at >= need:
            taken += buffer.data[buffer.at : buffer.at + need]
            buffer.at += need
            need = next(wanted, 1)
        buffer.want(need)
    assert len(buffer.rest) < need
    assert taken + buffer.rest == b"".join(pieces)
