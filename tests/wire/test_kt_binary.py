"""The binary protocol: every message in both directions, whole and in pieces, and what is refused."""

from __future__ import annotations

from functools import partial
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Buffer, Limits, TooLarge
from kt_core.wire.kt_binary import (
    NEVER_XT,
    XT_MAX,
    ErrorReply,
    GetBulk,
    GetReply,
    PlayScript,
    RemoveBulk,
    RemoveReply,
    ReplyDecoder,
    Request,
    RequestDecoder,
    ScriptReply,
    SetBulk,
    SetReply,
    encode_reply,
    encode_request,
)
from tests.wire.feeding import (
    CountingBuffer,
    check_decoding,
    check_needs_more,
    check_refused,
    check_survives,
    feed_pieces,
    typed,
)

NEVER = "7fffffffffffffff"

# Those marked are captures of the protocol reference.
REQUESTS: dict[str, tuple[Request, str]] = {
    "set, captured": (
        SetBulk([(0, b"key", b"value", 100)]),
        "b8 00000000 00000001 0000 00000003 00000005 0000000000000064 6b6579 76616c7565",
    ),
    "set never": (SetBulk([(1, b"k", b"", NEVER_XT)]), f"b8 00000000 00000001 0001 00000001 00000000 {NEVER} 6b"),
    "set nothing": (SetBulk([]), "b8 00000000 00000000"),
    "set at a time": (
        SetBulk([(65535, b"", b"v", -1795295478)], no_reply=True),
        "b8 00000001 00000001 ffff 00000000 00000001 ffffffff94fdf70a 76",
    ),
    "set two": (
        SetBulk([(0, b"a", b"1", 0), (2, b"b", b"22", -1)]),
        "b8 00000000 00000002 0000 00000001 00000001 0000000000000000 61 31"
        "0002 00000001 00000002 ffffffffffffffff 62 3232",
    ),
    "get, captured": (
        GetBulk([(0, b"key"), (0, b"nop")]),
        "ba 00000000 00000002 0000 00000003 6b6579 0000 00000003 6e6f70",
    ),
    "get one": (GetBulk([(3, b"k")]), "ba 00000000 00000001 0003 00000001 6b"),
    "get the empty key": (GetBulk([(0, b"")]), "ba 00000000 00000001 0000 00000000"),
    "get nothing": (GetBulk([]), "ba 00000000 00000000"),
    "remove one": (RemoveBulk([(0, b"k")]), "b9 00000000 00000001 0000 00000001 6b"),
    "remove two": (
        RemoveBulk([(0, b"k"), (9, b"\x00\xff")], no_reply=True),
        "b9 00000001 00000002 0000 00000001 6b 0009 00000002 00ff",
    ),
    "script, captured": (
        PlayScript(b"hello", [(b"k", b"v")]),
        "b4 00000000 00000005 00000001 68656c6c6f 00000001 00000001 6b 76",
    ),
    "script without a word": (PlayScript(b"f", [], no_reply=True), "b4 00000001 00000001 00000000 66"),
    "script without a name": (PlayScript(b"", [(b"", b"")]), "b4 00000000 00000000 00000001 00000000 00000000"),
}
REPLIES: dict[str, tuple[Any, str]] = {
    "set, captured": (SetReply(1), "b8 00000001"),
    "set none": (SetReply(0), "b8 00000000"),
    "removed many": (RemoveReply(0xFFFFFFFF), "b9 ffffffff"),
    "get, captured": (
        GetReply([(0, b"key", b"value", 1795295436)]),
        "ba 00000001 0000 00000003 00000005 000000006b0208cc 6b6579 76616c7565",
    ),
    "got nothing": (GetReply([]), "ba 00000000"),
    "got two": (
        GetReply([(0, b"", b"", XT_MAX), (1, b"k", b"v", NEVER_XT)]),
        f"ba 00000002 0000 00000000 00000000 000000ffffffffff 0001 00000001 00000001 {NEVER} 6b 76",
    ),
    "script, captured": (
        ScriptReply([(b"greet", b"hi"), (b"in_k", b"v")]),
        "b4 00000002 00000005 00000002 6772656574 6869 00000004 00000001 696e5f6b 76",
    ),
    "script nothing": (ScriptReply([]), "b4 00000000"),
}


