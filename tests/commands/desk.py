"""Runs commands as ``kt`` does, on streams that the test reads."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from kt_core.commands.console import Console
from kt_core.commands.table import function_of, parser_of
from kt_core.terminal import Terminal


class Said(NamedTuple):
    """What a command has left: its exit status, what it wrote, and what it said aside."""

    status: int
    out: bytes
    aside: str

    @property
    def text(self) -> str:
        """The output as text."""
        return self.out.decode()

    @property
    def json(self) -> list[Any]:
        """The output as JSON lines."""
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def facts(self) -> Any:
        """The only line of JSON."""
        (facts,) = self.json
        return facts


class Desk:
    """Runs commands on a place; `watched` for output to a terminal, and `answer` for somebody who is there.

    What was said aside is also in `aside`, for a command that has failed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock: Callable[[], float] = time.time
        self.timer: Callable[[], float] = lambda: 0.0
        self.pause: Callable[[float], object] = lambda seconds: None
        self.watched = False
        self.width = 80
        self.answer: str | None = None
        self.aside = io.StringIO()

    def __call__(self, *words: object, stdin: bytes = b"", raw: bool = False) -> Said:
        """Run a command; `raw` as in a pipe, without --json."""
        name, *rest = map(str, words)
        given = parser_of(name).parse_args(rest)
        given.at = given.at or self.url
        out, aside = io.BytesIO(), io.StringIO()
        self.aside = aside
        terminal = Terminal(
            lambda text: out.write(text.encode()), interactive=self.watched, pause=self.pause, width=self.width
        )
        console = Console(
            terminal,
            Terminal(aside.write, interactive=self.watched, ask=self._asker(aside), width=self.width),
            as_json=not (self.watched or given.table),
            raw=raw,
            stdin=io.BytesIO(stdin),
            stdout=out,
            clock=self.clock,
            timer=self.timer,
        )
        status = function_of(name)(given, console)
        return Said(status, out.getvalue(), aside.getvalue())

    def _asker(self, aside: io.StringIO) -> Callable[[str], str] | None:
        answer = self.answer
        if answer is None:
            return None

        def ask(question: str) -> str:
            aside.write(question)
            return answer

        return ask
