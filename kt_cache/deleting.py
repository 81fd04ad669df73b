"""Deleting as many keys as a listing yields, without holding more than a batch of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from kt_cache.stores.base import Store

BATCH: Final = 1000
"""Keys that are deleted at once, unless told otherwise."""


def delete_each(store: Store, keys: Iterable[bytes], size: int = BATCH) -> Iterator[int]:
    """Delete keys, so many at once, and yield for each batch how many records there were."""
    keys = iter(keys)
    while batch := list(islice(keys, size)):
        yield store.delete_many(batch)
