"""Searches of table databases: built of conditions, then asked for keys, rows or their number, or for their removal.

Source: the Tokyo Tyrant protocol reference, section 5.2. A server passes over every word that it does not know, and
then finds what was not meant: here an unknown one is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.serializers import dump_plain
from kt_core.tyrant.constants import (
    MS_DIFFERENCE,
    MS_INTERSECTION,
    MS_UNION,
    OP_FTS_EXPRESSION,
    OP_NEGATE,
    OP_NOINDEX,
    ORDER_NUM_DESC,
    ORDER_STR_ASC,
)
from kt_core.tyrant.table import Columns, join_words, load_found, load_row

T = TypeVar("T")

Expression: TypeAlias = Sequence[Any]
"""The words of one argument: ``("addcond", column, op, value)``, ``("setorder", column, order)`` and so on."""

_WORDS: Final = frozenset(
    "addcond cond setorder order setlimit limit setmax max get columns out remove count hint next mstype".split()  # noqa: SIM905
)
_ALL: Final = -1


class Search(NamedTuple, Generic[T]):
    """The arguments of a search, and what its results mean; `name` makes keys of bytes."""

    arguments: list[bytes]
    finish: Callable[[list[bytes], Callable[[bytes], Any]], T]


def search(expressions: Iterable[Expression], command: str | None = None) -> Search[Any]:
    """Return the search that expressions and a command ask for; without a command, for keys."""
    if command is None:
        return Search(_arguments(expressions), _keys)
    if command not in _RAW:
        raise InvalidInput(f"cmd={command!r}: write 'get', 'out', 'count', or nothing for keys")
    return Search(_arguments([*expressions, (command,)]), _RAW[command])


def _arguments(expressions: Iterable[Expression]) -> list[bytes]:
    arguments = []
    for expression in expressions:
        if isinstance(expression, str | bytes) or not expression:
            raise InvalidInput(f"{expression!r} is no expression: write ('addcond', column, op, value) or the like")
        if expression[0] not in _WORDS:
            raise InvalidInput(f"a server would pass over {expression[0]!r}: write one of {', '.join(sorted(_WORDS))}")
        arguments.append(join_words(expression))
    return arguments


# --- What is found


def _keys(found: list[bytes], name: Callable[[bytes], Any]) -> list[Any]:
    return [name(key) for key in found]


def _raw_rows(found: list[bytes], name: Callable[[bytes], Any]) -> list[tuple[Any, bytes]]:
    return [(name(key), row) for key, row in map(load_found, found)]


def _rows(found: list[bytes], name: Callable[[bytes], Any]) -> list[tuple[Any, Columns]]:
    return [(key, load_row(row)) for key, row in _raw_rows(found, name)]


def _number(found: list[bytes], name: Callable[[bytes], Any]) -> int:
    if len(found) != 1 or not found[0].isdigit():
        raise ProtocolError(f"a number of rows is {found!r}")
    return int(found[0])


def _length(found: list[bytes], name: Callable[[bytes], Any]) -> int:
    return len(found)


def _removed(found: list[bytes], name: Callable[[bytes], Any]) -> bool:
    return True


_RAW: Final[dict[str, Callable[[list[bytes], Callable[[bytes], Any]], Any]]] = {
    "get": _raw_rows,
    "out": _removed,
    "count": _number,
}


# --- Building


@dataclass(frozen=True)
class QueryBuilder:
    """A search, to which each method but the last ones returns one that says more.

    ::

        query = QueryBuilder().filter("age", OP_NUM_GE, 18).order_by("name").limit(10)
        for key, columns in query.get(client): ...

    The numbers are those of `kt_core.tyrant.constants`; the column "" is the key. With an `AsyncTokyoTyrant` what
    `execute`, `get`, `count`, `delete` and `take` return is awaited.
    """

    _conditions: tuple[Expression, ...] = ()
    _orders: tuple[Expression, ...] = ()
    _limit: int | None = None
    _offset: int | None = None
    _columns: tuple[str, ...] = ()
    _others: tuple[QueryBuilder, ...] = ()
    _combination: int = MS_UNION

    def filter(self, column: str, op: int, value: Any) -> QueryBuilder:
        """Add a condition that rows have to meet; the words of `value` may be a list."""
        plain = op & ~(OP_NEGATE | OP_NOINDEX) if isinstance(op, int) else -1
        if not 0 <= plain <= OP_FTS_EXPRESSION:
            raise InvalidInput(f"op={op!r} compares nothing: write one of the OP_ constants")
        if isinstance(value, list | tuple | set | frozenset):
            value = b",".join(map(dump_plain, value))
        return replace(self, _conditions=(*self._conditions, ("addcond", column, op, value)))

    def order_by(self, column: str, ordering: int | None = None) -> QueryBuilder:
        """Sort by a column, by its text upwards unless told otherwise; only the last order counts."""
        order = ORDER_STR_ASC if ordering is None else ordering
        if not isinstance(order, int) or not ORDER_STR_ASC <= order <= ORDER_NUM_DESC:
            raise InvalidInput(f"ordering={ordering!r}: write one of the ORDER_ constants")
        return replace(self, _orders=(*self._orders, ("setorder", column, order)))

    def limit(self, limit: int | None = None) -> QueryBuilder:
        """Find no more than so many rows; None for all."""
        return replace(self, _limit=_count(limit))

    def offset(self, offset: int | None = None) -> QueryBuilder:
        """Pass over so many rows first."""
        return replace(self, _offset=_count(offset))

    def columns(self, *names: str) -> QueryBuilder:
        """Have `get` return these columns only; without names, all."""
        return replace(self, _columns=names)

    def union(self, *others: QueryBuilder) -> QueryBuilder:
        """Find what this search or another finds, in the order and up to the limit of this one."""
        return replace(self, _others=others, _combination=MS_UNION)

    def intersection(self, *others: QueryBuilder) -> QueryBuilder:
        """Find what all the searches find, in the order and up to the limit of this one."""
        return replace(self, _others=others, _combination=MS_INTERSECTION)

    def difference(self, *others: QueryBuilder) -> QueryBuilder:
        """Find what this search finds and no other, in the order and up to the limit of this one."""
        return replace(self, _others=others, _combination=MS_DIFFERENCE)

    def build_search(self) -> list[Expression]:
        """Return the expressions that `TokyoTyrant.search` takes."""
        expressions = self._expressions()
        for other in self._others:
            expressions += [("next",), *other._expressions()]
        if self._others:
            expressions.append(("mstype", self._combination))
        return expressions

    def _expressions(self) -> list[Expression]:
        expressions = [*self._conditions, *self._orders]
        if self._limit is not None or self._offset is not None:
            expressions.append(("setlimit", _ALL if self._limit is None else self._limit, self._offset or 0))
        return expressions

    # -- what it is for ----------------------------------------------------------------------------------

    def execute(self, client: Any) -> Any:
        """Return the keys of the rows that are found."""
        return client.find(Search(_arguments(self.build_search()), _keys))

    def get(self, client: Any) -> Any:
        """Return keys and rows (key, columns)."""
        return client.find(Search(_arguments([*self.build_search(), self._wanted()]), _rows))

    def count(self, client: Any) -> Any:
        """Return how many rows are found, no more than the limit."""
        if self._others:  # of a combination the server counts something else
            return client.find(Search(_arguments(self.build_search()), _length))
        return client.find(Search(_arguments([*self.build_search(), ("count",)]), _number))

    def delete(self, client: Any) -> Any:
        """Remove the rows that are found; return True, also where there are none."""
        return client.find(Search(self._removal(("out",)), _removed))

    def take(self, client: Any) -> Any:
        """Remove the rows that are found and return those that this very call has removed, as `get` does."""
        return client.find(Search(self._removal(("out",), self._wanted()), _rows))

    def _removal(self, *commands: Expression) -> list[bytes]:
        if self._others:
            raise InvalidInput("a combination removes nothing: write client.remove_bulk(query.execute(client))")
        return _arguments([*self.build_search(), *commands])

    def _wanted(self) -> Expression:
        return ("get", "", *self._columns) if self._columns else ("get",)


def _count(number: int | None) -> int | None:
    if number is None or (isinstance(number, int) and 0 <= number < 1 << 31):
        return number
    raise InvalidInput(f"{number!r} rows: write a number from 0 on, or None")
