"""The kinds of databases, and what keys and values each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Database:
    """A kind of database: its name for the server, and what it tells of itself."""

    name: str
    type: str
    serializer: str = "binary"
    ordered: bool = False
    numbered: bool = False

    def key(self, number: int) -> str:
        """Return a key that the database can have; they are in the order of the numbers."""
        return str(number + 1) if self.numbered else f"k{number:05d}"

    def value(self, word: Any) -> Any:
        """Return a value that the database can have."""
        return {"word": str(word)} if self.serializer == "table" else str(word)

    def records(self, count: int) -> dict[str, Any]:
        """Return so many records."""
        return {self.key(number): self.value(number) for number in range(count)}


PLAIN = [
    Database("*", "on-memory hash"),
    Database("+", "on-memory tree", ordered=True),
    Database("data.tch", "hash"),
    Database("data.tcb", "B+ tree", ordered=True),
]
FIXED = Database("data.tcf", "fixed-length", ordered=True, numbered=True)
TABLE = Database("data.tct", "table", serializer="table")
EVERY = [*PLAIN, FIXED, TABLE]
TREE = PLAIN[3]
