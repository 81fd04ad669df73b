"""What a search of a table asks for: conditions, order, limit, and what is to be done with the rows that are found.

A search is a list of arguments, each of words with NUL between; a word that is unknown is passed over, as the original
does. Source: the Tokyo Tyrant protocol reference, section 5.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from kt_core.server.tyrant.numbers import parse_real
from kt_core.server.tyrant.records import expression
from kt_core.server.tyrant.table import Row
from kt_core.server.tyrant.words import normalize, phrases
from kt_core.wire.numbers import parse_integer

Test: TypeAlias = Callable[[bytes], bool]
"""Tells whether a column's text is as asked for."""

_NEGATE, _UNINDEXED = 1 << 24, 1 << 25


def tokens(text: bytes) -> list[bytes]:
    """Return the words of a text, between which are spaces or commas."""
    return [word for word in re.split(rb"[ ,]+", text) if word]


def _matches(pattern: bytes) -> Test:
    search = expression(pattern)
    return lambda text: search is not None and search(text) is not None


def _between(text: bytes) -> Test:
    lower, upper = sorted([*map(parse_real, tokens(text)), 0.0, 0.0][:2])
    return lambda column: lower <= parse_real(column) <= upper


def _any_number(text: bytes) -> Test:
    numbers = {parse_real(word) for word in tokens(text)}
    return lambda column: parse_real(column) in numbers


# Of these two the original does not take the case of what is wanted away.
def _all_words(words: list[bytes]) -> Test:
    return lambda text: bool(words) and all(word in normalize(text) for word in words)


def _any_word(words: list[bytes]) -> Test:
    return lambda text: any(word in normalize(text) for word in words)


def _words_expression(text: bytes) -> Test:
    groups = phrases(text)
    return lambda column: bool(groups) and all(any(word in normalize(column) for word in group) for group in groups)


# By number: what each operator makes of its expression.
OPERATORS: Final[Mapping[str, Callable[[bytes], Test]]] = {
    "STREQ": lambda wanted: lambda text: text == wanted,
    "STRINC": lambda wanted: lambda text: wanted in text,
    "STRBW": lambda wanted: lambda text: text.startswith(wanted),
    "STREW": lambda wanted: lambda text: text.endswith(wanted),
    "STRAND": lambda wanted: lambda text: set(tokens(wanted)) <= set(tokens(text)),
    "STROR": lambda wanted: lambda text: not set(tokens(wanted)).isdisjoint(tokens(text)),
    "STROREQ": lambda wanted: lambda text: text in tokens(wanted),
    "STRRX": _matches,
    "NUMEQ": lambda wanted: lambda text: parse_real(text) == parse_real(wanted),
    "NUMGT": lambda wanted: lambda text: parse_real(text) > parse_real(wanted),
    "NUMGE": lambda wanted: lambda text: parse_real(text) >= parse_real(wanted),
    "NUMLT": lambda wanted: lambda text: parse_real(text) < parse_real(wanted),
    "NUMLE": lambda wanted: lambda text: parse_real(text) <= parse_real(wanted),
    "NUMBT": _between,
    "NUMOREQ": _any_number,
    "FTSPH": lambda wanted: lambda text: normalize(wanted) in normalize(text),
    "FTSAND": lambda wanted: _all_words(tokens(wanted)),
    "FTSOR": lambda wanted: _any_word(tokens(wanted)),
    "FTSEX": _words_expression,
}
_NUMBERED: Final = list(OPERATORS)
_ALIASES: Final = {
    "STR": "STREQ", "INC": "STRINC", "BW": "STRBW", "EW": "STREW", "RX": "STRRX", "EQ": "STREQ",
    "NUM": "NUMEQ", "=": "NUMEQ", "==": "NUMEQ", ">": "NUMGT", ">=": "NUMGE", "<": "NUMLT", "<=": "NUMLE",
    "FTS": "FTSPH",
}  # fmt: skip

_ORDERS: Final = {"STRASC": 0, "STRDESC": 1, "NUMASC": 2, "NUMDESC": 3, "STR": 0, "ASC": 0, "DESC": 1, "NUM": 2}
_SETS: Final = {"UNION": 0, "ISECT": 1, "INTERSECTION": 1, "DIFF": 2, "DIFFERENCE": 2}


@dataclass(frozen=True)
class Condition:
    """What one column has to be like; the column without a name is the key."""

    column: bytes
    test: Test
    negated: bool
    pattern: bytes
    """The regular expression in it, if it is one."""

    def holds(self, key: bytes, row: Row) -> bool:
        """Tell whether it holds for a row."""
        text = row.get(self.column) if self.column else key
        return (text is not None and self.test(text)) != self.negated


