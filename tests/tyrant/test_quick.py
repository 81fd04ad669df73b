"""The short ways for one record do what the general ones do."""

from __future__ import annotations

from typing import Any

import pytest

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.tyrant import quick
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Decoder, TooLarge
from kt_core.wire.tt_binary import encode_reply, encode_request
from tests.wire.feeding import check_decoding, check_refused


def value_decoder() -> Decoder[Any]:
    """Return a decoder of the reply to a fetch."""
    decoder = quick.get(b"k", lambda value: value).decoder
    assert decoder is not None
    return decoder


def done_decoder() -> Decoder[Any]:
    """Return a decoder of the reply to a store."""
    decoder = quick.put(b"k", b"v").decoder
    assert decoder is not None
    return decoder


@pytest.mark.parametrize("key", [b"key", b"", b"k" * 100_000])
def test_requests(key: bytes) -> None:
    assert quick.get(key, lambda value: value).payload == encode_request(tt.Get(key))
    assert quick.put(key, b"value").payload == encode_request(tt.Put(key, b"value"))


def test_requests_that_cannot_be() -> None:
    too_long = bytes(REQUEST_LIMITS.key + 1)
    with pytest.raises(InvalidInput, match="bytes in a key"):
        quick.get(too_long, lambda value: value)
    with pytest.raises(InvalidInput, match="bytes in a key"):
        quick.put(too_long, b"v")
    with pytest.raises(InvalidInput, match="bytes in a value"):
        quick.put(b"k", too_long)


@pytest.mark.parametrize(
    ("reply", "value"), [(tt.Value(b"value"), b"value"), (tt.Value(b""), b""), (tt.Failed(), None)]
)
def test_replies_to_a_fetch(reply: tt.Reply, value: bytes | None) -> None:
    check_decoding(value_decoder, encode_reply(reply), value)


@pytest.mark.parametrize(("reply", "stored"), [(tt.Done(), True), (tt.Failed(), False)])
def test_replies_to_a_store(reply: tt.Reply, stored: bool) -> None:
    check_decoding(done_decoder, encode_reply(reply), stored)


def test_a_large_value_is_not_copied_with_each_of_its_pieces() -> None:
    data = encode_reply(tt.Value(bytes(1 << 20)))
    decoder = value_decoder()
    for start in range(0, len(data) - 1000, 1000):
        assert decoder.feed(data[start : start + 1000]) is NEED_DATA
        assert decoder.rest == b""
    assert decoder.feed(data[start + 1000 :]) == bytes(1 << 20)


def test_what_is_no_reply() -> None:
    for make in (value_decoder, done_decoder):
        check_refused(make, b"HTTP/1.1 200 OK\r\n\r\n"[:1], ProtocolError)
        check_refused(make, b"\2", ProtocolError)
    check_refused(value_decoder, b"\0\xff\xff\xff\xff", TooLarge)


def test_the_result_is_what_is_made_of_the_value() -> None:
    op = quick.get(b"k", lambda value: [value])
    assert op.finish(b"v") == [b"v"]
    assert op.idempotent is quick.put(b"k", b"v").idempotent is True
