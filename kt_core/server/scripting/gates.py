"""How a call of a script reaches a database: by transactions of its own, or inside one that is open already.

A gate stands in an environment's place before a `Database`, so that a script's operations are those of everybody else.
Which way it leads is set from call to call, and inside a call while a visitor is shown a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, cast

from kt_core.database import NEVER, Database
from kt_core.database.batch import Apart, Change
from kt_core.database.environment import Environment, Reading, View, Write
from kt_core.errors import InvalidInput, KTError
from kt_core.server.expiry import to_xt
from kt_core.server.scripting.texts import to_integer
from kt_core.wire.kt_binary import XT_MAX

if TYPE_CHECKING:
    from kt_core.server.served import ServedDatabase

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


class Unsuited(Apart):
    """The call is to be made again in another way, as if it had not been made at all: none of its changes is kept.

    With the number of a database, in a transaction on that one; with None in a thread, where it may take its time.
    """

    def __init__(self, database: int | None) -> None:
        super().__init__(database)
        self.database = database


class Gate:
    """A script's way to one database."""

    def __init__(self, served: ServedDatabase, number: int) -> None:
        self._environment = served.environment
        self._txn: Write | None = None
        self._reading: Reading | None = None
        self._read_in: Write | None = None
        self._reading_in: Reading | None = None
        self.xt: Callable[[int], int] = to_xt if served.spec.expires else _never
        """Return the second that a script is told of an expiry in milliseconds."""
        self.served = served
        self.number = number
        self.index = served.database.index
        self.operations = served.operations
        self.database = Database(cast(Environment, self), self.index, self)
        self.find: Callable[[bytes], tuple[bytes, int] | None] = served.find
        """Return a record's value and expiry, or None."""
        self.is_open = False
        """Whether writing is by transactions of its own; otherwise it makes the call unsuited."""
        self.is_held = False
        """Whether the call holds another database: then this one may only be read, one record at a time."""
        self.has_changed = False
        """Whether the call has changed something in a transaction that was open already."""

    @property
    def is_inside(self) -> bool:
        """Whether there is a transaction open."""
        return self._txn is not None

    def expiry(self, xt: float | None) -> int:
        """Return the expiry in milliseconds that a script means by a number of seconds; None is never."""
        return self.served.expiry(to_integer(xt)) if xt is not None else NEVER

    def enter(self, txn: Write) -> None:
        """Have all that is done from now on done in a transaction."""
        self.has_changed = False
        self._txn = txn
        if self._read_in is not txn:  # several calls of a turn are in the same one
            lasting = _Lasting(txn)
            _, *rest = self._environment.reading
            self._read_in, self._reading_in = txn, cast(Reading, (lambda *_: lasting, *rest))
        self._reading = self._reading_in
        self.find = self.database.find

    def leave(self) -> None:
        """End that."""
        self._txn = self._reading = None
        self.find = self.served.find

    # -- what a database asks of its environment ---------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    @property
    def reading(self) -> Reading:
        return self._reading or self._environment.reading

    def begin(self, *arguments: Any) -> Any:
        return self.reading[0](*arguments)

    @contextmanager
    def view(self, index: int) -> Iterator[View]:
        if self._txn is not None:
            yield cast(View, self._txn)
        else:
            self._refuse_held()
            with self._environment.view(index) as txn:
                yield txn

    def write(self, index: int, operation: Callable[[Write, *Ts], T], *args: *Ts) -> T:
        if self._txn is not None:
            self.has_changed = True
            return operation(self._txn, *args)
        self._refuse_held()
        if not self.is_open:
            raise Unsuited(self.number)
        (outcome,) = self.served.change_all([Change(operation, args, 0)])
        if isinstance(outcome, KTError):
            raise outcome
        return cast(T, outcome)

    def _refuse_held(self) -> None:
        if self.is_held:
            raise InvalidInput("a visitor, or a transaction, has its own database only")


def _never(expiry: int) -> int:
    return XT_MAX


class _Lasting:
    """A transaction that those who read in it cannot end."""

    def __init__(self, txn: Write) -> None:
        self.get = txn.get

    def abort(self) -> None:
        """Leave it open."""
