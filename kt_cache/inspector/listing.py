"""Records chosen by prefix or glob: listed page by page, counted, deleted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from kt_cache.deleting import delete_each
from kt_cache.patterns import compile_glob
from kt_cache.reserved import kind_of
from kt_cache.stores import Entry, Store

PER_PAGE: Final = 50
MOST_LOOKED_AT: Final = 200_000
MOST_SECONDS: Final = 3.0

_GLOB = re.compile(r"[*?\[\]\\]")


class Selection(NamedTuple):
    """The keys that begin with a prefix and fit; kt-cache's own only if they are asked for."""

    prefix: bytes
    fits: Callable[[str], object] | None = None
    own: bool = False

    def has(self, key: bytes) -> bool:
        """Tell whether a key that begins with the prefix is one of them."""
        if not self.own and kind_of(key) is not None:
            return False
        return self.fits is None or bool(self.fits(key.decode(errors="surrogateescape")))

    @property
    def is_prefix(self) -> bool:
        """Whether the prefix says it all, so that a store can clear it by itself."""
        return self.fits is None and (self.own or not b"\0".startswith(self.prefix[:1]))


class Page(NamedTuple):
    """One page of a list; `is_cut` if there may be more, but no more were looked at."""

    entries: list[Entry]
    number: int
    has_next: bool
    is_cut: bool


class Count(NamedTuple):
    """How many records there are, and the bytes of their keys and values; `is_cut` as for a page."""

    records: int
    size: int
    is_cut: bool


def select(text: str, own: bool = False) -> Selection:
    """Read what somebody looks for: a glob (``*``, ``?``, ``[ab]``, ``\\`` before any of them) or else a prefix."""
    if not _GLOB.search(text):
        return Selection(text.encode("utf-8", "surrogatepass"), None, own)
    pattern = compile_glob(text)
    return Selection(pattern.beginning, pattern.fits, own)


def list_page(store: Store, selection: Selection, number: int, timer: Callable[[], float] = time.monotonic) -> Page:
    """Return a page of the selection, the first being 1."""
    walk = _Walk(store, selection, timer)
    found = list(islice(walk.entries(), (number - 1) * PER_PAGE, number * PER_PAGE + 1))
    return Page(found[:PER_PAGE], number, len(found) > PER_PAGE, walk.is_cut)


def count(store: Store, selection: Selection, timer: Callable[[], float] = time.monotonic) -> Count:
    """Count the records of the selection."""
    walk = _Walk(store, selection, timer)
    records = size = 0
    for entry in walk.entries():
        records += 1
        size += len(entry.key) + entry.size
    return Count(records, size, walk.is_cut)


def delete(store: Store, selection: Selection) -> int:
    """Delete the records of the selection; return how many there were."""
    if selection.is_prefix:
        return store.clear_prefix(selection.prefix)
    keys = (key for key in store.iter_keys(selection.prefix) if selection.has(key))
    return sum(delete_each(store, keys))


class _Walk:
    """A walk that ends after so many records or so long a time."""

    def __init__(self, store: Store, selection: Selection, timer: Callable[[], float]) -> None:
        self._store = store
        self._selection = selection
        self._timer = timer
        self.is_cut = False

    def entries(self) -> Iterator[Entry]:
        until = self._timer() + MOST_SECONDS
        for number, entry in enumerate(self._store.iter_entries(self._selection.prefix)):
            if number == MOST_LOOKED_AT or (number % 64 == 63 and self._timer() > until):
                self.is_cut = True
                return
            if self._selection.has(entry.key):
                yield entry
