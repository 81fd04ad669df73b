"""What is inspected: a cache by its name, its store, and what it is configured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from kt_cache.inspector.wording import size_text, time_text
from kt_cache.options import Options
from kt_cache.stores import Store

_SIZES = ("max_size", "compress_min_length")
_TIMES = ("timeout", "connect_timeout", "max_idle", "retry_timeout", "dead_timeout")


@dataclass(frozen=True)
class Subject:
    """One cache; `settings` are names and texts for the reader, without secrets."""

    name: str
    store: Store
    settings: Mapping[str, str]


def describe(options: Options) -> dict[str, str]:
    """Return all options as texts. Of a serializer of the user's own only its type is told: it may hold keys."""
    described = {}
    for part in (options.store, options):
        for field in fields(part):
            if field.name != "store":
                value = getattr(part, field.name)
                is_told = field.repr or value is None  # a password is not
                described[field.name.replace("_", " ")] = _text(field.name, value) if is_told else "not shown"
    return described


def _text(name: str, value: object) -> str:
    if value is None:
        return "none" if name == "compression" else "the default"
    if name in _SIZES and isinstance(value, int):
        return size_text(value)
    if name in _TIMES and isinstance(value, float):
        return time_text(value)
    if isinstance(value, tuple):
        return ", ".join(_text(name, each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    if type(value).__module__.startswith("kt_"):
        return str(value)  # an address
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"
