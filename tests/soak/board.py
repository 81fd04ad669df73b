"""Figures that all processes of a soak share, in a file that outlives each of them."""

from __future__ import annotations

import mmap
import time
from enum import IntEnum
from pathlib import Path
from typing import Final

from kt_core.errors import ConnectionFailed, KTError, Timeout

_PLAYERS: Final = 64
_EPOCH, _OVER, _STATE = range(3)


class Figure(IntEnum):
    """What each player counts."""

    OPERATIONS = 0
    UNREACHED = 1
    LATE = 2
    FAILED = 3
    REFUSED = 4
    MISSING = 5
    FORKS = 6
    WRONG = 7
    LOST = 8


_FAILURES: Final[dict[type[KTError], Figure]] = {ConnectionFailed: Figure.UNREACHED, Timeout: Figure.LATE}
_REST: Final = 0.05  # seconds
UNANSWERED: Final = (Figure.UNREACHED, Figure.LATE, Figure.FAILED)
"""What ended in an error, so that nobody knows whether it happened."""


class Board:
    """Numbers of 64 bits: the state of the soak, then the figures of each player.

    Each has one writer, and a word is written in one piece.
    """

    def __init__(self, path: Path) -> None:
        size = 8 * (_STATE + _PLAYERS * len(Figure))
        with path.open("ab") as file:
            file.truncate(size)
        with path.open("r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), size)).cast("q")

    @property
    def epoch(self) -> int:
        """How often the store has forgotten everything."""
        return self._words[_EPOCH]

    def forget(self) -> None:
        """Note that the store forgets everything about now."""
        self._words[_EPOCH] += 1

    @property
    def over(self) -> bool:
        """Whether the players are to look at everything once more, and end."""
        return self._words[_OVER] > 0

    def end(self) -> None:
        """Let the players end."""
        self._words[_OVER] = 1

    def count(self, player: int, figure: Figure, by: int = 1) -> None:
        """Add to a player's figure."""
        self._words[_STATE + player * len(Figure) + figure] += by

    def count_failure(self, player: int, error: KTError) -> None:
        """Count what ended in an error; what cannot be reached is not asked again at once, or would be all there is."""
        self.count(player, _FAILURES.get(type(error), Figure.FAILED))
        if isinstance(error, ConnectionFailed):
            time.sleep(_REST)

    def total(self, figure: Figure) -> int:
        """Return the sum over all players."""
        return sum(self._words[_STATE + player * len(Figure) + figure] for player in range(_PLAYERS))
