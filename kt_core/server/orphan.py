"""Ending with the process that started this one, even where that is killed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_LOOK_EVERY = 0.5  # seconds, where the system does not tell


def end_with(parent: int, end: Callable[[], None]) -> None:
    """Call `end` in the running event loop once the process `parent` has ended."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(parent)
    except ProcessLookupError:
        end()
        return
    except (OSError, AttributeError):  # not Linux, or one before 5.3
        look_after(parent, end)
        return

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        end()

    loop.add_reader(descriptor, ended)


def look_after(parent: int, end: Callable[[], None], every: float = _LOOK_EVERY) -> None:
    """Do the same by asking again and again whose child this process is; `parent` is the one that started it."""
    if os.getppid() == parent:
        asyncio.get_running_loop().call_later(every, look_after, parent, end, every)
    else:
        end()
