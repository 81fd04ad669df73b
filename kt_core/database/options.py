"""How a database is made: what can be chosen, and the limits of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from kt_core.errors import Misconfigured

Durability = Literal["process", "commit"]
Eviction = Literal["lru", "none"]

SMALLEST: Final = 1 << 20
LONGEST_KEY: Final = 1 << 28
MAX_DATABASES: Final = 200


@dataclass(frozen=True)
class DatabaseOptions:
    """How a database is made.

    `max_size`: bytes that all its files together never exceed. `durability`: ``process`` survives the death of
    any process, ``commit`` that of the machine. `eviction`: ``lru`` drops the least recently used records for
    new ones, ``none`` refuses new ones. `databases`: how many logical databases it has, numbered from 0.
    """

    max_size: int = 256 << 20
    durability: Durability = "process"
    eviction: Eviction = "lru"
    databases: int = 1

    def __post_init__(self) -> None:
        if self.max_size < SMALLEST:
            raise Misconfigured(f"max_size is {self.max_size} bytes: write at least {SMALLEST} (1 MiB)")
        allowed = {"durability": ("process", "commit"), "eviction": ("lru", "none")}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise Misconfigured(f"{name} is {getattr(self, name)!r}: write one of {', '.join(map(repr, values))}")
        if not 1 <= self.databases <= MAX_DATABASES:
            raise Misconfigured(f"databases is {self.databases}: write a number from 1 to {MAX_DATABASES}")