@pytest.mark.parametrize(("message", "wire"), REQUESTS.values(), ids=REQUESTS)
def test_requests(message: Request, wire: str) -> None:
    assert encode_request(message) == bytes.fromhex(wire)
    check_decoding(RequestDecoder, bytes.fromhex(wire), message)


@pytest.mark.parametrize(("message", "wire"), REPLIES.values(), ids=REPLIES)
def test_replies(message: Any, wire: str) -> None:
    assert encode_reply(message) == bytes.fromhex(wire)
    check_decoding(partial(ReplyDecoder, type(message)), bytes.fromhex(wire), message)


@pytest.mark.parametrize(
    ("kind", "closing"), [(SetReply, True), (RemoveReply, True), (GetReply, True), (ScriptReply, False)]
)
def test_a_failure_is_one_byte_and_ends_the_connection_except_after_a_script(kind: Any, closing: bool) -> None:
    assert encode_reply(ErrorReply()) == b"\xbf"
    check_decoding(partial(ReplyDecoder, kind), b"\xbf", ErrorReply())
    decoder = ReplyDecoder(kind)
    decoder.feed(b"\xbf")
    assert decoder.closing is closing


@pytest.mark.parametrize("flags", ["00000002", "fffffffe"])
def test_other_flags_mean_nothing(flags: str) -> None:
    data = bytes.fromhex(f"b9 {flags} 00000000")
    assert RequestDecoder().feed(data) == RemoveBulk([], no_reply=False)


def test_get_bulk_is_always_answered() -> None:
    assert RequestDecoder().feed(bytes.fromhex("ba 00000001 00000000")) == GetBulk([])
    check_refused(RequestDecoder, bytes.fromhex("ba 00000001 00000001 0000 10000001"), TooLarge)


def test_pipelined_requests_come_one_by_one() -> None:
    decoder = RequestDecoder()
    messages = [message for message, _ in REQUESTS.values()]
    found = [decoder.feed(b"".join(bytes.fromhex(wire) for _, wire in REQUESTS.values()))]
    while (message := decoder.feed(b"")) is not NEED_DATA:
        found.append(message)
    assert list(map(typed, found)) == list(map(typed, messages))


def test_decoders_of_two_protocols_may_share_a_buffer() -> None:
    buffer = Buffer()
    first, second = RequestDecoder(buffer=buffer), ReplyDecoder(SetReply, buffer=buffer)
    assert first.feed(bytes.fromhex("ba 00000000 00000000 b8 00000007")) == GetBulk([])
    assert second.feed(b"") == SetReply(7)


# --- Refusals

TOO_LONG = pack(">I", (1 << 28) + 1)
LONGEST = pack(">I", 1 << 28)
SET, REMOVE, GET, SCRIPT = (bytes.fromhex(f"{opcode} 00000000") for opcode in ("b8", "b9", "ba", "b4"))
ONE = pack(">I", 1)

