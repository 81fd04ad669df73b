"""The binary protocol of Tokyo Tyrant: every message in both directions, whole and in pieces, and what is refused."""

from __future__ import annotations

import math
from functools import partial
from struct import pack
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Buffer, Limits, TooLarge
from kt_core.wire.tt_binary import COMMANDS, ReplyDecoder, RequestDecoder, encode_reply, encode_request
from kt_core.wire.tt_layouts import NAME_MAX
from kt_core.wire.tt_messages import REPLIES, Reply, Request
from tests.wire.feeding import (
    CountingBuffer,
    check_decoding,
    check_needs_more,
    check_refused,
    check_survives,
    feed_pieces,
    typed,
)

# Those marked are captures of the protocol reference.
REQUESTS: dict[str, tuple[Request, str]] = {
    "put, captured": (tt.Put(b"k", b"v"), "c810 00000001 00000001 6b 76"),
    "put nothing": (tt.Put(b"", b""), "c810 00000000 00000000"),
    "putkeep, captured": (tt.PutKeep(b"k", b"v"), "c811 00000001 00000001 6b 76"),
    "putcat": (tt.PutCat(b"k", b"vw"), "c812 00000001 00000002 6b 7677"),
    "putshl, captured": (tt.PutShl(b"k", b"abc", 4), "c813 00000001 00000003 00000004 6b 616263"),
    "putnr": (tt.PutNr(b"\0\xff", b"v"), "c818 00000002 00000001 00ff 76"),
    "out": (tt.Out(b"k"), "c820 00000001 6b"),
    "get, captured": (tt.Get(b"k"), "c830 00000001 6b"),
    "mget, captured": (tt.MGet([b"k", b"x"]), "c831 00000002 00000001 6b 00000001 78"),
    "mget nothing, captured": (tt.MGet([]), "c831 00000000"),
    "vsiz, captured": (tt.VSiz(b"k"), "c838 00000001 6b"),
    "iterinit, captured": (tt.IterInit(), "c850"),
    "iternext, captured": (tt.IterNext(), "c851"),
    "fwmkeys, captured": (tt.FwmKeys(b"", -1), "c858 00000000 ffffffff"),
    "addint, captured": (tt.AddInt(b"n", -7), "c860 00000001 fffffff9 6e"),
    "adddouble, captured": (tt.AddDouble.of(b"d", 1.5), "c861 00000001 0000000000000001 000000746a528800 64"),
    "adddouble of less, captured": (
        tt.AddDouble.of(b"d", -2),
        "c861 00000001 fffffffffffffffe 0000000000000000 64",
    ),
    "ext, captured": (
        tt.Ext(b"echo", 0, b"k", b"v"),
        "c868 00000004 00000000 00000001 00000001 6563686f 6b 76",
    ),
    "sync": (tt.Sync(), "c870"),
    "optimize": (tt.Optimize(b"a=b"), "c871 00000003 613d62"),
    "vanish": (tt.Vanish(), "c872"),
    "copy": (tt.Copy(b"/x"), "c873 00000002 2f78"),
    "restore": (tt.Restore(b"/x", 5, 1), "c874 00000002 0000000000000005 00000001 2f78"),
    "setmst": (tt.SetMst(b"h", 1978, 1 << 40, 0), "c878 00000001 000007ba 0000010000000000 00000000 68"),
    "rnum, captured": (tt.RNum(), "c880"),
    "size": (tt.Size(), "c881"),
    "stat": (tt.Stat(), "c888"),
    "misc, captured": (tt.Misc(b"get", 1, [b"k"]), "c890 00000003 00000001 00000001 676574 00000001 6b"),
    "misc without arguments": (tt.Misc(b"f", 0, []), "c890 00000001 00000000 00000000 66"),
    "repl": (tt.Repl(1, 7), "c8a0 0000000000000001 00000007"),
}
REPLIES_SENT: dict[str, tuple[Any, str]] = {
    "done, captured": (tt.Done(), "00"),
    "a value, captured": (tt.Value(b"vabc"), "00 00000004 76616263"),
    "an empty value": (tt.Value(b""), "00 00000000"),
    "a size, captured": (tt.Integer(4), "00 00000004"),
    "a sum, captured": (tt.Integer(-2), "00 fffffffe"),
    "a double, captured": (tt.Double.of(-0.5), "00 0000000000000000 ffffff8b95ad7800"),
    "a number, captured": (tt.Long(3), "00 0000000000000003"),
    "records, captured": (tt.Records([(b"k", b"vabc")]), "00 00000001 00000001 00000004 6b 76616263"),
    "no records": (tt.Records([]), "00 00000000"),
    "records of a failure": (tt.Records([], False), "01 00000000"),
    "elements, captured": (tt.Elements([b"vabc"]), "00 00000001 00000004 76616263"),
    "no elements, captured": (tt.Elements([], False), "01 00000000"),
    "a master": (tt.Master(7), "00000007"),
}
FAILING = [tt.Done, tt.Value, tt.Integer, tt.Double, tt.Long]


