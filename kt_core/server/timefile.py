"""The file in which a slave remembers how far it has followed its master, for people and for other servers to read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


class TimeFile:
    """A file that holds one timestamp, in so many digits."""

    def __init__(self, path: Path, digits: int = 1) -> None:
        self._path = path
        self._digits = digits

    def read(self) -> int:
        """Return the timestamp; 0 if there is none."""
        with suppress(OSError, ValueError):
            return int(self._path.read_text())
        return 0

    def write(self, ts: int) -> None:
        """Remember a timestamp."""
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(f"{ts:0{self._digits}d}\n")
        new.replace(self._path)  # half a time would have everything made again