@dataclass
class Query:
    """One query of a search."""

    conditions: list[Condition] = field(default_factory=list)
    order: tuple[bytes, int] | None = None
    most: int = -1
    skip: int = 0

    def holds(self, key: bytes, row: Row) -> bool:
        """Tell whether all conditions hold for a row."""
        return all(condition.holds(key, row) for condition in self.conditions)

    def sort(self, found: list[tuple[bytes, Row]]) -> list[tuple[bytes, Row]]:
        """Return rows in the order that is asked for; those that lack the column come last."""
        if self.order is None:
            return found
        column, kind = self.order
        lacking = [] if not column else [item for item in found if column not in item[1]]
        having = found if not column else [item for item in found if column in item[1]]

        def text(item: tuple[bytes, Row]) -> bytes:
            return item[1][column] if column else item[0]

        if kind < 2:
            having = sorted(having, key=text, reverse=kind == 1)
        else:
            having = sorted(having, key=lambda item: parse_real(text(item)), reverse=kind == 3)
        return having + lacking

    def select(self, rows: Iterable[tuple[bytes, Row]]) -> list[tuple[bytes, Row]]:
        """Return those of the rows that are asked for, in their order."""
        found = self.sort([(key, row) for key, row in rows if self.holds(key, row)])
        return found[self.skip : self.skip + self.most] if self.most >= 0 else found[self.skip :]


@dataclass
class Request:
    """A search: its queries, how what they find is put together, and what is to be done with it."""

    queries: list[Query] = field(default_factory=lambda: [Query()])
    together: int = 0
    gets: bool = False
    columns: Sequence[bytes] = ()
    removes: bool = False
    counts: bool = False
    hints: bool = False

    @property
    def patterns(self) -> list[bytes]:
        """The regular expressions in it."""
        return [each.pattern for query in self.queries for each in query.conditions if each.pattern]

    def select(self, rows: Iterable[tuple[bytes, Row]]) -> list[tuple[bytes, Row]]:
        """Return the rows that all queries together ask for."""
        rows = list(rows) if len(self.queries) > 1 else rows
        found, *more = [query.select(rows) for query in self.queries]
        for other in more:
            keys, others = {key for key, _ in found}, {key for key, _ in other}
            if self.together == 0:
                found = found + [item for item in other if item[0] not in keys]
            else:
                found = [item for item in found if (item[0] in others) == (self.together == 1)]
        return found

    def present(self, key: bytes, row: Row) -> bytes:
        """Return a row as it is told: all of it with the key before, or the columns asked for."""
        row = {b"": key, **row}
        wanted = [name for name in self.columns if name in row] if self.columns else row
        return b"\0".join([part for name in wanted for part in (name, row[name])])

    def hint(self, found: int) -> bytes:
        """Return the element that tells how the search was done."""
        order = self.queries[0].order
        how = b'sorting the result set: "%b"' % order[0] if order is not None else b"leaving the natural order"
        return b"\0\0[[HINT]]\nscanning the whole table\nresult set size: %d\n%b\n" % (found, how)


def parse(arguments: Sequence[bytes]) -> Request:
    """Read the arguments of a search."""
    request = Request()
    for argument in arguments:
        word, *words = argument.split(b"\0")
        handle = _WORDS.get(word.lower())
        if handle is not None:
            handle(request, words)
    return request


def _condition(request: Request, words: list[bytes]) -> None:
    if len(words) < 3:
        return
    column, name, wanted = words[:3]
    text = name.decode("latin-1").upper()
    negated = False
    while text[:1] in ("~", "!", "+") and text:
        negated |= text[0] != "+"
        text = text[1:]
    if text.isdecimal() and len(text) < 10:
        number = int(text)
        negated |= bool(number & _NEGATE)
        number &= ~(_NEGATE | _UNINDEXED)
        text = _NUMBERED[number] if number < len(_NUMBERED) else ""
    operator = _ALIASES.get(text, text)
    if operator in OPERATORS:
        pattern = wanted if operator == "STRRX" else b""
        request.queries[-1].conditions.append(Condition(column, OPERATORS[operator](wanted), negated, pattern))


def _order(request: Request, words: list[bytes]) -> None:
    if len(words) > 1:
        text = words[1].decode("latin-1").upper()
        kind = int(text) if (text.isdecimal() and len(text) < 10) else _ORDERS.get(text, -1)
        if 0 <= kind < 4:
            request.queries[-1].order = words[0], kind


def _limit(request: Request, words: list[bytes]) -> None:
    if words:
        query = request.queries[-1]
        query.most = parse_integer(words[0])
        query.skip = max(parse_integer(words[1]), 0) if len(words) > 1 else 0


def _get(request: Request, words: list[bytes]) -> None:
    request.gets = True
    request.columns = [*request.columns, *words]


def _mark(name: str) -> Callable[[Request, list[bytes]], None]:
    return lambda request, _: setattr(request, name, True)


def _next(request: Request, words: list[bytes]) -> None:
    request.queries.append(Query())


def _together(request: Request, words: list[bytes]) -> None:
    if words:
        text = words[0].decode("latin-1").upper()
        kind = int(text) if (text.isdecimal() and len(text) < 10) else _SETS.get(text, -1)
        request.together = kind if kind in _SETS.values() else request.together


_WORDS: Final[Mapping[bytes, Callable[[Request, list[bytes]], None]]] = {
    **dict.fromkeys((b"addcond", b"cond"), _condition),
    **dict.fromkeys((b"setorder", b"order"), _order),
    **dict.fromkeys((b"setlimit", b"limit", b"setmax", b"max"), _limit),
    **dict.fromkeys((b"get", b"columns"), _get),
    **dict.fromkeys((b"out", b"remove"), _mark("removes")),
    b"count": _mark("counts"),
    b"hint": _mark("hints"),
    b"next": _next,
    b"mstype": _together,
}
