"""Where databases in memory are: in a private directory that ends with its server, even with one that was killed.

A server holds a lock in its directory for as long as it lives. The next one to start removes the directories whose
lock nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kt_core.database.place import scratch_home

_LOCK = "server.lock"


class Scratch:
    """The directory of one running server, made when it is first needed."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._path: Path | None = None
        self._lock = -1

    @property
    def path(self) -> Path:
        """The directory; it is made now if it is not there."""
        if self._path is None:
            home = scratch_home(self._environ)
            gate = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(gate, fcntl.LOCK_EX)  # a directory that is not locked yet would look abandoned
                _remove_abandoned(home)
                self._path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=home))
                self._lock = _lock(self._path, os.O_CREAT)
            finally:
                os.close(gate)
        return self._path

    def remove(self) -> None:
        """Remove the directory and all in it."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._path = None


def _remove_abandoned(home: Path) -> None:
    for directory in home.iterdir():
        try:
            lock = _lock(directory)
        except OSError:  # somebody holds it, or it is none of ours
            continue
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _lock(directory: Path, flags: int = 0) -> int:
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
