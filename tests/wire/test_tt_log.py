"""Tokyo Tyrant's update log: changes in files and in streams, whole and in pieces, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import Limits, TooLarge
from kt_core.wire.tt_log import (
    Change,
    KeepAlive,
    LogDecoder,
    LogRecord,
    StreamDecoder,
    StreamRecord,
    encode_log_record,
    encode_stream_record,
)
from tests.wire.feeding import check_decoding, check_refused, check_survives

# The first is a capture of the protocol reference, but for its time.
CHANGES: dict[str, tuple[Change, str]] = {
    "put, captured": (Change(tt.Put(b"a", b"1")), "c810 00000001 00000001 61 31 00"),
    "putkeep that failed": (Change(tt.PutKeep(b"a", b"1"), False), "c811 00000001 00000001 61 31 01"),
    "putcat": (Change(tt.PutCat(b"a", b"")), "c812 00000001 00000000 61 00"),
    "putshl": (Change(tt.PutShl(b"a", b"1", 2)), "c813 00000001 00000001 00000002 61 31 00"),
    "out that failed": (Change(tt.Out(b"a"), False), "c820 00000001 61 01"),
    "addint": (Change(tt.AddInt(b"n", -1)), "c860 00000001 ffffffff 6e 00"),
    "adddouble": (Change(tt.AddDouble(b"n", 1, 2)), "c861 00000001 0000000000000001 0000000000000002 6e 00"),
    "sync": (Change(tt.Sync()), "c870 00"),
    "optimize": (Change(tt.Optimize(b"x")), "c871 00000001 78 00"),
    "vanish": (Change(tt.Vanish()), "c872 00"),
    "misc": (Change(tt.Misc(b"out", 0, [b"a"])), "c890 00000003 00000001 6f7574 00000001 61 00"),
    "misc without arguments": (Change(tt.Misc(b"f", 0, [])), "c890 00000001 00000000 66 00"),
}
changes = pytest.mark.parametrize(("change", "payload"), CHANGES.values(), ids=CHANGES)


def sized(payload: str) -> bytes:
    """Return a payload behind its size."""
    data = bytes.fromhex(payload)
    return len(data).to_bytes(4) + data


@changes
def test_a_record_in_a_file(change: Change, payload: str) -> None:
    record = LogRecord(5, 7, 65535, change)
    data = bytes.fromhex("c9 0000000000000005 0007 ffff") + sized(payload)
    assert encode_log_record(record) == data
    check_decoding(LogDecoder, data, record)


@changes
def test_a_record_in_a_stream(change: Change, payload: str) -> None:
    record = StreamRecord(5, 7, change)
    data = bytes.fromhex("c9 0000000000000005 00000007") + sized(payload)
    assert encode_stream_record(record) == data
    check_decoding(StreamDecoder, data, record)


def test_nothing_to_tell() -> None:
    assert encode_stream_record(KeepAlive()) == b"\xca"
    check_decoding(StreamDecoder, b"\xca", KeepAlive())


def test_the_options_of_a_call_are_not_logged() -> None:
    with_options = LogRecord(1, 1, 0, Change(tt.Misc(b"f", tt.NO_UPDATE_LOG, [])))
    assert encode_log_record(with_options) == encode_log_record(LogRecord(1, 1, 0, Change(tt.Misc(b"f", 0, []))))


@pytest.mark.parametrize("request_", [tt.Get(b"k"), tt.PutNr(b"k", b"v"), tt.Ext(b"f", 0, b"", b""), tt.Copy(b"/x")])
def test_what_changes_nothing_is_not_logged(request_: tt.Request) -> None:
    with pytest.raises(InvalidInput, match="changes nothing"):
        encode_log_record(LogRecord(1, 1, 0, Change(request_)))


@pytest.mark.parametrize("sid", [-1, 1 << 16])
def test_the_number_of_a_server_in_a_file_has_16_bits(sid: int) -> None:
    with pytest.raises(InvalidInput, match="16 bits"):
        encode_log_record(LogRecord(1, sid, 0, Change(tt.Vanish())))
    with pytest.raises(InvalidInput, match="16 bits"):
        encode_log_record(LogRecord(1, 0, sid, Change(tt.Vanish())))


FILE, STREAM = bytes.fromhex("c9 0000000000000005 0007 0000"), bytes.fromhex("c9 0000000000000005 00000007")
REFUSED: dict[str, tuple[Any, bytes, type[ProtocolError]]] = {
    "no record in a file": (LogDecoder, b"\xc8", ProtocolError),
    "a sign of life in a file": (LogDecoder, b"\xca", ProtocolError),
    "no record in a stream": (StreamDecoder, b"\xc8", ProtocolError),
    "nothing": (LogDecoder, FILE + bytes(4), ProtocolError),
    "a get": (LogDecoder, FILE + sized("c830 00000001 61 00"), ProtocolError),
    "a call of a script": (StreamDecoder, STREAM + sized("c868 00000000 00000000 00000000 00"), ProtocolError),
    "a change that is too short": (LogDecoder, FILE + sized("c820 00000002 61 00"), ProtocolError),
    "a change that is too long": (StreamDecoder, STREAM + sized("c872 00 00"), ProtocolError),
    "a result that is none": (LogDecoder, FILE + sized("c872 02"), ProtocolError),
    "a change of negative size": (LogDecoder, FILE + b"\xff\xff\xff\xff", TooLarge),
}


@pytest.mark.parametrize(("make", "data", "error"), REFUSED.values(), ids=REFUSED)
def test_records_that_are_refused(make: Any, data: bytes, error: type[ProtocolError]) -> None:
    check_refused(make, data, error)


def test_a_change_may_be_longer_than_a_value() -> None:
    record = LogRecord(1, 1, 0, Change(tt.Put(bytes(10), bytes(10))))
    assert LogDecoder(Limits(key=10, value=10, message=100)).feed(encode_log_record(record)) == record
    with pytest.raises(TooLarge):
        LogDecoder(Limits(key=10, value=9, message=100)).feed(encode_log_record(record))


LIKELY = st.sampled_from([FILE, STREAM, *[sized(payload) for _, payload in CHANGES.values()]]) | st.binary(max_size=20)


@given(st.lists(LIKELY, max_size=8))
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    limits = Limits(key=100, value=100, records=50, message=1000)
    check_survives(LogDecoder(limits), pieces)
    check_survives(StreamDecoder(limits), pieces)
