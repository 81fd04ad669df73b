"""Tab-separated values with encoded columns: the form in which RPC calls carry names and values.

Source: the Kyoto Tycoon protocol reference, sections 2.2 and 2.3. What a client sends is read as the original
server reads it, its oddities included; what a server sends has to be right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

from kt_core.errors import ProtocolError
from kt_core.wire.columns import DECODE, DECODE_STRICTLY, ENCODE, Encoding

Row: TypeAlias = tuple[bytes, bytes]

_ESTIMATED = 255  # bytes of a column that the choice of an encoding looks at
_UNSENDABLE = bytes((*range(0x20), 0x7F))
# What the estimate takes for free of escapes; four of these are escaped all the same.
_CHEAP = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.!~*'()"


def encode(rows: Iterable[Row], encoding: Encoding) -> bytes:
    """Return the lines of rows, in their order."""
    column = ENCODE[encoding]
    return b"".join([b"%b\t%b\n" % (column(name), column(value)) for name, value in rows])


def encode_sorted(rows: Iterable[Row], encoding: Encoding) -> bytes:
    """Return the lines of rows in the order of their encoded names, as a server sends them."""
    column = ENCODE[encoding]
    return b"".join([b"%b\t%b\n" % row for row in sorted((column(name), column(value)) for name, value in rows)])


def choose_encoding(rows: Collection[Row]) -> Encoding:
    """Choose as the original server does for a reply."""
    columns = [column for row in rows for column in row]
    if max(map(len, columns), default=0) <= _ESTIMATED:
        everything = b"".join(columns)
        if len(everything.translate(None, _UNSENDABLE)) == len(everything):
            return ""
    base64 = url = 0
    for column in columns:
        start = column[:_ESTIMATED]
        base64 += len(start) * 6 // 4 + 3
        url += len(start) + 2 * len(start.translate(None, _CHEAP))
    return "B" if base64 < url else "U"


def decode_request(body: bytes, encoding: Encoding) -> list[Row]:
    """Return the rows of a request: lines without a tab count for nothing, and whatever is encoded is decoded."""
    column = DECODE[encoding]
    rows = []
    for line in body.split(b"\n"):
        name, tab, value = line.partition(b"\t")
        if tab:
            rows.append((column(name), column(value.removesuffix(b"\r"))))
    return rows


def decode_reply(body: bytes, encoding: Encoding) -> list[Row]:
    """Return the rows of a reply; `ProtocolError` unless every line is whole."""
    *lines, end = body.split(b"\n")
    if end:
        raise ProtocolError("the last line of the reply has no end")
    column = DECODE_STRICTLY[encoding]
    rows = []
    for line in lines:
        name, tab, value = line.partition(b"\t")
        if not tab:
            raise ProtocolError("a line of the reply has no tab")
        rows.append((column(name), column(value)))
    return rows
