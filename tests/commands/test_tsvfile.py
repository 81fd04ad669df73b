"""Files of tab-separated values."""

from __future__ import annotations

import io

import pytest

from kt_core.commands.places import Row
from kt_core.commands.tsvfile import read_tsv, write_tsv
from kt_core.errors import InvalidInput


def read(data: bytes, begin: int = 8) -> list[tuple[bytes, bytes | None]]:
    stream = io.BytesIO(data)
    return list(read_tsv(stream.read(begin), stream))


CASES: dict[bytes, list[tuple[bytes, bytes | None]]] = {
    b"": [],
    b"a\t1\nb\t2\n": [(b"a", b"1"), (b"b", b"2")],
    b"a\t1\nb\t2": [(b"a", b"1"), (b"b", b"2")],
    b"a\t\n\t1\n": [(b"a", b""), (b"", b"1")],
    b"a\nb\t1\n": [(b"a", None), (b"b", b"1")],
    b"a\r\t\xff\r\n": [(b"a\r", b"\xff\r")],
    b"a long key\ta long value\nb\t1\n": [(b"a long key", b"a long value"), (b"b", b"1")],
}


@pytest.mark.parametrize("begin", [0, 1, 4, 8])
@pytest.mark.parametrize(("data", "changes"), CASES.items())
def test_a_line_is_a_record_or_a_key_to_remove(
    data: bytes, changes: list[tuple[bytes, bytes | None]], begin: int
) -> None:
    assert read(data, begin) == changes


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(InvalidInput, match="line 2 has 3 fields: write a key, a tab and a value"):
        read(b"a\t1\nb\t2\t3\n")


def test_what_was_written_is_read() -> None:
    stream = io.BytesIO()
    assert write_tsv(stream, [[Row(b"a", b"1"), Row(b"b", b"")], [Row(b"", b"\r")]]) == 3
    assert read(stream.getvalue()) == [(b"a", b"1"), (b"b", b""), (b"", b"\r")]


@pytest.mark.parametrize("row", [Row(b"a\t", b""), Row(b"a", b"\n")])
def test_what_would_be_read_otherwise_is_not_written(row: Row) -> None:
    with pytest.raises(InvalidInput, match="has a tab or a line in it: leave out --tsv"):
        write_tsv(io.BytesIO(), [[row]])
