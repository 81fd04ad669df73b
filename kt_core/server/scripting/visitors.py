"""Visitors and transactions: what a script does with records while it holds their database.

Source: the Kyoto Tycoon protocol reference, section 10.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar, TypeVarTuple

from kt_core.database import NEVER
from kt_core.database.control import BUDGET
from kt_core.database.environment import Write
from kt_core.database.housekeeping import RoomNeeded
from kt_core.errors import KTError, StoreFull
from kt_core.server.scripting.gates import Gate
from kt_core.server.scripting.running import Running

Ts = TypeVarTuple("Ts")
T = TypeVar("T")
Visit: TypeAlias = "Callable[..., Any]"
"""Have a script's visitor see a record; see `environment.lua`."""

RESERVE: Final = 16 << 10
"""Bytes that a call may add to a database before it has to be made again because there was no room for them."""


class _RolledBack(Exception):
    """A transaction of a script's is not to be committed."""


class Visitors:
    """What holds the databases of one interpreter; `visit` is what the environment's Lua has for it.

    A visitor is shown no more than `largest` bytes, and nothing more where the interpreter `is_full`.
    """

    def __init__(self, gates: Sequence[Gate], running: Running, largest: int, is_full: Callable[[], bool]) -> None:
        self.visit: Visit = _unprepared
        self._gates = gates
        self._running = running
        self._largest = largest
        self._is_full = is_full

    def show(self, gate: Gate, txn: Write, key: bytes, visitor: Any, absent: bool) -> bool:
        """Show a record, or that there is none, and do what the visitor says; tell whether it was removed."""
        self._running.spend(1)
        operations = gate.operations
        record = operations.read(txn, key)
        if record is None and not absent:
            return False
        wanted = self._ask(gate, key, record, visitor)
        if type(wanted) is tuple:
            value, xt = wanted
            if value is not None:
                kept = record.expiry if record is not None else NEVER
                operations.put(txn, key, value, kept if xt is None else gate.expiry(xt))
        return wanted is True and record is not None and operations.delete(txn, key)

    def show_all(self, gate: Gate, txn: Write, keys: Sequence[bytes], visitor: Any) -> None:
        """Show records."""
        for key in keys:
            self.show(gate, txn, key, visitor, True)

    def show_only(self, gate: Gate, key: bytes, visitor: Any, *, absent: bool = True) -> None:
        """Show a record, or that there is none, to a visitor that can change nothing."""
        found = gate.find(key)
        if found is not None or absent:
            self._ask(gate, key, found, visitor)

    def _ask(self, gate: Gate, key: bytes, found: tuple[bytes, int] | None, visitor: Any) -> Any:
        if self._is_full():
            raise StoreFull("not enough memory")
        if found is None:
            wanted = self.visit(visitor, key)
        else:
            value, expiry = found
            if len(value) > self._largest:
                raise StoreFull("the record is larger than there is memory for")
            wanted = self.visit(visitor, key, value, gate.xt(expiry))
        self._running.spend(0)  # the visitor may have caught why the call has to end
        return wanted

    def hold(self, gate: Gate, work: Callable[[Gate, Write, *Ts], T], *arguments: *Ts) -> T:
        """Do work in one transaction, again with more room as often as there was too little."""
        if gate.is_inside:  # whoever opened the transaction sees to it that there is room
            return gate.write(gate.index, self._alone, gate, work, arguments)
        reserve = RESERVE

        def run(txn: Write) -> T:
            nonlocal reserve
            if isinstance(self._running.doom, RoomNeeded):
                self._running.go_on()
            if gate.words[BUDGET] < reserve:
                raise RoomNeeded(0, reserve, reserve)
            with self._running.holding():
                gate.enter(txn)
                try:
                    return self._alone(txn, gate, work, arguments)
                except RoomNeeded as more:
                    reserve = 2 * reserve + more.cost
                    raise RoomNeeded(more.largest, more.size, reserve) from more
                finally:
                    gate.leave()

        return gate.write(gate.index, run)

    def _alone(self, txn: Write, gate: Gate, work: Callable[[Gate, Write, *Ts], T], arguments: tuple[*Ts]) -> T:
        """Do work while the other databases are out of reach."""
        if len(self._gates) == 1:
            return work(gate, txn, *arguments)
        others = [other for other in self._gates if other is not gate and not other.is_held]
        for other in others:
            other.is_held = True
        try:
            return work(gate, txn, *arguments)
        finally:
            for other in others:
                other.is_held = False

    def transact(self, gate: Gate, body: Callable[[], bool]) -> None:
        """Do what a function does in one transaction, which is committed if it returns true."""

        def work(gate: Gate, txn: Write) -> None:
            commits = body()
            self._running.spend(0)
            if not commits:
                raise _RolledBack

        with suppress(_RolledBack):
            self.hold(gate, work)


def _unprepared(*_: Any) -> Any:
    raise KTError("the interpreter has no environment")
