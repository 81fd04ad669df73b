"""Keys by name: listing them and deleting by pattern, prefix, or all that are this cache's own.

The store's own listing is used, in batches; nothing here holds more than one of them. What others store or delete
meanwhile may be met or missed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from kt_cache.deleting import BATCH, delete_each
from kt_cache.django.contract import Contract
from kt_cache.patterns import Pattern, compile_glob, escape_glob
from kt_cache.reserved import kind_of
from kt_core.errors import NotSupported


class Names(Contract):
    """Django's contract, and the keys by name.

    ``REVERSE_KEY_FUNCTION`` beside a ``KEY_FUNCTION`` of the project's own turns what that has made back into a key.
    """

    def __init__(self, location: str | Sequence[str], params: dict[str, Any]) -> None:
        super().__init__(location, params)
        reverse = params.get("REVERSE_KEY_FUNCTION")
        self._reverse_key_func: Callable[[str], str] | None
        self._reverse_key_func = import_string(reverse) if isinstance(reverse, str) else reverse

    def keys(self, search: str = "*", version: int | None = None) -> list[str]:
        """Return the keys that fit a glob: ``*``, ``?``, ``[ab]``, ``[^a]``, ``[a-z]``, ``\\`` before any of them."""
        return list(self.iter_keys(search, version))

    async def akeys(self, search: str = "*", version: int | None = None) -> list[str]:
        return [key async for key in self.aiter_keys(search, version)]

    def iter_keys(self, search: str = "*", version: int | None = None, itersize: int | None = None) -> Iterator[str]:
        """Yield the keys that fit a glob, as they are found; `itersize` is of no consequence here."""
        return map(self._reverse(version), self._fitting(self._pattern(search, version)))

    async def aiter_keys(
        self, search: str = "*", version: int | None = None, itersize: int | None = None
    ) -> AsyncIterator[str]:
        reverse = self._reverse(version)
        async for made in self._afitting(self._pattern(search, version)):
            yield reverse(made)

    def delete_pattern(
        self, pattern: str, version: int | None = None, prefix: str | None = None, itersize: int | None = None
    ) -> int:
        """Delete the values whose keys fit a glob; return how many. `itersize` are deleted at once."""
        fitting = map(_encode, self._fitting(self._pattern(pattern, version, prefix)))
        return sum(delete_each(self._store, fitting, itersize or BATCH))

    async def adelete_pattern(
        self, pattern: str, version: int | None = None, prefix: str | None = None, itersize: int | None = None
    ) -> int:
        size = itersize or BATCH
        batch: list[bytes] = []
        deleted = 0
        async for made in self._afitting(self._pattern(pattern, version, prefix)):
            batch.append(_encode(made))
            if len(batch) == size:
                deleted += await self._store.adelete_many(batch)
                batch = []
        return deleted + await self._store.adelete_many(batch)

    def delete_prefix(self, prefix: str, version: int | None = None) -> int:
        """Delete the values whose keys begin with a text; return how many."""
        return self.delete_pattern(escape_glob(prefix) + "*", version)

    async def adelete_prefix(self, prefix: str, version: int | None = None) -> int:
        return await self.adelete_pattern(escape_glob(prefix) + "*", version)

    def clear_prefix(self) -> int:
        """Delete all values under this cache's KEY_PREFIX, whatever their version; return how many."""
        return self._store.clear_prefix(self._own_prefix())

    async def aclear_prefix(self) -> int:
        return await self._store.aclear_prefix(self._own_prefix())

    def _own_prefix(self) -> bytes:
        if not self._has_plain_keys:
            raise NotSupported(
                "clear_prefix cannot know what a KEY_FUNCTION of your own makes of a prefix: delete_pattern can"
            )
        return f"{self.key_prefix}:".encode()

    def _pattern(self, glob: str, version: int | None, prefix: str | None = None) -> Pattern:
        number = self.version if version is None else version
        own = self.key_prefix if prefix is None else prefix
        if self._has_plain_keys:
            return compile_glob(glob, head=f"{own}:{number}:")
        if type(self).make_key is not BaseCache.make_key:
            raise NotSupported("keys that a make_key of your own has made are not found: write a KEY_FUNCTION instead")
        return compile_glob(self.key_func(glob, escape_glob(own), number))

    def _fitting(self, pattern: Pattern) -> Iterator[str]:
        for key in pattern.among(self._store.iter_keys(pattern.beginning)):
            if (made := _decode(key)) is not None and (pattern.fits is None or pattern.fits(made)):
                yield made

    async def _afitting(self, pattern: Pattern) -> AsyncIterator[str]:
        fits_encoded = pattern.fits_encoded
        async for key in self._store.aiter_keys(pattern.beginning):
            if fits_encoded is not None and not fits_encoded(key):
                continue
            if (made := _decode(key)) is not None and (pattern.fits is None or pattern.fits(made)):
                yield made

    def _reverse(self, version: int | None) -> Callable[[str], str]:
        if self._reverse_key_func is not None:
            return self._reverse_key_func
        if not self._has_plain_keys:
            raise NotSupported("keys that a KEY_FUNCTION of your own has made are listed with a REVERSE_KEY_FUNCTION")
        head = len(f"{self.key_prefix}:{self.version if version is None else version}:")
        return lambda made: made[head:]


def _encode(made: str) -> bytes:
    return made.encode("utf-8", "surrogatepass")


def _decode(key: bytes) -> str | None:
    """Return the text that was made of a user's key; None for a key of ours, and for one that was no text."""
    if kind_of(key) is not None:
        return None
    try:
        return key.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
