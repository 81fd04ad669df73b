"""Glob patterns for keys, as in Redis: ``*``, ``?``, ``[abc]``, ``[^a]``, ``[a-z]``, ``\\`` before any of them.

A class ends with the first ``]``, but for one that ends a range or comes after a ``\\``, or else with the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SPECIAL = re.compile(r"[*?\[\]\\]")
_ANYTHING = ".*"


class Pattern(NamedTuple):
    """What all keys that fit begin with, and what tells whether one fits; None if the beginning says it all.

    `fits_encoded` tells the same of a key in UTF-8; None where only characters tell it, and where `fits` is.
    """

    prefix: str
    fits: Callable[[str], object] | None
    fits_encoded: Callable[[bytes], object] | None = None

    @property
    def beginning(self) -> bytes:
        """The prefix as a store has it."""
        return self.prefix.encode("utf-8", "surrogatepass")

    def among(self, keys: Iterator[bytes]) -> Iterator[bytes]:
        """Return the keys in UTF-8 without most of those that do not fit, which takes less than to decode them."""
        return keys if self.fits_encoded is None else filter(self.fits_encoded, keys)


def compile_glob(glob: str, head: str = "") -> Pattern:
    """Return the pattern for keys that begin with `head`, literally, and go on as the glob says."""
    prefix, parts, at, is_literal = [head], [""], 0, True
    while at < len(glob):
        piece, at, literal = _next(glob, at)
        if literal is not None and parts == [""]:
            prefix.append(literal)
        elif piece == _ANYTHING:
            parts.append("")
        else:
            parts[-1] += piece
            is_literal &= literal is not None
    beginning = "".join(prefix)
    if parts == ["", ""]:
        return Pattern(beginning, None)
    expression = re.escape(beginning) + _expression(*parts)
    fits = re.compile(expression, re.DOTALL).fullmatch
    if not is_literal:
        return Pattern(beginning, fits)
    # No character's bytes are part of another's.
    return Pattern(beginning, fits, re.compile(expression.encode("utf-8", "surrogatepass"), re.DOTALL).fullmatch)


def escape_glob(text: str) -> str:
    """Return the glob that only this text fits."""
    return _SPECIAL.sub(lambda found: "\\" + found[0], text)


def _expression(first: str, *others: str) -> str:
    """Return the expression for parts with anything between them."""
    if not others:
        return first
    *inner, last = others
    # Where a part is found first is never too late for the others: to look on (without `?>`) could take for ever.
    return first + "".join([f"(?>.*?{part})" for part in inner]) + _ANYTHING + last


def _next(glob: str, at: int) -> tuple[str, int, str | None]:
    """Return the expression for the next piece of a glob, where it ends, and the character if it is just that."""
    letter = glob[at]
    if letter == "*":
        while glob[at : at + 1] == "*":
            at += 1
        return _ANYTHING, at, None
    if letter == "?":
        return ".", at + 1, None
    if letter == "[":
        return (*_class(glob, at + 1), None)
    if letter == "\\" and at + 1 < len(glob):
        at += 1
        letter = glob[at]
    return re.escape(letter), at + 1, letter


def _class(glob: str, at: int) -> tuple[str, int]:
    """Return the expression for a class whose inside begins there, and where the class ends."""
    negated = glob[at : at + 1] == "^"
    at += negated
    parts = ""
    while at < len(glob) and glob[at] != "]":
        first = last = glob[at]
        if first == "\\" and at + 1 < len(glob):
            at += 1
            first = last = glob[at]
        elif glob[at + 1 : at + 2] == "-" and at + 2 < len(glob):
            at += 2
            first, last = sorted((first, glob[at]))
        parts += f"{re.escape(first)}-{re.escape(last)}"
        at += 1
    if not parts:
        return "." if negated else "(?!)", at + 1
    return f"[{'^' if negated else ''}{parts}]", at + 1
