"""The entries of CACHES that are `KTCache`'s, read without opening anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.cache import caches
from django.utils.module_loading import import_string

from kt_cache.django.base import read_options
from kt_cache.django.cache import KTCache
from kt_cache.options import Options
from kt_core.locations import locate

Entry = Mapping[str, Any]


def our_entries() -> dict[str, Entry]:
    """Return the entries whose BACKEND is `KTCache` or a class made of it, by alias."""
    return {alias: entry for alias, entry in caches.settings.items() if _is_ours(entry)}


def options_of(entry: Entry) -> Options:
    """Return what an entry configures, or `Misconfigured`."""
    return read_options(entry.get("LOCATION", ""), entry)


def given_in(entry: Entry) -> set[str]:
    """Return the names of the options that an entry gives, in LOCATION or OPTIONS, in small letters."""
    location = entry.get("LOCATION")
    written = [name for name, _ in locate(location).options] if location else []
    return {name.lower() for name in [*written, *entry.get("OPTIONS", {})]}


def _is_ours(entry: Entry) -> bool:
    try:
        backend = import_string(entry.get("BACKEND", ""))
    except ImportError:
        return False  # Django says so itself, once the cache is used
    return isinstance(backend, type) and issubclass(backend, KTCache)
