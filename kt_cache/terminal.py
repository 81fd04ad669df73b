"""What commands say: lines, tables, questions, and how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

Style = Callable[[str], str]

_ERASE: Final = "\r\x1b[K"
_CLEAR: Final = "\x1b[H\x1b[2J"
_WIDTH: Final = 30  # characters of the bar
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


class CommandFailed(Exception):
    """A command could not do what it was told; the text says why, and what to write instead."""


class Terminal:
    """Where a command's lines go; `interactive` if somebody watches them appear.

    `styles` dress text as "good", "bad" or "dim". `ask` shows a question and returns the answer; None where nobody
    can give one.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        interactive: bool = False,
        styles: Mapping[str, Style] | None = None,
        ask: Callable[[str], str] | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._write = write
        self._styles = styles or {}
        self._ask = ask
        self._bar = False
        self.interactive = interactive
        self.pause = pause

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line."""
        if style in self._styles:
            text = self._styles[style](text)
        self._write(f"{self._erased()}{text}\n")

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Write rows of a name and what belongs to it."""
        pairs = list(rows)
        width = max((len(name) for name, _ in pairs), default=0)
        for name, text in pairs:
            self.line(f"{name:<{width}}  {text}")

    def progress(self, done: int, total: int) -> None:
        """Show how far it is, to somebody who watches."""
        if self.interactive and total:
            filled = min(_WIDTH * done // total, _WIDTH)
            self._write(f"{_ERASE}[{'#' * filled}{'.' * (_WIDTH - filled)}] {done:,} of {total:,}")
            self._bar = True

    def clear(self) -> None:
        """Begin at the top of the screen, if there is one."""
        if self.interactive:
            self._write(_CLEAR)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._write(self._erased())

    def confirm(self, question: str) -> bool:
        """Ask a question to be answered with yes or no."""
        if self._ask is None:
            raise CommandFailed(f"{question} Nobody is there to be asked: write --noinput to do it anyway")
        return self._ask(f"{self._erased()}{question} [y/N] ").strip().lower() in ("y", "yes")

    def _erased(self) -> str:
        bar, self._bar = self._bar, False
        return _ERASE if bar else ""


def printable(text: str) -> str:
    """Return a text with all that a terminal would not show, or would obey, as escapes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def in_bytes(size: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"
