"""Names of Tokyo Tyrant's databases: what kind each is, and the options behind it.

``*#capnum=1000``, ``/var/lib/site.tct#idx=x:dec``: options that only tune the original engine are accepted and change
nothing. Source: the Tokyo Tyrant protocol reference, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kt_core.errors import Misconfigured
from kt_core.server.specs import Kind, Spec, options_of


@dataclass(frozen=True)
class TyrantKind(Kind):
    """A kind of database, and what `stat` calls it."""

    title: str = ""


_HASH = TyrantKind(2, ordered=False, in_memory=False, title="hash")
_TREE = TyrantKind(3, ordered=True, in_memory=False, title="B+ tree")
_FIXED = TyrantKind(4, ordered=True, in_memory=False, title="fixed-length")
_TABLE = TyrantKind(5, ordered=False, in_memory=False, title="table")
KINDS: Final[Mapping[str, TyrantKind]] = {
    "*": TyrantKind(0, ordered=False, in_memory=True, title="on-memory hash"),
    "+": TyrantKind(1, ordered=True, in_memory=True, title="on-memory tree"),
    "tch": _HASH,
    "hdb": _HASH,
    "tcb": _TREE,
    "bdb": _TREE,
    "tcf": _FIXED,
    "fdb": _FIXED,
    "tct": _TABLE,
    "tdb": _TABLE,
}
# Of the original engine; they change nothing here.
_TUNING = set("bnum apow fpow opts rcnum xmsiz dfunit lmemb nmemb lcnum ncnum".split())  # noqa: SIM905
_OURS = {"capnum", "capsiz", "mode", "width", "limsiz", "idx", "max_size", "durability", "eviction"}


@dataclass(frozen=True)
class Name(Spec):
    """A database as it was asked for."""

    kind: TyrantKind

    @classmethod
    def parse(cls, text: str) -> Name:
        """Read a name; `Misconfigured` if it names no kind of database."""
        path, options = options_of(text)
        suffix = path if path in KINDS else path.rpartition(".")[2].lower()
        if suffix not in KINDS:
            raise Misconfigured(
                f"{text!r} is no database: write * or + for one in memory, or a path that ends in "
                ".tch, .tcb, .tcf or .tct"
            )
        return cls(path, KINDS[suffix], options)

    @property
    def text(self) -> str:
        """The name that reads as this one."""
        return "#".join([self.path, *(f"{name}={value}" for name, value in self.options.items())])

    @property
    def unknown(self) -> list[str]:
        """The options that no kind of database has."""
        return sorted(set(self.options) - _TUNING - _OURS)

    @property
    def expires(self) -> bool:
        """Whether records expire: none does."""
        return False

    @property
    def count_limit(self) -> int:
        """The most records that it is to hold; 0 for any number."""
        return self._limit("capnum") if self.kind.in_memory else 0

    @property
    def size_limit(self) -> int:
        """The most bytes of records that it is to hold; 0 for what there is room for."""
        return self._limit("capsiz") if self.kind.in_memory else 0

    @property
    def read_only(self) -> bool:
        """Whether nothing may be changed: ``mode=r``."""
        mode = self.options.get("mode", "w")
        return "r" in mode and "w" not in mode

    @property
    def truncates(self) -> bool:
        """Whether it begins empty: ``mode=wct``."""
        return "t" in self.options.get("mode", "")
