"""Calls that are sent together are answered each as if it had been sent alone."""

from __future__ import annotations

import pytest

from kt_core.errors import ProtocolError, ServerError
from kt_core.kyoto import operations as ops
from kt_core.transport import Address, Connection
from kt_core.wire import http
from kt_core.wire.exchange import NEED_DATA
from kt_core.wire.kt_rpc import RpcReply, encode_reply
from tests.wire.feeding import check_decoding

REPLIES = [
    RpcReply(200, {b"xt": b"5", b"vsiz": b"3"}),
    RpcReply(450, {b"ERROR": b"DB: 7: no record"}),
    RpcReply(200, {}),
]


def sent(reply: RpcReply) -> bytes:
    return http.encode_response(encode_reply(reply), b"test", b"now")


def test_the_requests_are_sent_in_their_order() -> None:
    calls = [ops.check(0, b"a"), ops.check(1, b"b"), ops.add(0, b"c", b"v")]
    assert ops.together(iter(calls)).payload == b"".join(call.payload for call in calls)


def test_replies_come_in_any_pieces() -> None:
    calls = [ops.check(0, b"k")] * len(REPLIES)
    check_decoding(lambda: ops.together(calls).decoder, b"".join(map(sent, REPLIES)), REPLIES)


def test_each_reply_is_understood_by_its_own_call() -> None:
    calls = [ops.check(0, b"a"), ops.check(0, b"b"), ops.add(0, b"c", b"v")]
    assert ops.together(calls).finish(REPLIES) == [(3, 5), None, True]
    assert ops.together([calls[2], calls[1], calls[0]]).finish(REPLIES[::-1]) == [True, None, (3, 5)]


def test_one_error_is_the_error_of_all() -> None:
    together = ops.together([ops.check(0, b"a"), ops.check(9, b"b")])
    with pytest.raises(ServerError, match="400: no such database"):
        together.finish([REPLIES[0], RpcReply(400, {b"ERROR": b"no such database"})])


def test_a_reply_that_is_none_ends_it() -> None:
    decoder = ops.together([ops.check(0, b"a")] * 2).decoder
    assert decoder is not None
    assert decoder.feed(sent(REPLIES[0])) is NEED_DATA
    with pytest.raises(ProtocolError):
        decoder.feed(b"\xba\0\0\0\0 nonsense\r\n\r\n")


def test_they_are_sent_again_only_if_each_may_be() -> None:
    assert ops.together([ops.check(0, b"a"), ops.check(0, b"b")]).idempotent
    assert not ops.together([ops.check(0, b"a"), ops.increment(0, b"n", 1)]).idempotent
    assert not ops.scan_keys(1, 3).idempotent
    assert not ops.scan_entries(1, 3).idempotent


def test_a_scan_ends_with_the_first_that_finds_nothing() -> None:
    found, end = RpcReply(200, {b"key": b"k"}), RpcReply(450, {b"ERROR": b"DB: 7: no record"})
    assert ops.scan_keys(1, 4).finish([found, found, end, end]) == [b"k", b"k"]
    assert ops.scan_keys(1, 1).finish([end]) == []


@pytest.mark.parametrize("count", [1, 2, 64])
def test_servers_answer_all_of_them(kyoto: Address, count: int) -> None:
    connection = Connection(kyoto, 10)
    connection.run(ops.clear(0))
    keys = [b"%d" % number for number in range(count)]
    assert connection.run(ops.together([ops.add(0, key, b"v" * 1000) for key in keys])) == [True] * count
    assert connection.run(ops.together([ops.add(0, key, b"v") for key in keys])) == [False] * count
    seized = connection.run(ops.together([ops.seize(0, key) for key in [*keys, b"none"]]))
    assert [found and found.value for found in seized] == [*[b"v" * 1000] * count, None]
    assert connection.run(ops.check(0, b"0")) is None
    connection.close()
