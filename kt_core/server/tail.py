"""The end of the update log, as a durable database has it: the changes of its last transactions.

The disk is waited for once, by the database: each transaction takes along what it writes to the log, whose own file may
then reach the disk later. What a failure of power takes from there is written again from here. There is place for some
transactions; when it is used up, the log is written to the disk before the next commit, and begins over. So is it for
a transaction that is too large. Whatever of this reaches the disk first: before the commit does, the log's changes are
none, and afterwards they are here. Kept as marks are.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from kt_core.database.environment import Environment, Write
from kt_core.server.marks import Marks
from kt_core.server.updates import Position

_PLACES: Final = 32
_LARGEST: Final = 32 << 10  # bytes in one place
_SHARE: Final = 64  # of the largest record that the database takes: of a small one all places are to be a small part

_START = Struct(">QQQ")  # number of the file, bytes of it that come before, and bytes that are on the disk


class Piece(NamedTuple):
    """The changes of a transaction, and where they begin in the log."""

    start: Position
    sure: int
    """Bytes of that file that were on the disk already."""
    entries: bytes


class Tail:
    """The end of the log in one database."""

    def __init__(self, environment: Environment, marks: Marks) -> None:
        self._environment = environment
        self._marks = marks
        self._largest = min(_LARGEST, environment.housekeeper.largest // _SHARE)
        self._used = 0

    def takes(self, size: int) -> bool:
        """Tell whether there is a place for the changes of a transaction, which have so many bytes."""
        return size <= self._largest and self._used < _PLACES

    def put(self, txn: Write, piece: Piece) -> None:
        """Have the transaction take along what it changes."""
        self._marks.write(txn, _name(self._used), _START.pack(*piece.start, piece.sure) + piece.entries)
        self._used += 1

    def begin_over(self) -> None:
        """Use all places again: the log is on the disk."""
        self._used = 0

    def pieces(self) -> list[Piece]:
        """Return what is there, in no order; some of it may have been on the disk for long."""
        found = [self._marks.read(_name(place)) for place in range(_PLACES)]
        return [_piece(raw) for raw in found if raw is not None]

    def clear(self) -> None:
        """Forget everything: the log is on the disk, and may have been put together anew."""
        if self.pieces():
            self._environment.write(0, self._clear)

    def _clear(self, txn: Write) -> None:
        for place in range(_PLACES):
            self._marks.delete(txn, _name(place))


def _name(place: int) -> bytes:
    return b"tail%d" % place


def _piece(raw: bytes) -> Piece:
    number, offset, sure = _START.unpack_from(raw)
    return Piece(Position(number, offset), sure, raw[_START.size :])
