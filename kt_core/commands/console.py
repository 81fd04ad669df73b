"""Where a command's results go: tables for somebody who watches, JSON lines for whatever reads on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, BinaryIO, Final, NamedTuple

from kt_core.terminal import Terminal

OK: Final = 0
NEGATIVE: Final = 1
"""What was asked for is not there, or the answer is no."""
USAGE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

_REFRESH: Final = 0.1  # seconds between two looks at a bar


class Column(NamedTuple):
    """A column of a table: the name of its values, how they are shown, and whether they stand to the right."""

    name: str
    show: Callable[[Any], str] = str
    right: bool = False


class Console:
    """The results of a command on `terminal`, what is said meanwhile on `aside`, and the streams of bytes."""

    def __init__(
        self,
        terminal: Terminal,
        aside: Terminal,
        *,
        as_json: bool,
        raw: bool,
        stdin: BinaryIO,
        stdout: BinaryIO,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.terminal = terminal
        self.aside = aside
        self.as_json = as_json
        self.raw = raw
        """Whether a single value goes out as its bytes."""
        self.stdin = stdin
        self.stdout = stdout
        self.clock = clock
        """Seconds since 1970."""
        self.timer = timer
        self._next_look = 0.0

    def rows(self, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> None:
        """Tell rows that have a value for each column, as far as a table goes."""
        if self.as_json:
            for row in rows:
                self.json(row)
            return
        right = [number for number, column in enumerate(columns) if column.right]
        cells = ([column.show(row[column.name]) for column in columns] for row in rows)
        self.terminal.columns([column.name for column in columns], cells, right)

    def facts(self, facts: Mapping[str, Any], shows: Mapping[str, Callable[[Any], str]] | None = None) -> None:
        """Tell names and what belongs to them."""
        if self.as_json:
            self.json(facts)
        else:
            forms = shows or {}
            self.terminal.table((name, forms.get(name, str)(value)) for name, value in facts.items())

    def tell(self, facts: Mapping[str, Any], text: str, style: str = "") -> None:
        """Tell facts in one line, either way."""
        if self.as_json:
            self.json(facts)
        else:
            self.terminal.line(text, style)

    def json(self, facts: Mapping[str, Any]) -> None:
        """Tell a line of JSON."""
        self.terminal.line(json.dumps(facts, ensure_ascii=False))

    def pause(self, seconds: float) -> None:
        """Let what was told reach whoever reads it, and wait."""
        self.stdout.flush()
        self.terminal.pause(seconds)

    def progress(self, done: int, total: int | None) -> None:
        """Show how far it is, now and then."""
        now = self.timer()
        if now >= self._next_look:
            self._next_look = now + _REFRESH
            self.aside.progress(done, total)

    def end(self) -> None:
        """Take the bar away."""
        self.aside.end()
