"""The file format of dumps."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.commands.dumpfile import MAGIC, Reader, Writer
from kt_core.commands.places import Row
from kt_core.database import NEVER
from kt_core.errors import Damaged

ABOUT = {"from": "here", "databases": [0, 3]}
ROWS = [(0, Row(b"key", b"value")), (3, Row(b"", b"", 5)), (0, Row(b"\xff", b"v" * 3_000_000, 1 << 50))]

numbered = st.tuples(
    st.integers(0, 0xFFFF),
    st.builds(Row, st.binary(max_size=9), st.binary(max_size=99), st.integers(0, (1 << 62) - 1) | st.just(NEVER)),
)


def written(rows: Iterable[tuple[int, Row]]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.begin(ABOUT)
    for database, row in rows:
        writer.write(database, [row])
    writer.end()
    return stream.getvalue()


def opened(data: bytes) -> Reader:
    stream = io.BytesIO(data)
    assert stream.read(len(MAGIC)) == MAGIC
    return Reader(stream)


def read(data: bytes) -> tuple[list[tuple[int, Row]], Reader]:
    reader = opened(data)
    return [row for block in reader.blocks() for row in block.rows], reader


WHOLE = written(ROWS)


@pytest.mark.parametrize("rows", [[], ROWS, ROWS * 3], ids=len)
def test_what_was_written_is_read(rows: list[tuple[int, Row]]) -> None:
    found, reader = read(written(rows))
    assert found == rows
    assert reader.whole
    assert (reader.about, reader.databases) == (ABOUT, [0, 3])


@given(st.lists(numbered, max_size=9))
def test_any_records_are_read_as_they_were(rows: list[tuple[int, Row]]) -> None:
    assert read(written(rows))[0] == rows


def test_blocks_are_of_a_moderate_size() -> None:
    rows = [(0, Row(b"%d" % number, b"v" * 100_000)) for number in range(50)]
    sizes = [len(block.rows) for block in opened(written(rows)).blocks()]
    assert sizes == [11] * 4 + [6]


def test_a_dump_that_was_cut_off_is_good_up_to_its_last_block() -> None:
    rows = [(0, Row(b"%d" % number, b"v" * 600_000)) for number in range(6)]
    whole = written(rows)
    ends = [opened(whole).at, *(block.end for block in opened(whole).blocks())]
    assert len(ends) == 4
    for number, end in enumerate(ends):
        for cut in (end, end + 1, end + 15, end + 16, end + 17):
            found, reader = read(whole[:cut])
            # Behind the last block is an empty one, which takes no more than its head.
            assert reader.whole == (number == 3 and cut >= end + 16)
            assert found == rows[: 2 * number]


def test_a_dump_goes_on_where_it_was_cut_off() -> None:
    reader = opened(WHOLE)
    first = next(reader.blocks())
    stream = io.BytesIO(WHOLE[: first.end])
    stream.seek(0, io.SEEK_END)
    writer = Writer(stream, len(first.rows))
    writer.write(0, [Row(b"more", b"")])
    writer.end()
    assert read(stream.getvalue())[0] == [*first.rows, (0, Row(b"more", b""))]


def test_no_wrong_byte_goes_unnoticed() -> None:
    small = written(ROWS[:2])
    start = small.index(b"\n", len(MAGIC)) + 1
    for at in range(start, len(small)):
        for bit in (1, 0x80):
            wrong = bytearray(small)
            wrong[at] ^= bit
            with pytest.raises(Damaged, match="damaged"):
                read(bytes(wrong))


def test_a_block_too_few_is_noticed() -> None:
    first = next(opened(WHOLE).blocks())
    start = opened(WHOLE).at
    with pytest.raises(Damaged, match="says that it has 3 records, and it has 0"):
        read(WHOLE[:start] + WHOLE[first.end :])


@pytest.mark.parametrize("head", [b"", b"{}\n", b"[]\n", b"{\n", b'{"databases": 1}\n', b'{"databases": ["x"]}\n'])
def test_a_head_that_says_nothing_is_damaged(head: bytes) -> None:
    with pytest.raises(Damaged, match="the head of the dump is damaged"):
        opened(MAGIC + head)
