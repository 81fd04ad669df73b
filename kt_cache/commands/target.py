"""What the commands are about: one cache, and the site it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kt_cache.options import AerospikeOptions, EmbeddedOptions, Options, TyrantOptions
from kt_cache.patterns import Pattern
from kt_cache.reserved import kind_of
from kt_cache.stores.base import Entry, Store

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


@dataclass(frozen=True)
class Target:
    """One cache: its alias, its options, its store, and how its keys become the store's and back."""

    alias: str
    options: Options
    store: Store
    compile: Callable[[str], Pattern]
    to_stored: Callable[[str], bytes]
    to_key: Callable[[bytes], str]
    own_prefix: Callable[[], bytes]

    @property
    def location(self) -> str:
        """Where its records are, as a URL."""
        store = self.options.store
        if isinstance(store, EmbeddedOptions):
            return f"embedded://{store.place}"
        if isinstance(store, AerospikeOptions):
            return store.location
        kind, database = ("tt", "") if isinstance(store, TyrantOptions) else ("kt", f"/{store.database}")
        if store.servers[0].path is not None:
            return f"{kind}+unix://{store.servers[0]}"
        return f"{kind}://{','.join(map(str, store.servers))}{database}"

    def fitting(self, glob: str) -> Iterator[bytes]:
        """Yield the stored keys that fit a glob."""
        pattern = self.compile(glob)
        return (key for key in pattern.among(self.store.iter_keys(pattern.beginning)) if _has(pattern, key))

    def entries(self, glob: str) -> Iterator[Entry]:
        """Yield what is known of the records whose keys fit a glob."""
        pattern = self.compile(glob)
        return (each for each in self.store.iter_entries(pattern.beginning) if _has(pattern, each.key))


def _has(pattern: Pattern, key: bytes) -> bool:
    if kind_of(key) is not None:
        return False
    return pattern.fits is None or bool(pattern.fits(key.decode(errors="surrogateescape")))


class Site(Protocol):
    """What a framework says about the site that the command is for."""

    def target(self, alias: str) -> Target:
        """Return the cache of an alias, or `CommandFailed`."""

    @property
    def base(self) -> str:
        """The site's public address, a scheme and a host, as far as it is known."""

    def application(self) -> WSGIApplication:
        """Return the site itself."""
