"""Kyoto Tycoon's update log: changes in files and in streams, whole and in pieces, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire.exchange import NEED_DATA, Limits, NeedData, TooLarge
from kt_core.wire.kt_binary import XT_MAX, ErrorReply
from kt_core.wire.kt_log import (
    ACK,
    HEADER_SIZE,
    Change,
    Clear,
    EntryDecoder,
    Frames,
    Heartbeat,
    LogHeader,
    LogRecord,
    Message,
    Progress,
    Remove,
    Set,
    StreamDecoder,
    Subscribe,
    Subscribed,
    SubscribeDecoder,
    decode_header,
    decode_payload,
    encode_answer,
    encode_entry,
    encode_frame,
    encode_header,
    encode_message,
    encode_payload,
    encode_subscribe,
    stamp,
    to_frames,
)
from tests.wire.feeding import check_decoding, check_refused, check_survives

TS = 1795295664294000002
# The first four are captures of the protocol reference, the fifth is one of a database with ktopts=p.
PAYLOADS: dict[str, tuple[int, Change, str]] = {
    "set, captured": (7, Set(0, b"key1", b"value1", 0x6B020A14), "0007 0000 a1 04 0b 6b657931 006b020a14 76616c756531"),
    "set for ever, captured": (7, Set(1, b"k2", b"v2", XT_MAX), "0007 0001 a1 02 07 6b32 ffffffffff 7632"),
    "remove, captured": (7, Remove(0, b"key1"), "0007 0000 a2 04 6b657931"),
    "clear, captured": (7, Clear(0), "0007 0000 a5"),
    "set without an expiry": (7, Set(3, b"p", b"plain", None), "0007 0003 a1 01 05 70 706c61696e"),
    "set of nothing": (65535, Set(65535, b"", b"", 0), "ffff ffff a1 00 05 0000000000"),
    "set of much": (1, Set(0, b"k" * 200, b"v" * 20000, 1 << 32), f"0001 0000 a1 8148 819c25 {b'k'.hex() * 200}"
                    f"0100000000 {b'v'.hex() * 20000}"),
    "remove of a long key": (1, Remove(2, bytes(128)), f"0001 0002 a2 8100 {'00' * 128}"),
}  # fmt: skip
payloads = pytest.mark.parametrize(("sid", "change", "payload"), PAYLOADS.values(), ids=PAYLOADS)
PLAIN = {3}


def framed(payload: str) -> bytes:
    """Return a payload as a master sends it."""
    data = bytes.fromhex(payload)
    return bytes.fromhex("b1 18ea2be5110af582") + len(data).to_bytes(4) + data


def subscribed() -> StreamDecoder:
    """Return a decoder whose subscription was answered."""
    decoder = StreamDecoder(plain=PLAIN)
    assert decoder.feed(ACK) == Subscribed()
    return decoder


@payloads
def test_payloads(sid: int, change: Change, payload: str) -> None:
    assert encode_payload(sid, change) == bytes.fromhex(payload)
    assert decode_payload(bytes.fromhex(payload), PLAIN) == (sid, change)


FRAMES: dict[str, tuple[Message, str]] = {
    "a change": (LogRecord(TS, 7, Remove(0, b"key1")), "b1 18ea2be5110af582 0000000a 0007 0000 a2 04 6b657931"),
    "progress": (Progress(TS), "b1 18ea2be5110af582 00000000"),
    "a sign of life, captured": (Heartbeat(0x18EA2C298DFCCC00), "b0 18ea2c298dfccc00"),
}


@pytest.mark.parametrize(("message", "data"), FRAMES.values(), ids=FRAMES)
def test_messages_of_a_stream(message: Message, data: str) -> None:
    assert encode_message(message) == bytes.fromhex(data)
    check_decoding(subscribed, bytes.fromhex(data), message)


def test_every_change_in_a_stream() -> None:
    decoder = subscribed()
    for sid, change, payload in PAYLOADS.values():
        record = LogRecord(TS, sid, change)
        assert encode_message(record) == encode_frame(TS, bytes.fromhex(payload))
        assert decoder.feed(encode_message(record)) == record


def test_the_answer_to_a_subscription() -> None:
    assert encode_answer(Subscribed()) == b"\xb1"
    check_decoding(StreamDecoder, b"\xb1", Subscribed(), trailing=b"\xb0rest")
    assert encode_answer(ErrorReply()) == b"\xbf"
    check_decoding(StreamDecoder, b"\xbf", ErrorReply())
    decoder = StreamDecoder()
    assert not decoder.closing
    decoder.feed(b"\xbf")
    assert decoder.closing


@pytest.mark.parametrize(
    ("request_", "data"),
    [
        (Subscribe(TS, 7), "b1 00000000 18ea2be5110af582 0007"),
        (Subscribe(0, 65535, only=True), "b1 00000001 0000000000000000 ffff"),
    ],
)
def test_subscriptions(request_: Subscribe, data: str) -> None:
    assert encode_subscribe(request_) == bytes.fromhex(data)
    check_decoding(SubscribeDecoder, bytes.fromhex(data), request_, trailing=ACK)


def test_other_flags_of_a_subscription_mean_nothing() -> None:
    assert SubscribeDecoder().feed(bytes.fromhex("b1 fffffffe 0000000000000001 0002")) == Subscribe(1, 2)


@payloads
def test_changes_in_a_file(sid: int, change: Change, payload: str) -> None:
    data = bytes.fromhex("a1 18ea2be5110af582") + framed(payload)[9:] + b"\xa2"
    assert encode_entry(TS, encode_payload(sid, change)) == data
    if len(payload) < 200:  # every cut of it
        check_decoding(EntryDecoder, data, (TS, bytes.fromhex(payload)))
    assert EntryDecoder().feed(data) == (TS, bytes.fromhex(payload))


def test_the_beginning_of_a_file() -> None:
    data = bytes.fromhex("a0 00000000000000b4 18eb0504d497c980")  # captured
    header = LogHeader(180, 0x18EB0504D497C980)
    assert encode_header(header) == data
    assert len(data) == HEADER_SIZE
    assert decode_header(data) == header


@pytest.mark.parametrize("data", [b"", bytes(17), b"\xa0" + bytes(15), b"\xa0" + bytes(7) + b"\x10" + bytes(8)])
def test_what_begins_no_file(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="file"):
        decode_header(data)


@pytest.mark.parametrize(
    ("sid", "change"),
    [
        (1 << 16, Clear(0)),
        (-1, Clear(0)),
        (0, Clear(1 << 16)),
        (0, Remove(-1, b"")),
        (0, Set(0, b"", b"", XT_MAX + 1)),
        (0, Set(0, b"", b"", -1)),
        (0, Set(1 << 16, bytes(200), b"", 1)),
    ],
)
def test_numbers_that_no_change_can_have(sid: int, change: Change) -> None:
    with pytest.raises(InvalidInput, match="bits"):
        encode_payload(sid, change)


@pytest.mark.parametrize("ts", [-1, 1 << 64])
def test_timestamps_that_do_not_fit(ts: int) -> None:
    with pytest.raises(InvalidInput, match="64"):
        encode_subscribe(Subscribe(ts, 0))
    with pytest.raises(InvalidInput, match="64"):
        encode_entry(ts, b"")
    with pytest.raises(InvalidInput, match="64"):
        encode_message(Heartbeat(ts))


REFUSED: dict[str, tuple[Any, bytes, type[ProtocolError]]] = {
    "no subscription": (SubscribeDecoder, b"\xb0", ProtocolError),
    "no answer": (StreamDecoder, b"\xb0", ProtocolError),
    "no message": (subscribed, b"\xbf", ProtocolError),
    "too much": (subscribed, b"\xb1" + bytes(8) + b"\x40\0\0\1", TooLarge),
    "no change in a file": (EntryDecoder, b"\xb1", ProtocolError),
    "a change in a file without its end": (EntryDecoder, b"\xa1" + bytes(12) + b"\xa1", ProtocolError),
    "too much in a file": (EntryDecoder, b"\xa1" + bytes(8) + b"\xff\xff\xff\xff", TooLarge),
    "a change that is none": (subscribed, framed("0007 00"), ProtocolError),
    "an unknown change": (subscribed, framed("0007 0000 a3"), ProtocolError),
    "a set without its sizes": (subscribed, framed("0007 0000 a1"), ProtocolError),
    "a size that does not end": (subscribed, framed("0007 0000 a2 81"), ProtocolError),
    "a size of more than 64 bits": (subscribed, framed("0007 0000 a2 8080808080808080808001 00"), ProtocolError),
    "a set that is too short": (subscribed, framed("0007 0000 a1 01 06 6b 0000000000"), ProtocolError),
    "a set that is too long": (subscribed, framed("0007 0000 a1 01 05 6b 0000000000 00"), ProtocolError),
    "a set without an expiry": (subscribed, framed("0007 0000 a1 01 04 6b 00000000"), ProtocolError),
    "a remove that is too long": (subscribed, framed("0007 0000 a2 00 00"), ProtocolError),
    "a clear that is too long": (subscribed, framed("0007 0000 a5 00"), ProtocolError),
}


@pytest.mark.parametrize(("make", "data", "error"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(make: Any, data: bytes, error: type[ProtocolError]) -> None:
    check_refused(make, data, error)


def test_a_missing_expiry_says_what_to_write() -> None:
    with pytest.raises(ProtocolError, match="ktopts=p"):
        subscribed().feed(framed("0007 0000 a1 01 01 6b 76"))


def test_limits() -> None:
    decoder = EntryDecoder(Limits(message=5))
    assert decoder.feed(encode_entry(1, bytes(5))) == (1, bytes(5))
    with pytest.raises(TooLarge):
        decoder.feed(encode_entry(1, bytes(6)))


changes = st.builds(
    Set, st.integers(0, 2), st.binary(max_size=300), st.binary(max_size=300), st.integers(0, XT_MAX)
) | st.builds(Remove, st.integers(0, 65535), st.binary(max_size=300))


@given(st.lists(changes, max_size=5), st.integers(1, 50))
def test_what_was_sent_comes_back_in_any_pieces(sent: list[Change], size: int) -> None:
    records = [LogRecord(ts, 5, change) for ts, change in enumerate(sent)]
    stream = b"".join(map(encode_message, records))
    decoder, found = subscribed(), []
    for start in range(0, len(stream), size):
        message = decoder.feed(stream[start : start + size])
        while not isinstance(message, NeedData):
            found.append(message)
            message = decoder.feed(b"")
    assert found == records
    assert decoder.feed(b"") is NEED_DATA


LIKELY = st.sampled_from([framed(payload) for *_, payload in PAYLOADS.values()] + [ACK, b"\xb0", b"\xa1", b"\xa2"])


@given(st.lists(LIKELY | st.binary(max_size=20), max_size=8))
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    limits = Limits(message=1000)
    check_survives(StreamDecoder(limits), pieces)
    check_survives(StreamDecoder(limits), [ACK, *pieces])
    check_survives(EntryDecoder(limits), pieces)
    check_survives(SubscribeDecoder(limits), pieces)


# --- What a file has, as a stream has it


def entry(ts: int, sid: int, key: bytes = b"k") -> bytes:
    return encode_entry(ts, encode_payload(sid, Remove(0, key)))


def frame(ts: int, sid: int, key: bytes = b"k") -> bytes:
    return encode_message(LogRecord(ts, sid, Remove(0, key)))


ENTRIES = entry(5, 1) + entry(6, 2) + entry(7, 1)


@pytest.mark.parametrize(
    ("request_", "sent", "passed"),
    [
        (Subscribe(0, 9), frame(5, 1) + frame(6, 2) + frame(7, 1), 0),
        (Subscribe(5, 9), frame(6, 2) + frame(7, 1), 0),
        (Subscribe(0, 1), frame(6, 2), 2),
        (Subscribe(5, 1), frame(6, 2), 1),
        (Subscribe(0, 1, only=True), frame(5, 1) + frame(7, 1), 1),
        (Subscribe(7, 9), b"", 0),
    ],
)
def test_what_a_subscriber_is_sent(request_: Subscribe, sent: bytes, passed: int) -> None:
    assert to_frames(ENTRIES, request_) == Frames(sent, len(ENTRIES), 0, 7, passed)


def test_what_is_cut_is_left_for_later() -> None:
    size = len(entry(5, 1))
    for cut in range(len(ENTRIES)):
        frames = to_frames(ENTRIES[:cut], Subscribe(0, 9))
        whole = cut // size
        assert frames.size == whole * size
        assert frames.data == (frame(5, 1) + frame(6, 2))[: whole * (size - 1)]
        assert frames.wanted == (size if cut % size >= 13 else 0)


@pytest.mark.parametrize(
    "wrong", [b"\xb1" + entry(8, 1)[1:], entry(8, 1)[:-1] + b"\xa1", encode_entry(8, bytes(4))], ids=str
)
def test_what_is_wrong_is_refused_once_all_before_it_is_sent(wrong: bytes) -> None:
    assert to_frames(ENTRIES + wrong + ENTRIES, Subscribe(6, 9)) == Frames(frame(7, 1), len(ENTRIES), 0, 7, 0)
    with pytest.raises(ProtocolError):
        to_frames(wrong + ENTRIES, Subscribe(0, 9))


def test_what_stands_before_a_value() -> None:
    assert stamp(None) == b""
    assert stamp(XT_MAX) == b"\xff" * 5
    assert stamp(0x6B020A14) == bytes.fromhex("006b020a14")
