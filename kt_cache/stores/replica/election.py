"""Seeing to it that one process of the machine follows the master as long as there are workers, and no longer.

Two files beside the database are locked, and the kernel lets go of a lock with the process that holds it: ``follower``
by the one follower, ``workers`` shared by every process that reads. A follower that can lock the latter alone is not
needed any more. It is nobody's child for long, so that it outlives the worker that happened to start it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from kt_core.transport import Address

logger = logging.getLogger("kt_cache.stores")

_LOOK_EVERY: Final = 0.25  # seconds
# Seconds between starts, of which the first few may be in vain; after a longer while it begins anew.
_RESTS: Final = (1.0, 2.0, 5.0, 30.0)
_MODULE: Final = "kt_cache.stores.replica"


@dataclass(frozen=True)
class Following:
    """What a follower is told: the copy's directory and its bytes at most, the master, and times in seconds."""

    directory: str
    max_size: int
    address: Address
    database: int
    timeout: float
    every: float

    def encode(self) -> str:
        """Return it as the argument of the program."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, argument: str) -> Following:
        """Return what the program was given."""
        fields = json.loads(argument)
        return cls(**{**fields, "address": Address(**fields["address"])})


class Crew:
    """One worker's part: to count as one, and to start a follower where there is none."""

    def __init__(
        self,
        following: Following,
        *,
        start: Callable[[Following], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._following = following
        self._start = start or start_follower
        self._clock = clock
        self._next_look = self._last_start = -math.inf
        self._starts = 0
        self._started: set[int] = set()
        # Forked children have the same open file, and so the lock lasts until the last of them has ended.
        self._workers = _open(Path(following.directory, "workers"))
        fcntl.flock(self._workers, fcntl.LOCK_SH)

    def see_to_it(self) -> None:
        """Start a follower if there is none; asked too often it does not look."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY
        self._bury()
        lock = lock_alone(self._following.directory, "follower")
        if lock is None:
            return
        os.close(lock)  # it is the follower's; where two are started, one of them finds it locked
        if now - self._last_start > 2 * _RESTS[-1]:
            self._starts = 0
        self._next_look = now + _RESTS[min(self._starts, len(_RESTS) - 1)]
        self._last_start = now
        self._starts += 1
        try:
            self._started.add(self._start(self._following))
        except OSError as error:  # the copy grows old, and the master is read
            logger.error("nobody can be started to follow %s: %s", self._following.address, error)

    def _bury(self) -> None:
        for pid in list(self._started):
            with suppress(ChildProcessError):  # a forked child's parent has it, or somebody else has done it
                if not os.waitpid(pid, os.WNOHANG)[0]:
                    continue
            self._started.discard(pid)

    def close(self) -> None:
        """Count as a worker no more."""
        if self._workers >= 0:
            os.close(self._workers)
            self._workers = -1


def start_follower(following: Following) -> int:
    """Start the program; return its process id."""
    arguments = [sys.executable, "-m", _MODULE, following.encode()]
    null = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    # A session of its own: what a terminal, or a worker's manager, sends to the worker's group is not for it.
    return os.posix_spawn(sys.executable, arguments, os.environ, file_actions=null, setsid=True)


def lock_alone(directory: str, name: str) -> int | None:
    """Return a descriptor that has a file of the directory locked, None if somebody else has or it was removed."""
    try:
        descriptor = _open(Path(directory, name))
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
