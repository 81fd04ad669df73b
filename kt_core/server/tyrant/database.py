"""One database of Tokyo Tyrant as the server serves it: its records, the iterator, and how both are asked.

Whatever changes it is a `Change` for the turn of the event loop; what only looks is done at once in a transaction of
its own, in any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple

from kt_core.database import Database, Environment
from kt_core.database.batch import Change
from kt_core.database.environment import Write
from kt_core.errors import KTError, Misconfigured
from kt_core.server.scratch import Scratch
from kt_core.server.served import ServedDatabase, own_options
from kt_core.server.tyrant.duplicates import Duplicates
from kt_core.server.tyrant.fixed import Fixed
from kt_core.server.tyrant.iteration import Iteration
from kt_core.server.tyrant.names import KINDS, Name, TyrantKind
from kt_core.server.tyrant.records import Records
from kt_core.server.tyrant.table import Table

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

_RECORDS: Final[dict[TyrantKind, type[Records]]] = {
    KINDS["tcb"]: Duplicates,
    KINDS["tcf"]: Fixed,
    KINDS["tct"]: Table,
}


class TyrantDatabase:
    """A database that is open."""

    def __init__(self, served: ServedDatabase, records: Records) -> None:
        self.served = served
        self.records = records
        self.iteration = Iteration(records)
        self.kind: TyrantKind = records.name.kind
        self.read_only = records.name.read_only
        self._environment = served.environment

    @classmethod
    def open(cls, name: Name, scratch: Scratch, clock: Callable[[], float], most: int) -> TyrantDatabase:
        """Open the database of a name; `most` is how many bytes of records one result may hold."""
        directory = scratch.path / "0" if name.kind.in_memory else Path(name.path).absolute()
        if directory.is_file():
            raise Misconfigured(
                f"{name.path} is a file of Tokyo Cabinet, which this server does not read: write another path, and "
                "copy the records from a ttserver that has it open"
            )
        options = replace(own_options(name, directory), databases=2)
        database = Database(Environment.open(directory, options, clock=clock))
        opened = cls(ServedDatabase(name, database), records_of(name, database))
        opened.records.most = most
        if name.truncates:
            database.clear()
        return opened

    def look(self, operation: Callable[[Write, *Ts], T], *arguments: *Ts) -> T:
        """Run an operation that only looks."""
        return look_at(self._environment, operation, *arguments)

    def copy(self, text: str) -> bool:
        """Copy all records to a database of this kind at another path, in the place of what is there."""
        try:
            name = Name.parse(text)
            path = Path(name.path).absolute()
            if name.kind.in_memory or (self.kind is not name.kind and not self.kind.in_memory):
                return False
            if path.resolve() == self._environment.directory.resolve():
                return False
            environment = Environment.open(path, replace(own_options(name, path), databases=2))
        except (KTError, OSError):
            return False
        try:
            for index in range(2):
                theirs, ours = Database(environment, index), Database(self._environment, index)
                theirs.clear()
                theirs.set_bulk((key, record.value, record.expiry) for key, record in ours.scan())
        finally:
            environment.close()
        return True

    def count(self) -> int:
        """Return the number of records."""
        return self.look(self.records.count)

    def size(self) -> int:
        """Return the bytes of the pages that hold them."""
        return self.served.database.size()


def records_of(name: Name, database: Database) -> Records:
    """Return the records of a name."""
    return _RECORDS.get(name.kind, Records)(name, database)


def look_at(environment: Environment, operation: Callable[[Write, *Ts], T], *arguments: *Ts) -> T:
    """Run an operation that only looks."""
    txn: Write = environment.begin(environment.dbis[0])
    try:
        return operation(txn, *arguments)
    finally:
        txn.abort()


def change(operation: Callable[..., Any], *arguments: Any) -> Change:
    """Return the change that an operation with these arguments is."""
    return Change(operation, arguments, sum(map(_size, arguments)))


def _size(argument: Any) -> int:
    if isinstance(argument, bytes):
        return len(argument)
    return sum(map(_size, argument)) if isinstance(argument, list | tuple) else 0