@pytest.mark.parametrize(("message", "wire"), REQUESTS.values(), ids=REQUESTS)
def test_requests(message: Request, wire: str) -> None:
    assert encode_request(message) == bytes.fromhex(wire)
    check_decoding(RequestDecoder, bytes.fromhex(wire), message)


@pytest.mark.parametrize(("message", "wire"), REPLIES_SENT.values(), ids=REPLIES_SENT)
def test_replies(message: Any, wire: str) -> None:
    assert encode_reply(message) == bytes.fromhex(wire)
    check_decoding(partial(ReplyDecoder, type(message)), bytes.fromhex(wire), message)


@pytest.mark.parametrize("kind", FAILING)
def test_a_failure_is_one_byte_and_the_connection_goes_on(kind: Any) -> None:
    assert encode_reply(tt.Failed()) == b"\1"
    check_decoding(partial(ReplyDecoder, kind), b"\1", tt.Failed())
    assert not ReplyDecoder(kind).closing


def test_every_command_has_its_messages() -> None:
    assert {layout.kind for layout in COMMANDS.values()} == set(REPLIES) == set(get_args(Request))
    assert {type(message) for message, _ in REQUESTS.values()} == set(REPLIES)
    replies = {type(message) for message, _ in REPLIES_SENT.values()} | {tt.Failed}
    assert set(REPLIES.values()) - {None} == replies - {tt.Failed}
    assert replies == set(get_args(Reply))


@pytest.mark.parametrize(
    ("number", "whole", "fraction"),
    [
        (0.1, 0, 10**11),
        (0.3, 0, 3 * 10**11),
        (-0.3, 0, -3 * 10**11),
        (-1.5, -1, -5 * 10**11),
        (123456.75, 123456, 75 * 10**10),
        (math.inf, (1 << 63) - 1, 0),
        (-math.inf, -(1 << 63), 0),
    ],
)
def test_a_double_has_two_parts(number: float, whole: int, fraction: int) -> None:
    assert tt.Double.of(number) == (whole, fraction)
    assert tt.Double(whole, fraction).number == tt.AddDouble(b"", whole, fraction).number == number


def test_a_double_that_is_no_number_and_one_whose_fraction_is_more_than_one() -> None:
    assert tt.Double.of(math.nan) == (-(1 << 63), -(1 << 63))
    assert math.isnan(tt.Double.of(math.nan).number)
    assert tt.Double(1, 25 * 10**11).number == 3.5


@given(st.floats(-1e6, 1e6))
def test_a_double_is_exact_to_twelve_decimals(number: float) -> None:
    assert abs(tt.Double.of(number).number - number) < 1.01e-12 + abs(number) * 1e-15


def test_pipelined_requests_come_one_by_one() -> None:
    decoder = RequestDecoder()
    messages = [message for message, _ in REQUESTS.values()]
    found = [decoder.feed(b"".join(bytes.fromhex(wire) for _, wire in REQUESTS.values()))]
    while (message := decoder.feed(b"")) is not NEED_DATA:
        found.append(message)
    assert list(map(typed, found)) == list(map(typed, messages))


def test_decoders_of_several_replies_share_a_buffer() -> None:
    buffer = Buffer()
    first, second = ReplyDecoder(tt.Value, buffer=buffer), ReplyDecoder(tt.Elements, buffer=buffer)
    assert first.feed(bytes.fromhex("00 00000001 76 00 00000001 00000001 6b 01")) == tt.Value(b"v")
    assert second.feed(b"") == tt.Elements([b"k"])
    assert second.rest == b"\1"


# --- Refusals

TOO_LONG = pack(">I", (1 << 28) + 1)
LONGEST = pack(">I", 1 << 28)
NEGATIVE = b"\xff\xff\xff\xff"
ONE = pack(">I", 1)


