"""Finding keys: by prefix, by POSIX regular expression, by edit distance.

Keys come in key order. Like the server's, these searches are no snapshots, and they return expired records that
nobody has reclaimed yet. They read in batches, so that a search of millions of keys neither holds on to old pages
nor keeps the writers of this process waiting. Rules: Kyoto Tycoon protocol reference, section 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, TypedDict

from kt_core.database.posix import compile_posix
from kt_core.database.record import original_key, stored_prefix, unpack_header

if TYPE_CHECKING:
    from kt_core.database.environment import Environment

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
    head = stored_prefix(prefix)
    position = head
    while True:
        batch: list[tuple[bytes, int]] = []
        last = b""
        looked = 0
        with environment.view(index) as txn:
            at = txn.cursor()
            if not environment.bypassed and (at.set_range(position) if position else at.first()):
                for stored_view, raw in islice(at.iternext(), _BATCH):
                    last = bytes(stored_view)
                    if not last.startswith(head):
                        break
                    looked += 1
                    key = original_key(last, raw)
                    if key.startswith(prefix):
                        batch.append((key, unpack_header(raw)[0]))
        yield from batch
        if looked < _BATCH:
            return
        position = last + b"\0"
        if len(position) > _LONGEST_STORED:
            # No longer key can follow the longest one before its successor.
            position = _successor(last)


def _successor(stored: bytes) -> bytes:
    trimmed = stored.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else stored


def match_prefix(environment: Environment, index: int, prefix: bytes, limit: int) -> list[bytes]:
    """Return the first `limit` keys with the prefix."""
    return _first(limit, (key for key, _ in walk(environment, index, prefix)))


def match_regex(environment: Environment, index: int, pattern: bytes, limit: int) -> list[bytes]:
    """Return the first `limit` keys in which the expression is found."""
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
