"""What a method of a script's database fails with, as the original tells it: a code and a text.

Source: the Kyoto Tycoon protocol reference, section 2.4.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kt_core.errors import Damaged, InvalidInput, KTError, NotACounter, NotSupported, StoreFull


class Problem(NamedTuple):
    """An error as the original tells it."""

    code: int
    message: bytes


NONE: Final = Problem(0, b"no error")
NO_RECORD: Final = Problem(7, b"no record")
DUPLICATE: Final = Problem(6, b"record duplication")
CONFLICT: Final = Problem(8, b"status conflict")
UNORDERED: Final = Problem(1, b"not implemented")
BAD_REGEX: Final = Problem(8, b"compilation failed")
NO_NUMBER: Final = Problem(8, b"logical inconsistency")
TOO_LARGE: Final = Problem(9, b"larger than there is memory for")
UNSUPPORTED: Final = Problem(1, b"write db:transaction(function() ... end), or copy with another program")

_CODES: Final[dict[type[KTError], int]] = {StoreFull: 9, Damaged: 5, NotSupported: 4, InvalidInput: 2}


def to_problem(error: KTError) -> Problem:
    """Return the problem that an error of ours is."""
    if isinstance(error, NotACounter):
        return NO_NUMBER
    return Problem(_CODES.get(type(error), 15), str(error).encode())
