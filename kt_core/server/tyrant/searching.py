"""Searches with regular expressions that may take for ever, in the process of `kt_core.server.search`.

Source: the Tokyo Tyrant protocol reference, sections 3.2 and 5.2.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

from kt_core.database import Database
from kt_core.errors import InvalidInput
from kt_core.server import search
from kt_core.server.tyrant import query
from kt_core.server.tyrant.database import TyrantDatabase, look_at, records_of
from kt_core.server.tyrant.names import Name
from kt_core.server.tyrant.records import Arguments, Found, pairs
from kt_core.server.tyrant.table import Row, Table, pack_row, unpack_row

_REPEATS: Final = b"*+?{"


def takes_long(pattern: bytes) -> bool:
    """Tell whether an expression has several repetitions, or one of a group: then there is no bound to the time."""
    repetitions = sum(pattern[1:].count(each) for each in _REPEATS)
    return repetitions > 1 or (repetitions > 0 and b"(" in pattern)


class Searching:
    """Searches of one database by such expressions; they end when they take longer than the patience, in seconds."""

    def __init__(self, database: TyrantDatabase, patience: float) -> None:
        self._database = database
        self._process = search.Search(patience, __name__)

    def close(self) -> None:
        """End the process, and with it what it is at."""
        self._process.close()

    async def match(self, arguments: Arguments) -> Found:
        """Return the records in whose keys an expression is found."""
        try:
            return await self._run("match", arguments)
        except InvalidInput:
            return None

    async def select(self, arguments: Arguments) -> list[tuple[bytes, Row]]:
        """Return the rows that a search asks for."""
        found = await self._run("select", arguments)
        return [(key, unpack_row(row)) for key, row in pairs(found)]

    async def _run(self, method: str, arguments: Arguments) -> list[bytes]:
        database = self._database
        return await self._process.run(database.served.database, method, database.records.name.text, *arguments)


def match(database: Database, name: str, *arguments: bytes) -> list[bytes]:
    found = look_at(database.environment, records_of(Name.parse(name), database).match, arguments)
    if found is None:
        raise InvalidInput("not an expression")
    return found


def select(database: Database, name: str, *arguments: bytes) -> list[bytes]:
    table = records_of(Name.parse(name), database)
    assert isinstance(table, Table)
    request = query.parse(arguments)
    found = look_at(database.environment, lambda txn: request.select(table.rows(txn)))
    return list(chain.from_iterable((key, pack_row(row)) for key, row in found))


def main() -> None:
    """Search what is asked for on the standard input, until it ends."""
    search.main({"match": match, "select": select})
