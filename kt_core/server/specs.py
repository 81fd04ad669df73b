"""Database specifications as `ktserver` spells them: a path, which names a kind of database, and options behind it.

``*#capsiz=64m``, ``%``, ``/var/lib/site.kct#opts=c``: options that only tune the original engine are accepted and
change nothing. ``embedded://NAME`` and ``embedded:///path`` stand for the database that the embedded store of that
name has, so that a server lets others into what a site's workers open in-process.
Source: the Kyoto Tycoon protocol reference, section 7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kt_core.errors import Misconfigured

EMBEDDED: Final = "embedded://"


@dataclass(frozen=True)
class Kind:
    """A kind of database: its number and what else `status` tells, whether its records have an order, where it is."""

    number: int
    ordered: bool
    in_memory: bool
    status: tuple[str, ...] = ()


_CACHE = ("bnum", "capcnt", "capsiz", "chksum", "fmtver", "libver", "librev", "opts", "recovered", "reorganized")
_TREE = ("bnum", "cusage", "first", "icnt", "last", "lcnt", "pccap", "pnum", "psiz", "rcomp", "root")
_DIRECTORY = ("chksum", "flags", "fmtver", "libver", "librev", "opts", "recovered", "reorganized")
_FILE = (*_DIRECTORY, "apow", "bnum", "dfunit", "fpow", "frgcnt", "msiz", "realsize", "trimmed")

KINDS: Final[Mapping[str, Kind]] = {
    "-": Kind(16, ordered=False, in_memory=True),
    "+": Kind(17, ordered=True, in_memory=True),
    ":": Kind(24, ordered=False, in_memory=True),
    "*": Kind(32, ordered=False, in_memory=True, status=_CACHE),
    "%": Kind(33, ordered=True, in_memory=True, status=(*_CACHE, *_TREE)),
    "kch": Kind(48, ordered=False, in_memory=False, status=_FILE),
    "kct": Kind(49, ordered=True, in_memory=False, status=(*_FILE, *_TREE)),
    "kcd": Kind(64, ordered=False, in_memory=False, status=_DIRECTORY),
    "kcf": Kind(65, ordered=True, in_memory=False, status=(*_DIRECTORY, *_TREE)),
    EMBEDDED: Kind(49, ordered=True, in_memory=False, status=(*_FILE, *_TREE)),
}
# Of the original engine, besides those that are options of this one, too; they change nothing here.
_TUNING = set("bnum opts zcomp zkey psiz pccap apow fpow msiz dfunit log logkinds logpx".split())  # noqa: SIM905
_OURS = {"type", "rcomp", "capcnt", "capsiz", "ktopts", "ktcapcnt", "ktcapsiz"}
_OURS |= {"max_size", "durability", "eviction", "database"}

_SIZE = re.compile(r"\s*([+-]?\d{1,18})\s*([kmgtpe]?)", re.IGNORECASE)
_UNITS = {unit: 10 * power for power, unit in enumerate(("", "k", "m", "g", "t", "p", "e"))}


@dataclass(frozen=True)
class Spec:
    """One database as it was asked for."""

    path: str
    """What names it: ``*``, a path, or an ``embedded://`` location."""
    kind: Kind
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Read a specification; `Misconfigured` if it names no kind of database."""
        path, options = options_of(text)
        name = options.get("type") or _kind_name(path)
        if name not in KINDS:
            raise Misconfigured(
                f"{text!r} is no database: write one of * % + - : for one in memory, a path that ends in .kch, .kct, "
                ".kcd or .kcf, or embedded://NAME for the one of an embedded store"
            )
        if options.get("rcomp", "lex") not in ("lex", "lexical"):
            raise Misconfigured(
                f"{text!r}: records are kept in the order of their keys' bytes: write rcomp=lex, or nothing"
            )
        return cls(path, KINDS[name], options)

    @property
    def name(self) -> str:
        """What clients may call it, besides its number."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def unknown(self) -> list[str]:
        """The options that no kind of database has."""
        return sorted(set(self.options) - _TUNING - _OURS)

    @property
    def expires(self) -> bool:
        """Whether records expire: ``ktopts=p`` is for those that never do."""
        return "p" not in self.options.get("ktopts", "")

    @property
    def count_limit(self) -> int:
        """The most records that it is to hold; 0 for any number."""
        return self._limit("ktcapcnt") or (self._limit("capcnt") if self.kind is KINDS["*"] else 0)

    @property
    def size_limit(self) -> int:
        """The most bytes of records that it is to hold; 0 for what there is room for."""
        return self._limit("ktcapsiz") or (self._limit("capsiz") if self.kind is KINDS["*"] else 0)

    def number(self, name: str, default: int = -1) -> int:
        """Return an option's number, with a unit of 1024 if it has one; the default if it has none."""
        match = _SIZE.match(self.options.get(name, ""))
        return int(match[1]) << _UNITS[match[2].lower()] if match else default

    def _limit(self, name: str) -> int:
        return max(self.number(name), 0)


def options_of(text: str) -> tuple[str, dict[str, str]]:
    """Return the path that a specification begins with, and the options behind it."""
    path, *settings = text.split("#")
    named = (setting.partition("=") for setting in settings if setting)
    return path, {name.strip(): value.strip() for name, _, value in named}


def _kind_name(path: str) -> str:
    if path.startswith(EMBEDDED):
        return EMBEDDED
    return path if path in KINDS else path.rpartition("/")[2].rpartition(".")[2].lower()
