"""One interpreter that has run the server's script, and calls its procedures.

Source: the Kyoto Tycoon protocol reference, section 10.1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from kt_core.database.control import BUDGET
from kt_core.database.environment import Write
from kt_core.database.housekeeping import RoomNeeded
from kt_core.errors import InvalidInput
from kt_core.server.interpreter import Interpreter
from kt_core.server.report import PROTOCOL
from kt_core.server.scripting import texts
from kt_core.server.scripting.databases import Databases, Search
from kt_core.server.scripting.gates import Gate, Unsuited
from kt_core.server.scripting.running import Asker, Line, Running
from kt_core.server.scripting.visitors import Visitors
from kt_core.server.served import ServedDatabase

_ENVIRONMENT: Final = Path(__file__).with_name("environment.lua").read_bytes()
_MANY: Final = 1000  # names and values, above which they are given in a table

Pairs: TypeAlias = "Sequence[tuple[bytes, bytes]]"
"""Names and values that a procedure is given."""


class Asked(Asker):
    """A call: of which procedure, what it is given, and who waits for it."""

    name: bytes
    pairs: Pairs


NO_PROCEDURE: Final = 1
FAILED: Final = 5
"""Codes that a procedure may return, and those of one that does not exist or fails."""


class Result(NamedTuple):
    """What a procedure returned, what it gave, names and values that follow each other, and what it wants logged."""

    code: int
    given: Sequence[bytes] = ()
    logged: Sequence[Line] = ()

    @property
    def values(self) -> dict[bytes, bytes]:
        """What it gave by name: a number and the same as text are one name."""
        return dict(zip(self.given[::2], self.given[1::2], strict=True))


class Program(NamedTuple):
    """A script, and how it is run: seconds of a call, bytes of an interpreter, whether it has the whole library."""

    source: bytes
    patience: float
    memory: int
    opened: bool


class State:
    """An interpreter; `thid` is its number."""

    def __init__(
        self,
        program: Program,
        databases: Sequence[ServedDatabase],
        thid: int,
        search: Search,
        ending: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        self.gates = [Gate(served, number) for number, served in enumerate(databases)]
        self.running = Running(program.patience, ending)
        self._largest = program.memory // 4
        self._lock = threading.Lock()
        self._lua = Interpreter(self.running.stopped, memory=program.memory)
        visitors = Visitors(self.gates, self.running, self._largest, self._lua.is_full)
        ours = Databases(self.gates, self.running, visitors, self._lua.table, search, self._largest)
        functions = {
            **texts.functions(self._lua.table, self._largest),
            **ours.functions(),
            "time": clock,
            "sleep": self.running.sleep,
            "log": self.running.log,
        }
        values = {
            b"databases": self._lua.table([served.name.encode() for served in databases]),
            b"version": PROTOCOL.encode(),
            b"thid": thid,
        }
        given = {name.encode(): function for name, function in functions.items()}
        self._call, visitors.visit = self._lua.run(
            _ENVIRONMENT, self._lua.table(given), self._lua.table(values), self._lua.spare, name=b"=kyototycoon"
        )
        if not program.opened:
            self._lua.close()
        self._in_thread(Asker(), self._lua.run, program.source)

    def is_full(self) -> bool:
        """Tell whether there is no memory left for calls: global variables fill it."""
        return self._lua.is_full()

    # -- the ways to call a procedure ------------------------------------------------------------------------

    def read(self, calls: Iterable[Asked]) -> list[Result | Unsuited]:
        """Make calls in the event loop; `Unsuited` is what comes of one that wants to write, or takes long."""
        outcomes: list[Result | Unsuited] = []
        running = self.running
        with self._lock:
            for call in calls:
                running.begin()
                try:
                    outcomes.append(self._run(call))
                except Unsuited as unsuited:
                    outcomes.append(unsuited)
        return outcomes

    def change(self, txn: Write, number: int, calls: Iterable[Asked], room: int) -> list[Result]:
        """Make calls in a transaction on one database; `Unsuited` if one takes long, or writes to another database.

        There is no call before there are so many bytes of room for what they may add.
        """
        with self._lock:
            gate = self.gates[number]
            if gate.served.environment.words[BUDGET] < room:
                raise RoomNeeded(0, room, room)
            results: list[Result] = []
            gate.enter(txn)
            try:
                for call in calls:
                    self.running.begin()
                    results.append(self._run(call))
            except RoomNeeded:  # it writes much, and had better do so by and by
                raise Unsuited(None) from None
            except Unsuited:
                if gate.has_changed:
                    raise Unsuited(None) from None
                raise
            finally:
                gate.leave()
        return results

    def work(self, call: Asked) -> Result:
        """Make a call in a thread, as long as somebody waits for it."""
        result: Result = self._in_thread(call, self._run, call)
        return result

    def _in_thread(self, asker: Asker, work: Callable[..., Any], *arguments: Any) -> Any:
        with self._lock:
            self.running.begin_in_thread(asker)
            for gate in self.gates:
                gate.is_open = True
            try:
                return work(*arguments)
            finally:
                for gate in self.gates:
                    gate.is_open = False

    def _run(self, call: Asked) -> Result:
        running = self.running
        found: Any
        try:
            found = self._call(call.name, *self._given(call.pairs))
        except Exception as error:  # whatever a script does
            found = FAILED
            if running.doom is None:
                running.note(call.name, error)
        if running.doom is not None:
            found = self._give_up(call.name)
        logged = running.take_logged() if running.logged else ()
        if type(found) is tuple:
            return Result(0, found, logged)
        return Result(found, (), logged) if type(found) is int else Result(0, list(found.values()), logged)

    def _given(self, pairs: Pairs) -> Sequence[Any]:
        """Return names and values in the order in which the original gives them, in a table if they are many."""
        given: Sequence[Any]
        if len(pairs) == 1:
            ((name, value),) = pairs
            if len(name) + len(value) <= self._largest:
                return pairs[0]
            given = pairs[0]
        elif len(pairs) == 2 and pairs[0][0] < pairs[1][0]:  # in order already, as most are
            given = (*pairs[0], *pairs[1])
        else:
            given = [each for pair in sorted(dict(pairs).items()) for each in pair]
        if sum(map(len, given)) > self._largest:
            raise InvalidInput("what it is given needs more memory")
        return given if len(given) < _MANY else [self._lua.table(given)]

    def _give_up(self, name: bytes) -> int:
        """Return the code of a call that had to end; raise why, if it is to be made again."""
        doom = self.running.end()
        self._lua.watch()
        if isinstance(doom, Unsuited | RoomNeeded):
            self.running.take_logged()
            raise doom
        self.running.note(name, doom)
        return FAILED
