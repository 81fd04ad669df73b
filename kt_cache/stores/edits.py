"""What an operation makes of one record of a Tokyo Tyrant store: the same here and in the server's `tyrant.lua`.

A record is 8 bytes, big-endian and unsigned, which say when it expires, in milliseconds since the epoch, and the
payload. A counter's payload is 8 bytes, big-endian and signed. An expired record is no record; nor is one that is too
short, which somebody else has made.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import Final, NamedTuple

from kt_cache.stores.forms import COUNTERS, to_integer
from kt_core.number import INTEGER

HEADER: Final = Struct(">Q")
NEVER: Final = (1 << 64) - 1
"""The expiry of what never expires."""
LAST: Final = 1 << 53
"""The first millisecond that is as good as never: so far Lua's numbers are exact."""

_DELTA: Final = 9  # bytes: with one more than a counter has, no sum of two goes round
_LARGEST: Final = 1 << 65


class Action(Enum):
    """What becomes of a record that is there."""

    NOTHING = b"N"
    STORE = b"S"
    """It gets another payload."""
    TOUCH = b"T"
    """It keeps its payload."""
    DELETE = b"D"
    ADD = b"A"
    """Something is added to the counter that it must be."""


class State(Enum):
    """What was there."""

    ABSENT = b"-"
    THERE = b"+"
    OTHER = b"!"
    """There was another payload than expected; nothing was done."""


class Seen(NamedTuple):
    """What was there before an edit, and the payload if the edit tells it."""

    state: State
    payload: bytes = b""


class Edit(NamedTuple):
    """An operation on one record; times in milliseconds since the epoch."""

    action: Action
    payload: bytes = b""
    """What to store, or the delta to add."""
    expiry: int | None = None
    """When the record is to expire; None leaves that as it is."""
    expected: bytes | None = None
    """The payload that must be there, if not any."""
    absent: bytes | None = None
    """The record to make where there is none."""
    tells: bool = False
    """Whether the payload that was there is asked for."""

    @property
    def looks(self) -> bool:
        """Whether the payload that is there has to be known; else the expiry is enough."""
        return self.tells or self.expected is not None or self.action in (Action.TOUCH, Action.ADD)

    @property
    def is_repeatable(self) -> bool:
        """Whether done twice it is the same as done once, what it tells included."""
        return self.expected is None and not self.tells and self.action in (Action.STORE, Action.TOUCH)

    def apply(self, record: bytes | None, now: int) -> tuple[Seen, bytes | None]:
        """Return what was there, and the record that is there afterwards: None for none, the very same if it stays.

        Unless the edit `looks`, the record may be cut off behind its expiry.
        """
        if record is None or is_over(record, now):
            return Seen(State.ABSENT), self.absent
        payload = record[HEADER.size :]
        if self.expected is not None and payload != self.expected:
            return Seen(State.OTHER), record
        seen = Seen(State.THERE, payload if self.tells else b"")
        header = record[: HEADER.size] if self.expiry is None else HEADER.pack(self.expiry)
        match self.action:
            case Action.STORE:
                return seen, header + self.payload
            case Action.TOUCH:
                return seen, header + payload
            case Action.DELETE:
                return seen, None
            case Action.ADD if len(payload) == INTEGER.size:
                total = to_integer(payload) + to_integer(self.payload)
                if total in COUNTERS:
                    return seen, header + INTEGER.pack(total)
        return seen, record


def is_over(record: bytes, now: int) -> bool:
    """Tell whether a record, or what is there in its place, is none."""
    return len(record) < HEADER.size or expiry_of(record) <= now


def expiry_of(record: bytes) -> int:
    """Return when a record expires."""
    return int.from_bytes(record[: HEADER.size], "big")


def to_delta(number: int) -> bytes:
    """Return the payload of an edit that adds a number; one that is too much for any counter may as well be less."""
    return max(-_LARGEST, min(number, _LARGEST)).to_bytes(_DELTA, "big", signed=True)
