"""Markers: how a follower knows, without comparing clocks, that its copy has what was acknowledged by some time.

The follower removes a key that never exists. The master changes nothing and yet writes that to its log, behind
whatever it had acknowledged before: so when the removal comes back in the stream, all of that has come, too. The key
has in it when it was sent by the follower's own clock, and a number that tells the followers of one master apart.
"""

from __future__ import annotations

import os
from struct import Struct, error
from typing import Final

_PREFIX: Final = b"\0kt-cache replica marker\0"
_REST: Final = Struct(">8sq")
_SIZE: Final = len(_PREFIX) + _REST.size


class Markers:
    """The markers of one follower, which are nobody else's."""

    def __init__(self) -> None:
        self._own = os.urandom(8)

    def key(self, now: int) -> bytes:
        """Return the key of a marker that is sent now, a time in nanoseconds."""
        return _PREFIX + _REST.pack(self._own, now)

    def sent_at(self, key: bytes) -> int | None:
        """Return when the marker with this key was sent, if it was sent from here."""
        try:
            own, sent = _REST.unpack_from(key, len(_PREFIX))
        except error:
            return None
        return sent if own == self._own else None


def is_marker(key: bytes) -> bool:
    """Tell whether a key is that of somebody's marker."""
    return len(key) == _SIZE and key.startswith(_PREFIX)
