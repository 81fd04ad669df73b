"""Finding keys: by prefix, by POSIX regular expression, by edit distance.

Keys come in key order. Like the server's, these searches are no snapshots, and they return expired records that
nobody has reclaimed yet. They read in batches, so that a search of millions of keys neither holds on to old pages
nor keeps the writers of this process waiting. Rules: Kyoto Tycoon protocol reference, section 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, TypedDict

from kt_core.database.record import original_key, stored_prefix, unpack_header
from kt_core.errors import InvalidInput

if TYPE_CHECKING:
    from kt_core.database.environment import Environment

_BATCH = 512
_LONGEST_STORED = 511
_CLASSES = {
    b"alpha": b"a-zA-Z",
    b"digit": b"0-9",
    b"alnum": b"a-zA-Z0-9",
    b"upper": b"A-Z",
    b"lower": b"a-z",
    b"space": rb"\t-\r ",
    b"blank": rb"\t ",
    b"punct": rb"!-/:-@\[-`{-~",
    b"print": rb" -~",
    b"graph": rb"!-~",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"xdigit": b"0-9A-Fa-f",
}
_BRACKET = re.compile(rb"\[(\^?)(\]?(?:\[:\w*:\]|\[[^:.=]|[^\[\]])*)\]", re.DOTALL)
_NAMED_CLASS = re.compile(rb"\[:(\w*):\]")


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
        with environment.lock:
            txn = environment.begin(environment.dbis[index], None, False, True)
            at = txn.cursor()
            last = b""
            looked = 0
            if not environment.bypassed and (at.set_range(position) if position else at.first()):
                for stored_view, raw in islice(at.iternext(), _BATCH):
                    last = bytes(stored_view)
                    if not last.startswith(head):
                        break
                    looked += 1
                    key = original_key(last, raw)
                    if key.startswith(prefix):
                        batch.append((key, unpack_header(raw)[0]))
            txn.abort()
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


def compile_posix(pattern: bytes) -> re.Pattern[bytes]:
    """Compile a POSIX extended regular expression; `InvalidInput` says where it is none.

    What only Python's dialect knows is refused (``(?...)``), or taken as the C library takes it: after a backslash
    a letter means itself, but for ``\\w \\W \\s \\S \\b \\B``.
    """
    translated, position = [], 0
    while position < len(pattern):
        bracket = _BRACKET.match(pattern, position)
        byte = pattern[position : position + 1]
        if bracket is not None:
            translated.append(_bracket(bracket[1], bracket[2]))
            position = bracket.end()
        elif byte == b"\\":
            follower = pattern[position + 1 : position + 2]
            if not follower:
                raise InvalidInput("the expression ends in a backslash")
            special = follower in b"wWsSbB"
            translated.append(b"\\" + follower if special else re.escape(follower))
            position += 2
        elif byte == b"(" and pattern[position + 1 : position + 2] == b"?":
            raise InvalidInput("(?...) is no part of a POSIX extended regular expression")
        else:
            # A backslash-free "$" of Python also matches before a last newline; POSIX's does not.
            translated.append(rb"\Z" if byte == b"$" else byte)
            position += 1
    try:
        return re.compile(b"".join(translated), re.DOTALL)
    except re.error as error:
        raise InvalidInput(f"not a regular expression: {error}") from error


def _bracket(negation: bytes, body: bytes) -> bytes:
    def named(match: re.Match[bytes]) -> bytes:
        if match[1] not in _CLASSES:
            raise InvalidInput(f"[:{match[1].decode('ascii', 'replace')}:] is no class of characters")
        return _CLASSES[match[1]]

    parts, position = [], 0
    for match in _NAMED_CLASS.finditer(body):
        parts += [_literal(body[position : match.start()]), named(match)]
        position = match.end()
    parts.append(_literal(body[position:]))
    return b"[" + negation + b"".join(parts) + b"]"


def _literal(text: bytes) -> bytes:
    return text.replace(b"\\", rb"\\").replace(b"[", rb"\[").replace(b"]", rb"\]").replace(b"^", rb"\^")


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
