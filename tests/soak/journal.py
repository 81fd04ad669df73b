"""What a player was told, written down so that the one after it knows: a process may be killed at any moment.

Each line is written by one call, and so outlives the process; one that a full disk cuts short is left out.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_LONGEST: Final = 5_000  # lines, before the state is written anew


class Log:
    """A file of lines, each a list."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, *entry: object) -> None:
        """Write a line."""
        os.write(self._file, json.dumps(entry).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> Iterator[list[Any]]:
    """Yield the lines of a log."""
    for line in path.read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # it was cut short


class Journal:
    """A log behind a state that is written anew now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._state: object = None
        if path.exists():
            self._number, self._state = pickle.loads(path.read_bytes())
        self._log = Log(self._numbered())
        self._lines = 0

    def _numbered(self) -> Path:
        return self._path.with_suffix(f".{self._number}")

    def load(self) -> tuple[Any, list[list[Any]]]:
        """Return the state, None for none, and the lines since then."""
        lines = list(read(self._log.path))
        self._lines = len(lines)
        return self._state, lines

    def note(self, *entry: object) -> None:
        """Write a line."""
        self._log.note(*entry)
        self._lines += 1

    @property
    def is_long(self) -> bool:
        """Whether it is time for `save`."""
        return self._lines >= _LONGEST

    def save(self, state: object) -> None:
        """Write the state in the place of all lines before."""
        before = self._log
        self._number += 1
        self._log, self._lines = Log(self._numbered()), 0
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(pickle.dumps((self._number, state)))
        fresh.replace(self._path)
        before.close()
        before.path.unlink()
