"""Finding keys: by prefix, by POSIX regular expression, by edit distance.

Keys come in key order. Like the server's, these searches are no snapshots, and they return expired records that
nobody has reclaimed yet. They read in batches, so that a search of millions of keys neither holds on to old pages
nor keeps the writers of this process waiting. Rules: Kyoto Tycoon protocol reference, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, TypedDict, TypeVar

from kt_core.database.record import original_key, stored_prefix, unpack_header

if TYPE_CHECKING:
    from kt_core.database.environment import Environment, View

T = TypeVar("T")
Rows: TypeAlias = "Iterator[tuple[memoryview, memoryview]]"
"""Stored keys and records, each valid until the next one."""


_BATCH = 512
_LONGEST_STORED = 511


class Stat(TypedDict):
    """LMDB's figures about one tree."""

    psize: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int


def walk(environment: Environment, index: int, prefix: bytes = b"") -> Iterator[tuple[bytes, int]]:
    """Yield key and expiry of every record whose key begins with the prefix, expired ones among them."""
    return visit(environment, index, prefix, lambda key, stored, raw: (key, unpack_header(raw)[0]))


def visit(
    environment: Environment, index: int, prefix: bytes, note: Callable[[bytes, bytes, memoryview], T]
) -> Iterator[T]:
    """Yield what is noted of every record with the prefix, given its key, its stored key and its bytes."""

    def take(txn: View, rows: Rows) -> list[T]:
        found = ((original_key(stored, raw), stored, raw) for stored, raw in rows)
        return [note(key, bytes(stored), raw) for key, stored, raw in found if key.startswith(prefix)]

    return _walk(environment, index, prefix, take)


def keys(environment: Environment, index: int, prefix: bytes, now: int) -> Iterator[bytes]:
    """Yield the key of every record that has the prefix and is visible at a time in milliseconds, in key order."""

    def take(txn: View, rows: Rows) -> list[bytes]:
        found = [bytes(stored) for stored, raw in rows if unpack_header(raw)[0] > now]
        if not found or (_are_plain(found) and found[0].startswith(prefix) and found[-1].startswith(prefix)):
            return found
        whole = (original_key(stored, raw) for stored in found if (raw := txn.get(stored)) is not None)
        return [key for key in whole if key.startswith(prefix)]

    return _walk(environment, index, prefix, take)


def _walk(environment: Environment, index: int, prefix: bytes, take: Callable[[View, Rows], list[T]]) -> Iterator[T]:
    """Yield what is taken of the records with the prefix and of some behind them, batch by batch, in key order."""
    head = stored_prefix(prefix)
    position = head
    while True:
        with environment.view(index) as txn:
            at = txn.cursor()
            if environment.bypassed or not (at.set_range(position) if position else at.first()):
                return
            # Not gathered: two views a record would keep the garbage collector busy.
            batch = take(txn, islice(at.iternext(), _BATCH))
            last = bytes(at.key())  # the batch's, or nothing at the end
        yield from batch
        if not last or not last.startswith(head):
            return
        position = last + b"\0"
        if len(position) > _LONGEST_STORED:
            # No longer key can follow the longest one before its successor.
            position = _successor(last)


def _are_plain(stored: list[bytes]) -> bool:
    """Tell whether keys in their order are stored as they are, as nearly all are."""
    return bool(stored[0][0]) and len(max(stored, key=len)) < _LONGEST_STORED


def _successor(stored: bytes) -> bytes:
    trimmed = stored.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else stored


def match_prefix(environment: Environment, index: int, prefix: bytes, limit: int) -> list[bytes]:
    """Return the first `limit` keys with the prefix."""
    return _first(limit, (key for key, _ in walk(environment, index, prefix)))


def match_regex(environment: Environment, index: int, pattern: bytes, limit: int) -> list[bytes]:
    """Return the first `limit` keys in which the expression is found."""
    from kt_core.database.posix import compile_posix  # no cache of Django's or Flask's asks for these

    found = compile_posix(pattern).search
    return _first(limit, (key for key, _ in walk(environment, index) if found(key)))


def match_similar(
    environment: Environment, index: int, origin: bytes, distance: int, utf: bool, limit: int
) -> list[bytes]:
    """Return the `limit` keys closest to `origin`, by distance and then by key."""
    if distance < 0:
        distance = 1
    text = _units(origin, utf)
    close = (
        (measured, key)
        for key, _ in walk(environment, index)
        if (measured := edit_distance(text, _units(key, utf), distance)) <= distance
    )
    ranked = sorted(close) if limit < 0 else nsmallest(limit, close)
    return [key for _, key in ranked]


def edit_distance(left: bytes | str, right: bytes | str, limit: int) -> int:
    """Return the Levenshtein distance, or some number above `limit` as soon as it must be above."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    row = list(range(len(right) + 1))
    for number, unit in enumerate(left, 1):
        diagonal, row[0] = row[0], number
        best = number
        for column, other in enumerate(right, 1):
            cost = min(row[column] + 1, row[column - 1] + 1, diagonal + (unit != other))
            diagonal, row[column] = row[column], cost
            best = min(best, cost)
        if best > limit:
            return limit + 1
    return row[-1]


def _units(key: bytes, utf: bool) -> bytes | str:
    return key.decode("utf-8", "surrogateescape") if utf else key


def _first(limit: int, keys: Iterator[bytes]) -> list[bytes]:
    return list(keys if limit < 0 else islice(keys, limit))
