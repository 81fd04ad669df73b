"""What a store holds, by a sample of its records: how long they live, which prefixes they share, the largest.

A sample are the first records that the store gives, up to a number and a time.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from heapq import nlargest
from typing import Final, NamedTuple

from kt_cache.reserved import kind_of
from kt_cache.stores import Entry, Store

MOST_RECORDS: Final = 50_000
MOST_SECONDS: Final = 2.0
RECENT: Final = 60.0
"""How long ago a use is at most that counts as recent, in seconds."""

_LIVES = (
    (10, "under 10 s"),
    (60, "10 s to 1 min"),
    (600, "1 to 10 min"),
    (3600, "10 min to 1 h"),
    (21600, "1 to 6 h"),
    (86400, "6 h to 1 day"),
    (604800, "1 to 7 days"),
    (math.inf, "over 7 days"),
)
_FOR_EVER = "for ever"
_SEPARATORS = re.compile(rb"[:/.|]+")
_LONGEST_PREFIX = 200
_MOST_PARTS = 50
_SHARE = 4  # a group with more than one in so many of the records is divided, if it can be
_MOST_KEYS = 10


class Life(NamedTuple):
    """The records with so much time left, and the bytes of their keys and values."""

    name: str
    records: int
    size: int


class Group(NamedTuple):
    """The records that share a prefix; `recent` are those used a moment ago, None where uses are not noted.

    `is_rest` says that there are other groups whose prefixes begin with this one; their records are not counted here.
    """

    prefix: bytes
    records: int
    size: int
    recent: int | None
    is_rest: bool


class Survey(NamedTuple):
    """What was found among so many `records`; `is_whole` if there were no more, `own` of them kt-cache's own."""

    records: int
    is_whole: bool
    own: int
    lives: list[Life]
    groups: list[Group]
    largest: list[Entry]
    latest: list[Entry] | None


class _Row(NamedTuple):
    key: bytes
    size: int
    used: float | None


def survey(
    store: Store,
    prefix: bytes = b"",
    *,
    clock: Callable[[], float] = time.time,
    timer: Callable[[], float] = time.monotonic,
) -> Survey:
    """Look at the records with a prefix, without reading them."""
    sample, is_whole = take(store.iter_entries(prefix), timer)
    users = [entry for entry in sample if kind_of(entry.key) is None]
    rows = [_Row(entry.key[:_LONGEST_PREFIX], len(entry.key) + entry.size, entry.used) for entry in users]
    since = clock() - RECENT
    knows_uses = any(entry.used is not None for entry in sample)
    latest = nlargest(_MOST_KEYS, users, key=lambda entry: entry.used or 0) if knows_uses else None
    return Survey(
        len(sample),
        is_whole,
        len(sample) - len(users),
        _lives(users),
        [_summary(*group, since, knows_uses) for group in _divide_all(prefix, rows)],
        nlargest(_MOST_KEYS, users, key=lambda entry: entry.size),
        latest,
    )


def take(entries: Iterator[Entry], timer: Callable[[], float] = time.monotonic) -> tuple[list[Entry], bool]:
    """Return the first records, as many as may be looked at, and whether they are all."""
    until = timer() + MOST_SECONDS
    sample: list[Entry] = []
    for entry in entries:
        if len(sample) == MOST_RECORDS or (len(sample) % 64 == 0 and timer() > until):
            return sample, False
        sample.append(entry)
    return sample, True


def _lives(entries: list[Entry]) -> list[Life]:
    counts = {name: [0, 0] for _, name in _LIVES} | {_FOR_EVER: [0, 0]}
    for entry in entries:
        if entry.left == math.inf:
            found = counts[_FOR_EVER]
        else:
            found = counts[next(name for limit, name in _LIVES if entry.left < limit)]
        found[0] += 1
        found[1] += len(entry.key) + entry.size
    return [Life(name, count, size) for name, (count, size) in counts.items()]


def _divide_all(prefix: bytes, rows: list[_Row]) -> list[tuple[bytes, list[_Row], bool]]:
    """Divide the records by what follows the prefix, and large groups again, until none can be or is worth it.

    Return the prefixes, their records, and whether these are the rest of a group that was divided.
    """
    done: list[tuple[bytes, list[_Row], bool]] = []
    open_groups = [(prefix, rows)] if rows else []
    while open_groups:
        name, group = open_groups.pop()
        parts = _divide(name, group)
        # Where nearly every record would be a group of its own, the keys tell more than the groups.
        if set(parts) == {name} or len(parts) > max(1, min(_MOST_PARTS, len(group) // 2)):
            done.append((name, group, False))
            continue
        for part, members in parts.items():
            if part != name and len(members) * _SHARE > len(rows):
                open_groups.append((part, members))
            else:
                done.append((part, members, part == name))
    return done


def _divide(name: bytes, rows: list[_Row]) -> dict[bytes, list[_Row]]:
    """Group records by the prefix that ends with the next separator; those without one stay under the name."""
    parts: dict[bytes, list[_Row]] = {}
    for row in rows:
        found = _SEPARATORS.search(row.key, len(name))
        part = row.key[: found.end()] if found is not None else name
        parts.setdefault(part, []).append(row)
        if len(parts) > _MOST_PARTS:
            break
    return parts


def _summary(name: bytes, rows: list[_Row], is_rest: bool, since: float, knows_uses: bool) -> Group:
    recent = sum(row.used is not None and row.used >= since for row in rows) if knows_uses else None
    return Group(name, len(rows), sum(row.size for row in rows), recent, is_rest)
