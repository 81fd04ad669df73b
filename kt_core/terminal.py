"""What commands say: lines, tables, questions, and how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

Style = Callable[[str], str]

_ERASE: Final = "\r\x1b[K"
_CLEAR: Final = "\x1b[H\x1b[2J"
_WIDTH: Final = 30  # characters of the bar
_GAP: Final = 2  # characters between columns


class CommandFailed(Exception):
    """A command could not do what it was told; the text says why, and what to write instead."""


class Terminal:
    """Where a command's lines go; `interactive` if somebody watches them appear.

    `styles` dress text as "good", "bad" or "dim". `ask` shows a question and returns the answer; None where nobody
    can give one. `width` is the characters of a line.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        interactive: bool = False,
        styles: Mapping[str, Style] | None = None,
        ask: Callable[[str], str] | None = None,
        pause: Callable[[float], object] = time.sleep,
        width: int = 80,
    ) -> None:
        self._write = write
        self._styles = styles or {}
        self._ask = ask
        self._bar = False
        self.interactive = interactive
        self.pause = pause
        self.width = width

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

    def columns(self, heads: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> None:
        """Write rows under their heads, those numbered in `right` to the right; where that is too wide, one by one."""
        every = [heads, *rows]
        widths = [max(map(len, column)) for column in zip(*every, strict=True)]
        if sum(widths) + _GAP * (len(widths) - 1) > self.width:
            for number, row in enumerate(every[1:]):
                if number:
                    self.line()
                self.table(zip(heads, row, strict=True))
            return
        for number, row in enumerate(every):
            cells = (
                cell.rjust(width) if at in right else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self.line((" " * _GAP).join(cells).rstrip(), "" if number else "dim")

    def progress(self, done: int, total: int | None) -> None:
        """Show how far it is, to somebody who watches; None for a total that nobody knows."""
        if not self.interactive or total == 0:
            return
        text = f"{done:,}" if total is None else f"{done:,} of {total:,}"
        width = min(_WIDTH, self.width - len(text) - len("[] ") - 1)
        bar = ""
        if total is not None and width > 0:
            filled = min(width * done // total, width)
            bar = f"[{'#' * filled}{'.' * (width - filled)}] "
        self._write(f"{_ERASE}{bar}{text}")
        self._bar = True

    def clear(self) -> None:
        """Begin at the top of the screen, if there is one."""
        if self.interactive:
            self._write(_CLEAR)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._write(self._erased())

    def confirm(self, question: str, flag: str = "--noinput") -> bool:
        """Ask a question to be answered with yes or no; `flag` is what has it not asked."""
        if self._ask is None:
            raise CommandFailed(f"{question} Nobody is there to be asked: write {flag} to do it anyway")
        return self._ask(f"{self._erased()}{question} [y/N] ").strip().lower() in ("y", "yes")

    def _erased(self) -> str:
        bar, self._bar = self._bar, False
        return _ERASE if bar else ""


def printable(text: str) -> str:
    """Return a text with all that a terminal would not show, or would obey, as escapes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def quoted(data: bytes) -> str:
    """Return bytes as text, with escapes for a backslash and for all that is no printable text of UTF-8."""
    text = data.decode(errors="surrogateescape").replace("\\", r"\\")
    return "".join(rf"\x{ord(each) - 0xDC00:02x}" if "\udc80" <= each <= "\udcff" else printable(each) for each in text)
