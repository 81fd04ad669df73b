"""The call that an interpreter is at: what it may still do, and why it has to end.

In the event loop a call has a budget, counted in what it does, and one that exceeds it is made again in a thread. In a
thread it has so many seconds, in which it does not sleep; fewer while it holds a database, for which others wait.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from kt_core.errors import KTError
from kt_core.server.log import SYSTEM
from kt_core.server.scripting.gates import Unsuited

logger = logging.getLogger("kt_core.server")

_BUDGET: Final = 2000  # operations on a database, some 10 µs each
_LOOK: Final = 8  # what it costs until the interpreter looks again
_HELD: Final = 0.5  # seconds that a database may be held
_NAP: Final = 0.05  # seconds between looks at whether somebody still waits for a call that sleeps
_KINDS: Final = {b"info": logging.INFO, b"system": SYSTEM, b"error": logging.ERROR}


Line: TypeAlias = tuple[int, str]
"""What a script wants logged: a level and a message."""


class Overdue(KTError):
    """The call was ended because it took too long, or because nobody waits for it any more."""


class Asker:
    """Who waits for a call that is made in a thread."""

    waits = True
    """Whether somebody does."""
    waits_for_sleepers = True
    """Whether somebody surely does: what sleeps does not go on without."""


class Running:
    """The limits of one interpreter's calls; `patience` is the seconds that one may take in a thread."""

    def __init__(self, patience: float, ending: threading.Event) -> None:
        self.doom: Exception | None = None
        """Why the call has to end, whatever it makes of it itself."""
        self.left = 0
        """The operations that the call may still do; below 0 `refuse` says why it may not."""
        self.logged: list[Line] = []
        """What the call wants logged, if it is not made again."""
        self._patience = patience
        self._ending = ending
        self._deadline: float | None = None  # in a thread
        self._asker = Asker()
        self._held = False

    def begin(self) -> None:
        """Begin a call in the event loop."""
        self._deadline = None
        self.left = _BUDGET

    def begin_in_thread(self, asker: Asker) -> None:
        """Begin a call in a thread, which goes on as long as somebody waits for it."""
        self.left = sys.maxsize
        self._deadline = time.monotonic() + self._patience
        self._asker = asker

    def end(self) -> Exception | None:
        """End a call; return why it had to end, if it had."""
        doom, self.doom = self.doom, None
        self.begin()
        return doom

    def go_on(self) -> None:
        """Have a call in a thread go on after all: there is the room now that there was not."""
        self.doom = None
        self.left = sys.maxsize

    def take_logged(self) -> list[Line]:
        """Return what the call wants logged, and forget it."""
        logged, self.logged = self.logged, []
        return logged

    def note(self, name: bytes, problem: object) -> None:
        """Have it logged that a procedure failed."""
        self.logged.append((logging.ERROR, f"{name.decode('utf-8', 'replace')}: {problem}"))

    def end_with(self, doom: Exception) -> None:
        """Have the call end, unless it has to already."""
        self.doom = self.doom or doom
        self.left = -1

    def stopped(self) -> bool:
        """Tell whether the script is to be stopped; the interpreter asks all the time."""
        if self.doom is None:
            if self._deadline is None:
                self.left -= _LOOK
                if self.left < 0:
                    self.end_with(Unsuited(None))
            elif time.monotonic() > self._deadline or self._ending.is_set() or not self._asker.waits:
                self.end_with(Overdue("the script took too long"))
        return self.doom is not None

    def spend(self, operations: int) -> None:
        """Count operations on a database."""
        self.left -= operations
        if self.left < 0:
            self.refuse()

    def refuse(self) -> None:
        """Raise why the call has to end."""
        if self.doom is None:
            self.doom = Unsuited(None)
        raise self.doom

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold a database meanwhile."""
        before, held = self._deadline, self._held
        if before is not None and not held:
            self._deadline = min(before, time.monotonic() + _HELD)
        self._held = True
        try:
            yield
        finally:
            self._deadline, self._held = before, held

    def sleep(self, seconds: float) -> None:
        """Wait, which does not count; nobody waits while he holds a database."""
        if self._deadline is None:
            self.end_with(Unsuited(None))
        elif self._held:
            self.end_with(Overdue("a script may not sleep while it holds a database"))
        else:
            began = time.monotonic()
            while self.doom is None and (rest := began + seconds - time.monotonic()) > 0:
                if self._ending.wait(min(rest, _NAP)) or not self._asker.waits_for_sleepers:
                    self.end_with(Overdue("nobody waits for the script any more"))
            self._deadline += time.monotonic() - began
        if self.doom is not None:
            self.refuse()

    def log(self, kind: bytes, message: bytes) -> None:
        """Log a message of the script's; in the event loop not before its call has succeeded."""
        self.logged.append((_KINDS.get(kind.lower(), logging.DEBUG), message.decode("utf-8", "replace")))
        if self._deadline is not None:
            write_log(self.take_logged())


def write_log(lines: Iterable[Line]) -> None:
    """Log what scripts want logged."""
    for level, message in lines:
        logger.log(level, "[SCRIPT]: %s", message)