def command(number: int, *parts: bytes) -> bytes:
    """Return the beginning of a request."""
    return bytes((0xC8, number)) + b"".join(parts)


REFUSED_REQUESTS = {
    **{f"first byte {first:02x}": (bytes((first,)), ProtocolError) for first in (0x00, 0x67, 0xC7, 0xC9, 0xCA)},
    **{f"command {number:02x}": (command(number), ProtocolError) for number in (0x00, 0x14, 0x32, 0x89, 0xA1, 0xFF)},
    "key to put": (command(0x10, TOO_LONG, ONE), TooLarge),
    "negative key": (command(0x10, NEGATIVE, ONE), TooLarge),
    "value to put": (command(0x10, ONE, TOO_LONG), TooLarge),
    "negative width": (command(0x13, ONE, ONE, NEGATIVE), TooLarge),
    "key to get": (command(0x30, TOO_LONG), TooLarge),
    "second key to get": (command(0x31, pack(">I", 2), ONE, b"k", TOO_LONG), TooLarge),
    "number of keys": (command(0x31, pack(">I", (1 << 20) + 1)), TooLarge),
    "negative number of keys": (command(0x31, NEGATIVE), TooLarge),
    "name to call": (command(0x68, pack(">I", NAME_MAX + 1), bytes(4), ONE, ONE), TooLarge),
    "name of a function": (command(0x90, pack(">I", NAME_MAX + 1), bytes(4), bytes(4)), TooLarge),
    "argument of a function": (command(0x90, ONE, bytes(4), ONE, b"f", TOO_LONG), TooLarge),
    "number of arguments": (command(0x90, ONE, bytes(4), pack(">I", (1 << 20) + 1)), TooLarge),
    "path": (command(0x73, TOO_LONG), TooLarge),
}
REFUSED_REPLIES = {
    "status": (tt.Done, b"\2", ProtocolError),
    "status of records": (tt.Records, b"\xc8", ProtocolError),
    "text": (tt.Value, b"VALUE", ProtocolError),
    "value": (tt.Value, b"\0" + NEGATIVE, TooLarge),
    "number of records": (tt.Records, b"\0" + NEGATIVE, TooLarge),
    "value of a record": (tt.Records, b"\0" + ONE + ONE + NEGATIVE, TooLarge),
    "element": (tt.Elements, b"\0" + ONE + NEGATIVE, TooLarge),
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
        command(0x10, LONGEST, LONGEST),
        command(0x30, LONGEST),
        command(0x90, pack(">I", NAME_MAX), bytes(4), pack(">I", REQUEST_LIMITS.records)),
        command(0x31, pack(">I", REQUEST_LIMITS.records), LONGEST),
    ],
)
def test_the_longest_is_waited_for_without_taking_memory(data: bytes) -> None:
    check_needs_more(RequestDecoder(), data, len(data))


def test_a_value_may_have_grown_beyond_what_one_request_stores() -> None:
    check_needs_more(ReplyDecoder(tt.Value), b"\0" + pack(">I", (1 << 31) - 1), 5)


def test_the_whole_of_a_message_is_bounded() -> None:
    key = pack(">I", 60) + bytes(60)
    decoder = RequestDecoder(Limits(message=200))
    assert decoder.feed(command(0x31, pack(">I", 4)) + key) is NEED_DATA
    assert decoder.feed(key) is NEED_DATA
    with pytest.raises(TooLarge):
        decoder.feed(key + key[:8])


UNUSABLE: dict[str, Request] = {
    "number to add": tt.AddInt(b"n", 1 << 31),
    "limit": tt.FwmKeys(b"", -(1 << 31) - 1),
    "time": tt.Restore(b"", 1 << 63, 0),
    "port": tt.SetMst(b"", 1 << 31, 0, 0),
    "width": tt.PutShl(b"", b"", 1 << 31),
    "negative width": tt.PutShl(b"", b"", -1),
    "options": tt.Misc(b"", 1 << 31, []),
}
TOO_LONG_TO_SEND: dict[str, Request] = {
    "key": tt.Put(bytes(2001), b""),
    "value": tt.Put(b"", bytes(3001)),
    "key to get": tt.Get(bytes(2001)),
    "one of the keys": tt.MGet([b"", bytes(3001)]),
    "number of keys": tt.MGet([b"k"] * 301),
    "name to call": tt.Ext(bytes(NAME_MAX + 1), 0, b"", b""),
    "name of a function": tt.Misc(bytes(NAME_MAX + 1), 0, []),
    "argument": tt.Misc(b"", 0, [bytes(3001)]),
    "number of arguments": tt.Misc(b"", 0, [b""] * 301),
}


