"""The rows of table databases: dicts of columns here, columns and values with NUL between on the server.

Source: the Tokyo Tyrant protocol reference, section 5.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.serializers import Functions, dump_plain
from kt_core.text import decode_text

TT_TABLE: Final = "table"

Columns: TypeAlias = dict[str | bytes, str | bytes]

_NUL: Final = b"\0"


def dump_row(row: Any) -> bytes:
    """Return the bytes of a row; its columns are str, its values str, bytes and numbers."""
    if not isinstance(row, Mapping):
        raise InvalidInput(f"a row is a dict of columns, not {type(row).__name__}: write {{'column': 'value'}}")
    return _NUL.join([word for column, value in row.items() for word in (_column(column), _word(value))])


def load_row(data: bytes) -> Columns:
    """Return the row of these bytes."""
    words = data.split(_NUL)
    return {decode_text(column): decode_text(value) for column, value in zip(words[::2], words[1::2], strict=False)}


def load_found(data: bytes) -> tuple[bytes, bytes]:
    """Return key and row as a search gives them: the key comes as a column without a name, before the others."""
    nothing, _, found = data.partition(_NUL)
    if nothing:
        raise ProtocolError("a row that was found does not begin with its key")
    key, _, row = found.partition(_NUL)
    return key, row


def _column(name: Any) -> bytes:
    word = _word(name)
    if not word:
        raise InvalidInput("a column has a name: the empty one stands for the key")
    return word


def _word(value: Any) -> bytes:
    word = dump_plain(value)
    if _NUL in word:
        raise InvalidInput(
            "NUL separates columns, and cannot be in a name or a value: write misc('put', [key, column, value])"
        )
    return word


def join_words(words: Iterable[Any]) -> bytes:
    """Return the bytes of one argument of a search."""
    return _NUL.join(map(_word, words))


TABLE: Final = Functions(dump_row, load_row)
