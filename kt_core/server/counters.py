"""What a server counts of its operations, as `report` tells it."""

from __future__ import annotations

from typing import Final

SET: Final = 0
REMOVE: Final = 2
GET: Final = 4
SCRIPT: Final = 6
MISC: Final = 7
"""Indices into `Counters`; behind each of the first three stands the number of its misses."""

NAMES: Final = (
    "cnt_set",
    "cnt_set_misses",
    "cnt_remove",
    "cnt_remove_misses",
    "cnt_get",
    "cnt_get_misses",
    "cnt_script",
    "cnt_misc",
)


def new_counters() -> list[int]:
    """Return counters at zero."""
    return [0] * len(NAMES)
