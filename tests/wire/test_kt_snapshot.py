"""Snapshot files: protocol reference, section 9.6."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import ProtocolError
from kt_core.wire.kt_binary import XT_MAX
from kt_core.wire.kt_snapshot import Snapshot, encode_header, encode_record, read_header, read_records
from kt_core.wire.varnum import encode_varnum, read_varnum

HEADER = b"KTSS\n\0" + bytes(4) + (5).to_bytes(8, "big") + (2).to_bytes(8, "big") + (30).to_bytes(8, "big")
RECORDS: list[tuple[tuple[bytes, bytes, int], bytes]] = [
    ((b"key", b"value", 1795295764), b"\xcc\x03\x0a" + b"key\x00\x6b\x02\x0a\x14value"),
    ((b"", b"", XT_MAX), b"\xcc\x00\x05" + b"\xff" * 5),
    ((b"k" * 200, b"v" * 20000, XT_MAX), b"\xcc\x81\x48\x81\x9c\x25" + b"k" * 200 + b"\xff" * 5 + b"v" * 20000),
]


def test_the_header() -> None:
    assert encode_header(Snapshot(5, 2, 30)) == HEADER
    assert read_header(BytesIO(HEADER).read) == Snapshot(5, 2, 30)


@pytest.mark.parametrize("data", [b"", HEADER[:-1], b"KTSS\n\1" + HEADER[6:], HEADER[:6] + b"\1" + HEADER[7:]])
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_header(BytesIO(data).read)


@pytest.mark.parametrize(("record", "data"), RECORDS)
def test_a_record(record: tuple[bytes, bytes, int], data: bytes) -> None:
    assert encode_record(*record) == data
    assert list(read_records(BytesIO(data).read, expires=True)) == [record]


def test_a_record_that_never_expires_has_no_stamp() -> None:
    data = encode_record(b"k", b"v", None)
    assert data == b"\xcc\1\1kv"
    assert list(read_records(BytesIO(data).read, expires=False)) == [(b"k", b"v", XT_MAX)]


def test_many_records() -> None:
    records = [(b"%d" % number, bytes(number % 700), number) for number in range(10_000)]
    data = b"".join(encode_record(*record) for record in records)
    assert list(read_records(BytesIO(data).read, expires=True)) == records


DATA = b"".join(data for _, data in RECORDS[:2])


@given(cut=st.integers(1, len(DATA) - 1))
def test_a_file_that_is_cut_is_damaged_unless_between_records(cut: int) -> None:
    if cut != len(RECORDS[0][1]):
        with pytest.raises(ProtocolError):
            list(read_records(BytesIO(DATA[:cut]).read, expires=True))


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        list(read_records(BytesIO(data).read, expires=True))


@pytest.mark.parametrize("data", [b"\xcc\0\4" + b"\xff" * 4, b"\xcc\x8f\xff\xff\xff\x7f\5", b"\xcc" + b"\x80" * 30])
def test_sizes_that_cannot_be(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(read_records(BytesIO(data).read, expires=True))


@pytest.mark.parametrize(
    ("number", "data"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x81\0"), (200, b"\x81\x48"), (20005, b"\x81\x9c\x25")]
)
def test_numbers_of_any_length(number: int, data: bytes) -> None:
    assert encode_varnum(number) == data
    assert read_varnum(b"x" + data + b"x", 1) == (number, 1 + len(data))
    with pytest.raises(ProtocolError):
        read_varnum(data[:-1], 0)