REFUSED_REQUESTS = {
    **{f"opcode {opcode:02x}": (bytes((opcode,)), ProtocolError) for opcode in (0x00, 0x80, 0xB0, 0xB1, 0xB2, 0xBF)},
    "key to set": (SET + ONE + b"\0\0" + TOO_LONG + ONE + bytes(8), TooLarge),
    "value to set": (SET + ONE + b"\0\0" + ONE + TOO_LONG + bytes(8), TooLarge),
    "second value to set": (SET + pack(">I", 2) + bytes(18) + b"\0\0" + ONE + TOO_LONG + bytes(8), TooLarge),
    "key to get": (GET + ONE + b"\0\0" + TOO_LONG, TooLarge),
    "key to remove": (REMOVE + ONE + b"\0\0" + TOO_LONG, TooLarge),
    "key for a script": (SCRIPT + ONE + ONE + b"f" + TOO_LONG + ONE, ProtocolError),
    "value for a script": (SCRIPT + ONE + ONE + b"f" + ONE + TOO_LONG, ProtocolError),
    "name of a script": (SCRIPT + TOO_LONG + ONE, ProtocolError),
    "key to set, no reply": (b"\xb8\0\0\0\1" + ONE + b"\0\0" + TOO_LONG + ONE + bytes(8), ProtocolError),
    "count, no reply": (b"\xb9\0\0\0\1\xff\xff\xff\xff", ProtocolError),
    "count": (SET + b"\xff\xff\xff\xff", TooLarge),
    "count for a script": (SCRIPT + bytes(4) + b"\xff\xff\xff\xff", ProtocolError),
}
REFUSED_REPLIES = {
    "another kind": (GetReply, b"\xb8", ProtocolError),
    "HTTP": (SetReply, b"H", ProtocolError),
    "key": (GetReply, b"\xba" + ONE + b"\0\0" + TOO_LONG + ONE + bytes(8), TooLarge),
    "value": (GetReply, b"\xba" + ONE + b"\0\0" + ONE + TOO_LONG + bytes(8), TooLarge),
    "value of a script": (ScriptReply, b"\xb4" + ONE + ONE + TOO_LONG, TooLarge),
}


@pytest.mark.parametrize(("data", "error"), REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS)
def test_requests_that_are_refused(data: bytes, error: type[ProtocolError]) -> None:
    check_refused(RequestDecoder, data, error)


@pytest.mark.parametrize(("kind", "data", "error"), REFUSED_REPLIES.values(), ids=REFUSED_REPLIES)
def test_replies_that_are_refused(kind: Any, data: bytes, error: type[ProtocolError]) -> None:
    check_refused(partial(ReplyDecoder, kind), data, error)


@pytest.mark.parametrize(
    "data",
    [
        SET + ONE + b"\0\0" + LONGEST + LONGEST + bytes(8),
        GET + ONE + b"\0\0" + LONGEST,
        SCRIPT + LONGEST + ONE,
        SCRIPT + ONE + ONE + b"f" + LONGEST + LONGEST,
        SET + pack(">I", REQUEST_LIMITS.records),
    ],
)
def test_the_longest_is_waited_for_without_taking_memory(data: bytes) -> None:
    check_needs_more(RequestDecoder(), data, len(data))


def test_the_whole_of_a_message_is_bounded() -> None:
    record = b"\0\0" + pack(">II", 1, 50) + bytes(8) + b"k" + bytes(50)
    decoder = RequestDecoder(Limits(message=200))
    assert decoder.feed(SET + pack(">I", 4) + record) is NEED_DATA
    assert decoder.feed(record) is NEED_DATA
    with pytest.raises(TooLarge):
        decoder.feed(record[:20])


UNUSABLE: dict[str, Request] = {
    "database": GetBulk([(65536, b"")]),
    "negative database": RemoveBulk([(-1, b""), (0, b"")]),
    "expiry": SetBulk([(0, b"", b"", 1 << 63)]),
    "expiry of two": SetBulk([(0, b"", b"", 0), (0, b"", b"", -(1 << 63) - 1)]),
}


@pytest.mark.parametrize("message", UNUSABLE.values(), ids=UNUSABLE)
def test_what_does_not_fit_is_the_callers_fault(message: Request) -> None:
    with pytest.raises(InvalidInput):
        encode_request(message)


TOO_LONG_TO_SEND: dict[str, Request] = {
    "value to set": SetBulk([(0, b"k", b"v", 0), (0, b"k", bytes(21), 0)]),
    "key to set": SetBulk([(0, bytes(11), b"v", 0)]),
    "key to get": GetBulk([(0, b"k"), (0, bytes(11))]),
    "key to remove": RemoveBulk([(0, bytes(11))]),
    "name of a script": PlayScript(bytes(11), []),
    "key for a script": PlayScript(b"f", [(bytes(11), b"")]),
    "value for a script": PlayScript(b"f", [(b"", bytes(21))]),
}


@pytest.mark.parametrize("message", TOO_LONG_TO_SEND.values(), ids=TOO_LONG_TO_SEND)
def test_what_no_server_takes_is_the_callers_fault(message: Request) -> None:
    with pytest.raises(InvalidInput):
        encode_request(message, Limits(key=10, value=20))


