"""What tests of sub-processes look at."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

_PATIENCE = 30.0


def eventually(check: Callable[[], object]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + _PATIENCE
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def _field(pid: int | str, index: int) -> str | None:
    """Return a field of what the system says about a process: 0 is its state, 1 its parent; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[index]
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, even if nobody has asked for its status yet."""
    return _field(pid, 0) in (None, "Z")


def children() -> set[int]:
    """Return the processes that this one has started and not yet waited for."""
    mine = str(os.getpid())
    return {int(path.name) for path in Path("/proc").glob("[0-9]*") if _field(path.name, 1) == mine}


def supervisors() -> int:
    """Return how many threads of managers there are."""
    return sum(thread.name == "kt-embedded" for thread in threading.enumerate())


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))
