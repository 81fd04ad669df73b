"""What is wrong, or lost: counted on the board, and told in the log of faults."""

from __future__ import annotations

import time
from pathlib import Path

from tests.soak.board import Board, Figure
from tests.soak.journal import Log


class Verdicts:
    """The verdicts about what one player was told."""

    def __init__(self, folder: Path, player: int) -> None:
        self._player = player
        self._board = Board(folder / "board")
        self._log = Log(folder / "faults.log")

    def tell(self, operation: str, verdict: str, key: object, facts: object) -> None:
        """Give a verdict: ``lost``, or another word for what is wrong."""
        self._board.count(self._player, Figure.LOST if verdict == "lost" else Figure.WRONG)
        self._log.note(verdict, operation, self._player, key, facts, time.time())
