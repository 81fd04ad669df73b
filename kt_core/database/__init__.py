"""The embedded database: shared by all processes of a machine, bounded, with expiry; see `Database`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kt_core.database.database import Database, Item
from kt_core.database.environment import Environment
from kt_core.database.operations import Origin
from kt_core.database.options import DatabaseOptions
from kt_core.database.place import resolve
from kt_core.database.record import NEVER, Record

if TYPE_CHECKING:
    from kt_core.database.cursor import Cursor, Entry

__all__ = [
    "NEVER",
    "Cursor",
    "Database",
    "DatabaseOptions",
    "Entry",
    "Environment",
    "Item",
    "Origin",
    "Record",
    "resolve",
]


def __getattr__(name: str) -> Any:
    if name not in ("Cursor", "Entry"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kt_core.database import cursor

    return getattr(cursor, name)
