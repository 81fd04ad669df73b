"""The short ways for one record do what the general ones do."""

from __future__ import annotations

import pytest

from kt_core.errors import InvalidInput, ProtocolError, ServerError
from kt_core.kyoto import operations as ops
from kt_core.kyoto.quick import Found
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Op
from kt_core.wire.kt_binary import (
    NEVER_XT,
    XT_MAX,
    GetBulk,
    GetReply,
    RemoveReply,
    SetBulk,
    SetReply,
    encode_reply,
    encode_request,
)
from tests.wire.feeding import check_decoding, check_refused

RECORD = (3, b"key", b"value", 7)


@pytest.mark.parametrize(("db", "key"), [(0, b"key"), (0xFFFF, b""), (1, b"k" * 100_000)])
def test_requests(db: int, key: bytes) -> None:
    assert ops.get(db, key).payload == encode_request(GetBulk(((db, key),)))
    for xt in (0, -5, NEVER_XT):
        for no_reply in (False, True):
            op = ops.put(db, key, b"value", xt, no_reply=no_reply)
            assert op.payload == encode_request(SetBulk(((db, key, b"value", xt),), no_reply))
            assert (op.decoder is None) == no_reply
            assert op.idempotent


def test_requests_that_cannot_be() -> None:
    for db in (-1, 1 << 16):
        with pytest.raises(InvalidInput, match="16 bits"):
            ops.get(db, b"k")
        with pytest.raises(InvalidInput, match="16 bits"):
            ops.put(db, b"k", b"v")
    with pytest.raises(InvalidInput, match="16 bits"):
        ops.put(0, b"k", b"v", 1 << 63)
    too_long = bytes(REQUEST_LIMITS.key + 1)
    with pytest.raises(InvalidInput, match="no server takes them"):
        ops.get(0, too_long)
    with pytest.raises(InvalidInput, match="no server takes them"):
        ops.put(0, b"k", too_long)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (GetReply((RECORD,)), Found(b"value", 7)),
        (GetReply(((0, b"", b"", XT_MAX),)), Found(b"", XT_MAX)),
        (GetReply(()), None),
        (GetReply((RECORD, (3, b"key", b"other", 8))), Found(b"value", 7)),
    ],
)
def test_replies_to_a_fetch(reply: GetReply, found: Found | None) -> None:
    check_decoding(lambda: decoder_of(ops.get(3, b"key")), encode_reply(reply), found)


def test_a_large_value_is_not_copied_with_each_of_its_pieces() -> None:
    data = encode_reply(GetReply(((0, b"key", bytes(1 << 20), XT_MAX),)))
    decoder = decoder_of(ops.get(0, b"key"))
    for start in range(0, len(data) - 1000, 1000):
        assert decoder.feed(data[start : start + 1000]) is NEED_DATA
        assert decoder.rest == b""
    assert decoder.feed(data[start + 1000 :]) == Found(bytes(1 << 20), XT_MAX)


@pytest.mark.parametrize("hits", [0, 1, 2])
def test_replies_to_a_store(hits: int) -> None:
    check_decoding(lambda: decoder_of(ops.put(0, b"k", b"v")), encode_reply(SetReply(hits)), hits)


@pytest.mark.parametrize("op", [lambda: ops.get(0, b"k"), lambda: ops.put(0, b"k", b"v")])
def test_what_is_no_reply(op: object) -> None:
    assert callable(op)
    for data in (b"HTTP/1.1 200 OK\r\n\r\n", encode_reply(RemoveReply(1)), b"\0"):
        check_refused(lambda: decoder_of(op()), data, ProtocolError)
    decoder = decoder_of(op())
    with pytest.raises(ServerError, match="the server refused the request"):
        decoder.feed(b"\xbf")
    assert decoder.closing


def test_a_reply_means_what_its_reader_makes_of_it() -> None:
    op = ops.get(0, b"k", lambda found: found and found.value.decode())
    assert op.finish(Found(b"text", 1)) == "text"
    assert op.finish(None) is None
    assert ops.get(0, b"k").finish(Found(b"v", 1)) == Found(b"v", 1)
    assert ops.put(0, b"k", b"v", no_reply=True).finish(None) == 0


MANY = GetReply(((1, b"a", b"1", 5), (1, "ä".encode(), b"", XT_MAX), (1, b"", b"long" * 100, 7)))


class TestMany:
    @pytest.mark.parametrize("keys", [[], [b""], [b"a", b"bc", b"a"], [b"k" * size for size in (254, 255, 256, 257)]])
    def test_requests(self, keys: list[bytes]) -> None:
        wire = encode_request(GetBulk([(7, key) for key in keys]))
        assert ops.fetch(7, keys, dict).payload == ops.fetch_texts(7, keys).payload == wire

    def test_requests_that_cannot_be(self) -> None:
        with pytest.raises(InvalidInput, match="16 bits"):
            ops.fetch(-1, [b"k"], dict)
        with pytest.raises(InvalidInput, match="no server takes them"):
            ops.fetch(0, [b"a", bytes(REQUEST_LIMITS.key + 1)], dict)

    def test_replies(self) -> None:
        for reply in (MANY, GetReply(())):
            found = {key: value for _, key, value, _ in reply.records}
            check_decoding(lambda: decoder_of(ops.fetch(1, [], dict)), encode_reply(reply), found)
            texts = {key.decode(): value.decode() for key, value in found.items()}
            check_decoding(lambda: decoder_of(ops.fetch_texts(1, [])), encode_reply(reply), texts)

    def test_what_is_no_text_stays_bytes(self) -> None:
        reply = GetReply(((0, b"a", b"\xff", 1), (0, b"\xff", b"b", 1)))
        check_decoding(lambda: decoder_of(ops.fetch_texts(0, [])), encode_reply(reply), {"a": b"\xff", b"\xff": "b"})

    def test_what_is_no_reply(self) -> None:
        for make in (lambda: ops.fetch(0, [], dict), lambda: ops.fetch_texts(0, [])):
            check_refused(lambda: decoder_of(make()), b"\xb8\0\0\0\0", ProtocolError)  # noqa: B023
            decoder = decoder_of(make())
            with pytest.raises(ServerError, match="the server refused the request"):
                decoder.feed(b"\xbf")
            assert decoder.closing

    def test_a_reply_may_announce_more_than_it_has(self) -> None:
        announced = b"\xba\xff\xff\xff\xff" + encode_reply(MANY)[5:]
        for make in (lambda: ops.fetch(0, [], dict), lambda: ops.fetch_texts(0, [])):
            assert decoder_of(make()).feed(announced) is NEED_DATA


def decoder_of(op: Op[object]) -> object:
    assert op.decoder is not None
    return op.decoder
