"""One process of a soak: ``python -m tests.soak.worker FOLDER NUMBER SEED``."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from kt_cache.options import Options
from kt_cache.stores import AsyncStore, open_store
from kt_core.errors import KTError
from tests.soak.board import Board, Figure
from tests.soak.faulty import FAULTY
from tests.soak.model import Promise
from tests.soak.player import Player
from tests.soak.verdicts import Verdicts

FORKED: Final = 32
"""What the number of a fork's player is greater by than its parent's."""
_ATTEMPTS: Final = 100
_BETWEEN_FORKS, _LIFE_OF_FORK = 2.0, 0.2  # seconds


class Worker:
    """Two players in threads, of which the first forks now and then, whatever the second is about to do."""

    def __init__(self, folder: Path, number: int, seed: str) -> None:
        settings: dict[str, Any] = json.loads((folder / "settings.json").read_text())
        shift = settings["shift"] if number % 4 == 1 else 0.0
        self._clock: Callable[[], float] = (lambda: time.time() + shift) if shift else time.time
        options = Options.parse(settings["url"], settings["options"], default_name="")
        self._store: AsyncStore = FAULTY[settings["faulty"]](_opened(options, self._clock))
        self._folder, self._number, self._forks = folder, number, settings["forks"]
        self._player = partial(
            Player,
            self._store,
            folder=folder,
            promise=Promise(**settings["promise"]),
            linger=settings["linger"],
            clock=self._clock,
            seed=seed,
        )
        self._board = Board(folder / "board")

    def run(self) -> None:
        """Play until the end is asked for."""

        def second() -> None:
            try:
                self._play(2 * self._number + 1, lambda: None)
            except BaseException:
                traceback.print_exc()
                os._exit(1)  # the other one would play on

        thread = threading.Thread(target=second)
        thread.start()
        self._play(2 * self._number, self._forking())
        thread.join()

    def _play(self, number: int, between: Callable[[], None]) -> None:
        player = self._player(number)
        while not self._board.over:
            player.play()
            between()
        player.finish()

    def _forking(self) -> Callable[[], None]:
        last, children = time.monotonic(), list[int]()

        def fork() -> None:
            nonlocal last
            if not self._forks or time.monotonic() < last + _BETWEEN_FORKS:
                return
            last = time.monotonic()
            if children:  # one at a time: it has the keys of the one before
                ended, status = os.waitpid(children[0], os.WNOHANG)
                if not ended:
                    return
                children.clear()
                if status:
                    Verdicts(self._folder, 2 * self._number).tell("fork", "wrong", 0, status)
            self._board.count(2 * self._number, Figure.FORKS)
            child = os.fork()
            if child:
                children.append(child)
            else:
                self._live_as_fork()

        return fork

    def _live_as_fork(self) -> None:
        status = 1
        try:
            # The fork of a worker that was killed lives on for a while, and has the same keys.
            turn = (self._folder / f"fork-{self._number}").open("w")
            fcntl.flock(turn, fcntl.LOCK_EX)
            player = self._player(FORKED + self._number)
            end = time.monotonic() + _LIFE_OF_FORK
            while time.monotonic() < end:
                player.play()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)


def _opened(options: Options, clock: Callable[[], float]) -> AsyncStore:
    """Open the store, as soon as there is room to: where the disk is full, no database can be made."""
    for _ in range(_ATTEMPTS):
        with suppress(KTError):
            return open_store(options, clock=clock)
        time.sleep(0.1)
    return open_store(options, clock=clock)


if __name__ == "__main__":
    Worker(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]).run()