@pytest.mark.parametrize("message", UNUSABLE.values(), ids=UNUSABLE)
def test_what_does_not_fit_is_the_callers_fault(message: Request) -> None:
    with pytest.raises(InvalidInput):
        encode_request(message)


@pytest.mark.parametrize("message", TOO_LONG_TO_SEND.values(), ids=TOO_LONG_TO_SEND)
def test_what_no_server_takes_is_the_callers_fault(message: Request) -> None:
    with pytest.raises(InvalidInput, match=r"no more than \d+ are allowed"):
        encode_request(message, Limits(key=2000, value=3000, records=300))


# --- Cost


def test_a_reply_in_pieces_is_read_once() -> None:
    reply = tt.Records([(b"%024d" % number, bytes(200)) for number in range(10_000)])
    data = encode_reply(reply)
    buffer = CountingBuffer()
    assert feed_pieces(ReplyDecoder(tt.Records, buffer=buffer), data, 65536) == reply
    assert buffer.copied < 1.1 * len(data)


def test_a_request_in_pieces_is_read_once() -> None:
    request = tt.Misc(b"putlist", 0, [bytes(100)] * 20_000)
    data = encode_request(request)
    buffer = CountingBuffer()
    assert feed_pieces(RequestDecoder(buffer=buffer), data, 1000) == request
    assert buffer.copied < 1.4 * len(data)


def test_a_large_value_in_pieces_is_joined_once() -> None:
    request = tt.Put(b"k", bytes(1 << 23))
    data = encode_request(request)
    buffer = CountingBuffer()
    assert feed_pieces(RequestDecoder(buffer=buffer), data, 65536) == request
    assert buffer.copied < 1.1 * len(data)


# --- Round trips

BYTES = st.binary(max_size=20)
LISTS = st.lists(BYTES, max_size=5)
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
KEYS_AND_VALUES = [tt.Put, tt.PutKeep, tt.PutCat, tt.PutNr]
ANY_REQUEST = st.one_of(
    *[st.builds(kind, BYTES, BYTES) for kind in KEYS_AND_VALUES],
    *[st.builds(kind, BYTES) for kind in (tt.Out, tt.Get, tt.VSiz, tt.Optimize, tt.Copy)],
    *[st.builds(kind) for kind in (tt.IterInit, tt.IterNext, tt.Sync, tt.Vanish, tt.RNum, tt.Size, tt.Stat)],
    st.builds(tt.PutShl, BYTES, BYTES, st.integers(0, (1 << 31) - 1)),
    st.builds(tt.MGet, LISTS),
    st.builds(tt.FwmKeys, BYTES, INT32),
    st.builds(tt.AddInt, BYTES, INT32),
    st.builds(tt.AddDouble, BYTES, INT64, INT64),
    st.builds(tt.Ext, BYTES, INT32, BYTES, BYTES),
    st.builds(tt.Restore, BYTES, INT64, INT32),
    st.builds(tt.SetMst, BYTES, INT32, INT64, INT32),
    st.builds(tt.Misc, BYTES, INT32, LISTS),
    st.builds(tt.Repl, INT64, INT32),
)
ANY_REPLY = st.one_of(
    st.builds(tt.Done),
    st.builds(tt.Value, BYTES),
    st.builds(tt.Integer, INT32),
    st.builds(tt.Double, INT64, INT64),
    st.builds(tt.Long, INT64),
    st.builds(tt.Records, st.lists(st.tuples(BYTES, BYTES), max_size=5), st.booleans()),
    st.builds(tt.Elements, LISTS, st.booleans()),
    st.builds(tt.Master, INT32),
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
    assert typed(feed_pieces(ReplyDecoder(type(message)), encode_reply(message), size)) == typed(message)


LIKELY = st.sampled_from([*map(command, COMMANDS), ONE, bytes(4), bytes(8), b"\0\0\0\2"]) | st.binary(max_size=30)


@given(st.lists(LIKELY, max_size=12), st.sampled_from([*FAILING, tt.Records, tt.Elements, tt.Master]))
def test_any_bytes_are_survived(pieces: list[bytes], kind: Any) -> None:
    check_survives(RequestDecoder(Limits(key=100, value=100, records=50, message=1000)), pieces)
    check_survives(ReplyDecoder(kind), pieces)
