"""The words of the control file that a follower and the workers share: what says whether the copy may be read.

Times are nanoseconds of the machine's monotonic clock, which all its processes read alike: no clock of the master's
is compared with one of ours.
"""

from __future__ import annotations

from typing import Final

from kt_core.database.control import BYPASSED, EVICTIONS, FREE, MODE

EPOCH: Final = FREE
"""Odd while the database is a copy of the master's; another number after each time that it was filled anew."""

REACHED: Final = FREE + 1
"""A time: the copy has all that the master had acknowledged by then."""

WANTED: Final = FREE + 2
"""Set by whoever waits for `REACHED` to go on; the follower takes it back."""

WHOLE: Final = FREE + 3
"""One more than the evictions that there were when the copy was whole: no record is missing as long as that holds."""


def is_whole(words: memoryview) -> bool:
    """Tell whether what the copy has not is not on the master either."""
    return words[WHOLE] == words[EVICTIONS] + 1 and not words[MODE] & BYPASSED
