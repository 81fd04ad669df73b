"""The embedded database: shared by all processes of a machine, bounded, with expiry; see `Database`."""

from kt_core.database.cursor import Cursor, Entry
from kt_core.database.database import Database, Item
from kt_core.database.environment import Environment
from kt_core.database.operations import Origin
from kt_core.database.options import DatabaseOptions
from kt_core.database.place import resolve
from kt_core.database.record import NEVER, Record

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
