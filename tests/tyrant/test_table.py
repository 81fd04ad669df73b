"""Rows as bytes, and the other way round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput
from kt_core.tyrant.table import dump_row, load_row

ROWS: dict[str, tuple[dict[str, Any], bytes]] = {
    "captured": ({"name": "alice", "age": 30}, b"name\0alice\0age\x0030"),
    "no columns": ({}, b""),
    "empty values": ({"a": "", "b": "x", "c": ""}, b"a\0\0b\0x\0c\0"),
    "bytes and numbers": ({"a": b"\xff", "b": 1.5, "c": -1}, b"a\0\xff\0b\x001.5\0c\0-1"),
}


@pytest.mark.parametrize(("row", "data"), ROWS.values(), ids=ROWS)
def test_a_row(row: dict[str, Any], data: bytes) -> None:
    assert dump_row(row) == data
    assert load_row(data) == {
        column: value if isinstance(value, bytes) else str(value) for column, value in row.items()
    }


WORDS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5)


@given(st.dictionaries(WORDS.filter(bool), WORDS, max_size=5))
def test_any_row_comes_back(row: dict[str, str]) -> None:
    assert load_row(dump_row(row)) == row


@given(st.binary(max_size=30))
def test_any_bytes_are_some_row(data: bytes) -> None:
    load_row(data)


UNUSABLE: dict[str, tuple[Any, str]] = {
    "no dict": ("text", r"a row is a dict of columns, not str"),
    "NUL in a value": ({"a": "x\0y"}, r"NUL separates columns"),
    "NUL in a name": ({"a\0b": "x"}, r"NUL separates columns"),
    "no name": ({"": "x"}, r"a column has a name"),
    "another value": ({"a": None}, r"str, bytes, int and float, not NoneType"),
}


@pytest.mark.parametrize(("row", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_no_table_keeps(row: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        dump_row(row)
