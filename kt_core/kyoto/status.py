"""What a server says about itself and its databases: dicts of what it says, with the usual figures as attributes.

Source: the Kyoto Tycoon protocol reference, sections 2.7 and 7.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kt_core.figures import Figures

_INDEX = re.compile(r"db_([0-9]{1,20})", re.ASCII)
_DATABASE = re.compile(r"count=(-?[0-9]{1,20}) size=(-?[0-9]{1,20}) path=(.*)", re.DOTALL | re.ASCII)


class Status(Figures):
    """What a server says about one database."""

    @property
    def count(self) -> int:
        """Records, with those that have expired and are not yet collected."""
        return self._integer("count")

    @property
    def size(self) -> int:
        """Bytes."""
        return self._integer("size")

    @property
    def path(self) -> str:
        """Where it is, or what kind of database in memory."""
        return str(self.get("path", ""))

    @property
    def type(self) -> int:
        """The number of its kind: section 7.1."""
        return self._integer("type")


@dataclass(frozen=True)
class DatabaseReport:
    """One database in a `Report`: records, bytes, and where it is."""

    count: int
    size: int
    path: str


class Report(Figures):
    """What a server says about itself."""

    @property
    def databases(self) -> list[DatabaseReport]:
        """The databases, in the order of their indices."""
        found = {}
        for name, text in self.items():
            index, match = _INDEX.fullmatch(name), _DATABASE.fullmatch(str(text))
            if index and match:
                found[int(index[1])] = DatabaseReport(int(match[1]), int(match[2]), match[3])
        return [found[index] for index in sorted(found)]

    @property
    def counters(self) -> dict[str, int]:
        """How many operations of each kind there were: set, set_misses, get, ..."""
        return self._integers("cnt_")

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of memory of the process (rss, size, peak) and of the machine (total, free, cached)."""
        return self._integers("sys_mem_")

    @property
    def current_time(self) -> float:
        """The server's clock, in seconds since 1970."""
        return self._real("serv_current_time")

    @property
    def running_time(self) -> float:
        """Seconds since the server started."""
        return self._real("serv_running_term")

    @property
    def process_id(self) -> int:
        """The number of the server's process."""
        return self._integer("serv_proc_id")

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return self._integer("serv_conn_count")

    @property
    def version(self) -> str:
        """Which server it is."""
        return str(self.get("conf_kt_version", ""))
