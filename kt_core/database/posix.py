"""POSIX extended regular expressions on bytes, translated into Python's.

The server compiles its expressions with the C library, whose dialect this is: quantifiers may follow each other,
a ``)`` that closes nothing means itself, backslash-letters mean themselves but for a few, and there is no ``(?``.
The locale is C: a byte is a character.
"""

from __future__ import annotations

import re
from typing import Final

from kt_core.errors import InvalidInput

_CLASSES: Final = {
    b"alpha": b"a-zA-Z",
    b"digit": b"0-9",
    b"alnum": b"a-zA-Z0-9",
    b"upper": b"A-Z",
    b"lower": b"a-z",
    b"space": rb"\t-\r ",
    b"blank": rb"\t ",
    b"punct": rb"!-/:-@\[-`{-~",
    b"print": rb" -~",
    b"graph": rb"!-~",
    b"cntrl": rb"\x00-\x1f\x7f",
    b"xdigit": b"0-9A-Fa-f",
}
_ESCAPES: Final = {
    **{letter: b"\\" + letter for letter in (b"w", b"W", b"s", b"S", b"b", b"B")},
    b"<": rb"\b(?=\w)",
    b">": rb"\b(?<=\w)",
    b"`": rb"\A",
    b"'": rb"\Z",
}
_NOT_REPEATED: Final = {b"|", b"^", rb"\Z", rb"\b", rb"\B", *(_ESCAPES[byte] for byte in (b"<", b">", b"`", b"'"))}
_MOST_REPETITIONS: Final = 32767
_INTERVAL = re.compile(rb"\{(\d*)(,?)(\d*)\}")
_ELEMENT = re.compile(rb"\[:(\w*):\]|\[\.(.)\.\]|\[=(.)=\]|(.)", re.DOTALL)


def compile_posix(pattern: bytes) -> re.Pattern[bytes]:
    """Compile an expression; `InvalidInput` says where it is none."""
    translated = _Translation(pattern).run()
    try:
        return re.compile(translated, re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidInput(f"not a regular expression: {error}") from error


class _Translation:
    """One pass over an expression, with the pieces of each group that is still open."""

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._at = 0
        self._groups: list[list[bytes]] = [[]]
        self._closed = 0

    def run(self) -> bytes:
        while self._at < len(self._pattern):
            byte = self._pattern[self._at : self._at + 1]
            self._at += 1
            match byte:
                case b"[":
                    self._groups[-1].append(self._bracket())
                case b"\\":
                    self._groups[-1].append(self._escape())
                case b"(":
                    if self._pattern[self._at : self._at + 1] == b"?":
                        raise InvalidInput("(?...) is no part of a POSIX extended regular expression")
                    self._groups.append([])
                case b")" if len(self._groups) > 1:
                    self._closed += 1
                    inside = b"".join(self._groups.pop())
                    self._groups[-1].append(b"(" + inside + b")")
                case b"|":
                    self._groups[-1].append(b"|")
                case b"*" | b"+" | b"?":
                    self._repeat(byte)
                case b"{":
                    self._repeat(self._interval())
                case b"^":
                    self._groups[-1].append(b"^")
                case b"$":
                    # Python's also matches before a last newline.
                    self._groups[-1].append(rb"\Z")
                case b".":
                    self._groups[-1].append(b".")
                case _:
                    self._groups[-1].append(re.escape(byte))
        if len(self._groups) > 1:
            raise InvalidInput("not a regular expression: a '(' is not closed")
        return b"".join(self._groups[0])

    def _repeat(self, quantifier: bytes) -> None:
        pieces = self._groups[-1]
        if not pieces or pieces[-1] in _NOT_REPEATED:
            raise InvalidInput(f"not a regular expression: nothing to repeat before {quantifier.decode('latin-1')!r}")
        pieces[-1] = b"(?:" + pieces[-1] + b")" + quantifier

    def _interval(self) -> bytes:
        match = _INTERVAL.match(self._pattern, self._at - 1)
        if match is None:
            raise InvalidInput("not a regular expression: '{' begins no interval such as {1,2}")
        least, comma, most = match.groups()
        if not least and not comma:
            raise InvalidInput("not a regular expression: {} has no number")
        numbers = [int(number) for number in (least, most) if number]
        if max(numbers, default=0) > _MOST_REPETITIONS or numbers != sorted(numbers):
            raise InvalidInput(f"not a regular expression: {match[0].decode()} is no interval")
        self._at = match.end()
        return b"{" + (least or b"0") + comma + most + b"}"

    def _escape(self) -> bytes:
        byte = self._pattern[self._at : self._at + 1]
        self._at += 1
        if not byte:
            raise InvalidInput("not a regular expression: it ends in a backslash")
        if byte in b"123456789":
            if int(byte) > self._closed:
                raise InvalidInput(f"not a regular expression: there is no group {int(byte)} to refer to")
            return b"(?:\\" + byte + b")"
        return _ESCAPES.get(byte, re.escape(byte))

    def _bracket(self) -> bytes:
        """Translate a bracket expression; the place is behind its ``[``."""
        negated = self._pattern[self._at : self._at + 1] == b"^"
        self._at += negated
        parts: list[bytes] = []
        while parts == [] or self._pattern[self._at : self._at + 1] != b"]":
            first, single = self._element()
            if single and re.compile(rb"-[^\]]", re.DOTALL).match(self._pattern, self._at):
                self._at += 1
                last, single = self._element()
                if not single or last < first:
                    raise InvalidInput("not a regular expression: a range in brackets runs backward, or to a class")
                parts.append(_byte(first) + b"-" + _byte(last))
            else:
                parts.append(_byte(first) if single else first)
        self._at += 1
        return (b"[^" if negated else b"[") + b"".join(parts) + b"]"

    def _element(self) -> tuple[bytes, bool]:
        """Return the next element in brackets, and whether it is one character and no class."""
        match = _ELEMENT.match(self._pattern, self._at)
        if match is None:
            raise InvalidInput("not a regular expression: a '[' is not closed")
        self._at = match.end()
        if match[1] is not None:
            if match[1] not in _CLASSES:
                raise InvalidInput(f"[:{match[1].decode('ascii', 'replace')}:] is no class of characters")
            return _CLASSES[match[1]], False
        if match[4] == b"[" and self._pattern[self._at : self._at + 1] in (b":", b".", b"="):
            raise InvalidInput("not a regular expression: '[:', '[.' or '[=' in brackets is not closed")
        return next(group for group in match.groups()[1:] if group is not None), True


def _byte(character: bytes) -> bytes:
    return b"\\x%02x" % character[0]
