"""The functions of a database that clients call by name, and which kinds of database have them.

Source: the Tokyo Tyrant protocol reference, sections 3 and 5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from kt_core.database.environment import Write
from kt_core.server.tyrant import query
from kt_core.server.tyrant.database import TyrantDatabase
from kt_core.server.tyrant.names import KINDS, TyrantKind
from kt_core.server.tyrant.records import Arguments, Found, succeeded
from kt_core.server.tyrant.searching import takes_long
from kt_core.server.tyrant.table import Row, Table

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

Work: TypeAlias = "Callable[[TyrantServer, Arguments], Awaitable[Found]]"

_SLICE: Final = 256  # arguments of a long list in one transaction: keys, or keys and values in turns

_EVERY: Final = frozenset(KINDS.values())
_FILES: Final = frozenset(kind for kind in _EVERY if not kind.in_memory)
_ORDERED: Final = frozenset(kind for kind in _EVERY if kind.ordered)
_PAGED: Final = _FILES - {KINDS["tcf"]}
_TREE: Final = frozenset({KINDS["tcb"]})
_TABLE: Final = frozenset({KINDS["tct"]})


class Function(NamedTuple):
    """A function: the kinds that have it, and which way it is done."""

    kinds: frozenset[TyrantKind] = _EVERY
    changes: str = ""
    """A method of `Records`, in the transaction of the turn."""
    lists: str = ""
    """The same, for some arguments at a time up to the first that fail."""
    looks: str = ""
    """A method of `Records`, at once."""
    scans: str = ""
    """A method of `Records`, beside others, since it takes long."""
    tells: Callable[[TyrantDatabase, Arguments], Found] | None = None
    """Without looking at records."""
    works: Work | None = None


async def call(server: TyrantServer, name: bytes, arguments: Arguments) -> Found:
    """Call a function and return what it gives back; None where there is no such function, too."""
    database = server.database
    function = FUNCTIONS.get(name)
    if function is None or database.kind not in function.kinds:
        return None
    if function.tells is not None:
        return function.tells(database, arguments)
    if function.works is not None:
        return await function.works(server, arguments)
    found: Found = None
    if function.looks or function.scans:
        look: Callable[[Write, Arguments], Found] = getattr(database.records, function.looks or function.scans)
        if function.looks and len(arguments) <= _SLICE:
            found = database.look(look, arguments)
        else:
            found = await server.in_thread(database.look, look, arguments)
    elif database.read_only:
        pass
    elif function.changes:
        found = await server.make(getattr(database.records, function.changes), arguments)
    else:
        change = getattr(database.records, function.lists)
        found = []
        for start in range(0, len(arguments), _SLICE):
            found = await server.make(change, arguments[start : start + _SLICE])
            if found is None:
                break
    return found


def _iterinit(database: TyrantDatabase, arguments: Arguments) -> Found:
    if arguments:
        return succeeded(database.look(database.iteration.begin_at, arguments[0]))
    return succeeded(database.look(database.iteration.begin) or database.kind not in _TREE)


def _iternext(database: TyrantDatabase, arguments: Arguments) -> Found:
    item = database.look(database.iteration.step)
    return list(item) if item is not None else None


def _error(database: TyrantDatabase, arguments: Arguments) -> Found:
    return [b"0: success"]


def _nothing(database: TyrantDatabase, arguments: Arguments) -> Found:
    return []


async def _sync(server: TyrantServer, arguments: Arguments) -> Found:
    return succeeded(await server.synchronize())


async def _vanish(server: TyrantServer, arguments: Arguments) -> Found:
    return succeeded(await server.vanish())


async def _search(server: TyrantServer, arguments: Arguments) -> Found:
    """Find rows; where they are to be removed, those that still are as asked for then."""
    database, request = server.database, query.parse(arguments)
    table = database.records
    assert isinstance(table, Table)
    slow = any(map(takes_long, request.patterns))
    if slow:
        found = await server.searching.select(arguments)
    else:
        found = await server.in_thread(database.look, lambda txn: request.select(table.rows(txn)))
    number = len(found)
    if request.removes:
        if database.read_only:
            return None
        found = [
            row
            for start in range(0, number, _SLICE)
            for row in await server.make(_remove_rows, table, None if slow else request, found[start : start + _SLICE])
        ]
    if request.counts:
        results = [b"%d" % number]
    elif request.gets:
        results = [request.present(key, row) for key, row in found]
    else:
        results = [] if request.removes else [key for key, _ in found]
    return [*results, request.hint(number)] if request.hints else results


def _remove_rows(
    txn: Write, table: Table, request: query.Request | None, found: list[tuple[bytes, Row]]
) -> list[tuple[bytes, Row]]:
    """Remove those of the rows that are there and still as they were asked for, or found; return them."""
    removed = []
    for key, before in found:
        row = table.row(txn, key)
        if row is None:
            continue
        if row == before or (request is not None and any(each.holds(key, row) for each in request.queries)):
            table.remove(txn, key)
            removed.append((key, row))
    return removed


async def _regex(server: TyrantServer, arguments: Arguments) -> Found:
    """Find records whose keys have an expression in them."""
    if arguments and takes_long(arguments[0]):
        return await server.searching.match(arguments)
    return await server.in_thread(server.database.look, server.database.records.match, arguments)


FUNCTIONS: Final[dict[bytes, Function]] = {
    b"put": Function(changes="call_put"),
    b"putkeep": Function(changes="call_put_keep"),
    b"putcat": Function(changes="call_put_cat"),
    b"out": Function(changes="call_out"),
    b"get": Function(looks="call_get"),
    b"putlist": Function(lists="put_list"),
    b"outlist": Function(lists="out_list"),
    b"getlist": Function(looks="get_list"),
    b"getpart": Function(looks="call_part"),
    b"iterinit": Function(tells=_iterinit),
    b"iternext": Function(tells=_iternext),
    b"sync": Function(works=_sync),
    b"optimize": Function(tells=_nothing),
    b"vanish": Function(works=_vanish),
    b"regex": Function(works=_regex),
    b"range": Function(_ORDERED, scans="call_range"),
    b"error": Function(_FILES, tells=_error),
    b"defrag": Function(_PAGED, tells=_nothing),
    b"cacheclear": Function(_PAGED, tells=_nothing),
    b"putdup": Function(_TREE, changes="put_behind"),
    b"putdupback": Function(_TREE, changes="put_before"),
    b"setindex": Function(_TABLE, changes="set_index"),
    b"genuid": Function(_TABLE, changes="new_key"),
    b"search": Function(_TABLE, works=_search),
    b"metasearch": Function(_TABLE, works=_search),
}
