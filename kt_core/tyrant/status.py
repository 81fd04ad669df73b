"""What a Tokyo Tyrant server says about itself: a dict of what it says, with the usual figures as attributes.

Source: the Tokyo Tyrant protocol reference, section 9.1.
"""

from __future__ import annotations

from kt_core.figures import Figures


class Status(Figures):
    """What a server says about itself and its database."""

    @property
    def type(self) -> str:
        """What kind of database it has: "on-memory hash", "B+ tree", "table" and so on; "void" for one out of order."""
        return str(self.get("type", ""))

    @property
    def path(self) -> str:
        """Where the database is, or what stands for one in memory."""
        return str(self.get("path", ""))

    @property
    def count(self) -> int:
        """Records."""
        return self._integer("rnum")

    @property
    def size(self) -> int:
        """Bytes."""
        return self._integer("size")

    @property
    def big_endian(self) -> bool:
        """Whether numbers in records have their highest byte first."""
        return bool(self._integer("bigend"))

    @property
    def counters(self) -> dict[str, int]:
        """How many operations of each kind there were: put, put_miss, get, ..."""
        return self._integers("cnt_")

    @property
    def memory(self) -> int:
        """Bytes of memory that the process has in use."""
        return self._integer("memrss")

    @property
    def current_time(self) -> float:
        """The server's clock, in seconds since 1970."""
        return self._real("time")

    @property
    def running_time(self) -> float:
        """Seconds since the server started."""
        return self._real("ru_real")

    @property
    def process_id(self) -> int:
        """The number of the server's process."""
        return self._integer("pid")

    @property
    def server_id(self) -> int:
        """The number that the server has among those that replicate each other; 0 for none."""
        return self._integer("sid")

    @property
    def master(self) -> tuple[str, int] | None:
        """Host and port of the server that this one replicates, None for none."""
        return (str(self["mhost"]), self._integer("mport")) if "mhost" in self else None

    @property
    def delay(self) -> float:
        """Seconds that the database is behind its master's."""
        return self._real("delay")

    @property
    def version(self) -> str:
        """Which server it is."""
        return str(self.get("version", ""))
