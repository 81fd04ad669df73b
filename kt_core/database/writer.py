"""What runs operations in write transactions: the environment, or whoever has to know what they change.

A server that keeps a log of its changes is given to a `Database` as its journal. It then runs every operation, whoever
asked for it, and knows by its own `operations` what became of each: the whole record that an increment left, say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

from kt_core.database.environment import Write
from kt_core.database.operations import Operations

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


class Writer(Protocol):
    """Runs operations in write transactions."""

    def write(self, index: int, operation: Callable[[Write, *Ts], T], *args: *Ts) -> T:
        """Run an operation on a logical database, commit it, and return its result."""


class Journal(Writer, Protocol):
    """A writer that knows what the operations change."""

    @property
    def operations(self) -> Operations:
        """Those that the database is to use."""