def test_many_that_are_long_together_are_no_fault() -> None:
    message = SetBulk([(0, bytes(10), bytes(20), 0)] * 5)
    assert encode_request(message, Limits(key=10, value=20)) == encode_request(message)


# --- Cost


def test_a_reply_in_pieces_is_read_once() -> None:
    reply = GetReply([(0, b"%024d" % number, bytes(200), XT_MAX) for number in range(10_000)])
    data = encode_reply(reply)
    buffer = CountingBuffer()
    assert feed_pieces(ReplyDecoder(GetReply, buffer=buffer), data, 65536) == reply
    assert buffer.copied < 1.1 * len(data)


def test_a_request_in_pieces_is_read_once() -> None:
    request = SetBulk([(0, b"%024d" % number, bytes(200), XT_MAX) for number in range(10_000)])
    data = encode_request(request)
    buffer = CountingBuffer()
    assert feed_pieces(RequestDecoder(buffer=buffer), data, 1000) == request
    assert buffer.copied < 1.4 * len(data)


def test_a_large_value_in_pieces_is_joined_once() -> None:
    request = SetBulk([(0, b"k", bytes(1 << 23), XT_MAX)])
    data = encode_request(request)
    buffer = CountingBuffer()
    assert feed_pieces(RequestDecoder(buffer=buffer), data, 65536) == request
    assert buffer.copied < 1.1 * len(data)


# --- Round trips

DATABASES = st.integers(0, 65535)
BYTES = st.binary(max_size=20)
EXPIRIES = st.integers(-(1 << 63), NEVER_XT) | st.sampled_from([0, -1, XT_MAX, NEVER_XT])
KEYS = st.lists(st.tuples(DATABASES, BYTES), max_size=5)
RECORDS = st.lists(st.tuples(DATABASES, BYTES, BYTES, EXPIRIES), max_size=5)
PAIRS = st.lists(st.tuples(BYTES, BYTES), max_size=5)
ANY_REQUEST = (
    st.builds(SetBulk, RECORDS, st.booleans())
    | st.builds(RemoveBulk, KEYS, st.booleans())
    | st.builds(GetBulk, KEYS)
    | st.builds(PlayScript, BYTES, PAIRS, st.booleans())
)
COUNTS = st.integers(0, (1 << 32) - 1)
ANY_REPLY = (
    st.builds(SetReply, COUNTS)
    | st.builds(RemoveReply, COUNTS)
    | st.builds(GetReply, RECORDS)
    | st.builds(ScriptReply, PAIRS)
)


@given(st.lists(ANY_REQUEST, min_size=1, max_size=4), st.integers(1, 50))
def test_any_requests_arrive_as_they_were(messages: list[Request], size: int) -> None:
    data = b"".join(map(encode_request, messages))
    decoder, found = RequestDecoder(), []
    for start in range(0, len(data), size):
        message = decoder.feed(data[start : start + size])
        while message is not NEED_DATA:
            found.append(message)
            message = decoder.feed(b"")
    assert list(map(typed, found)) == list(map(typed, messages))
    assert decoder.rest == b""


@given(ANY_REPLY, st.integers(1, 50))
def test_any_reply_arrives_as_it_was(message: Any, size: int) -> None:
    decoder = ReplyDecoder(type(message))
    assert typed(feed_pieces(decoder, encode_reply(message), size)) == typed(message)
    assert not decoder.closing


LIKELY = st.sampled_from([SET, REMOVE, GET, SCRIPT, ONE, bytes(8), b"\xbf", b"\0\0\0\2"]) | st.binary(max_size=30)


@given(st.lists(LIKELY, max_size=12), st.sampled_from([SetReply, RemoveReply, GetReply, ScriptReply]))
def test_any_bytes_are_survived(pieces: list[bytes], kind: Any) -> None:
    check_survives(RequestDecoder(Limits(key=100, value=100, records=50, message=1000)), pieces)
    check_survives(ReplyDecoder(kind), pieces)
