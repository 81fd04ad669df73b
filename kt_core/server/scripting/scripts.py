"""The server's script: which way each of its procedures is called, and calling it.

A quick call is best made in the event loop, where it waits for nobody and nobody waits long for it. The calls of a turn
are made at its end, one after the other: what they need is at hand then, for the interpreter as for the processor. So
every procedure is tried there first, as one that only reads. Where it writes, what it has done is forgotten, and from
then on it is called in the transaction of the turn, together with all that the turn has to change. Where it takes long,
sleeps, or writes to a second database, it is forgotten just so, and called in a thread, where each of its operations is
a transaction of its own. An interpreter for the event loop, and one for each thread: a global variable of one is none
of another's, as on the original.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kt_core.errors import KTError
from kt_core.server.call import Waiting
from kt_core.server.interpreter import lua51, read_source
from kt_core.server.scripting.gates import Unsuited
from kt_core.server.scripting.running import write_log
from kt_core.server.scripting.states import FAILED, NO_PROCEDURE, Asked, Pairs, Program, Result, State
from kt_core.server.scripting.together import Together

if TYPE_CHECKING:
    from kt_core.database import Database
    from kt_core.database.environment import Write
    from kt_core.server.server import Server

logger = logging.getLogger("kt_core.server")

Reply: TypeAlias = "Callable[[Result], Any]"
"""Makes the answer of a result."""

_SLOW: Final = 10.0  # seconds for which a procedure that took long is called in a thread


class Scripts:
    """The procedures of a script, which clients call by name."""

    def __init__(self, server: Server, source: str) -> None:
        lua51()
        self._server = server
        self._source = source
        self._ending = threading.Event()
        self._threads = ThreadPoolExecutor(server.options.threads, "kt-script")
        self._own = threading.local()
        self._number = 0  # of threads that have an interpreter
        self._generation = 0
        self._databases: dict[bytes, int] = {}  # that a procedure writes to
        self._slow: dict[bytes, float] = {}  # until when a procedure is called in a thread
        self._program = self._read_program()
        self._main = self._try()
        self._calls: list[_Call] = []  # of this turn
        self._together = [
            Together(served, number, server.turn, self._change, self._made)
            for number, served in enumerate(server.databases)
        ]

    def _read_program(self) -> Program:
        options = self._server.options
        source = read_source(self._source, "-scr")
        return Program(source, options.script_patience, options.script_memory, options.script_opened)

    def _try(self) -> State | None:
        try:
            return self._state(0)
        except Exception as error:  # whatever is written there
            logger.error("[SCRIPT]: %s: %s", self._source, error)
            return None

    def _state(self, thid: int) -> State:
        server = self._server
        return State(self._program, server.databases, thid, self._search, self._ending, server.clock)

    def reload(self) -> None:
        """Read the script anew; what is wrong with it is logged, and the former one stays."""
        before = self._program
        try:
            self._program = self._read_program()
        except KTError as error:
            logger.error("%s", error)
            return
        state = self._try()
        if state is None:
            self._program = before
            return
        self._main = state
        self._generation += 1
        self._databases.clear()
        self._slow.clear()

    def close(self) -> None:
        """End the calls that are under way, and the threads."""
        self._ending.set()
        self._threads.shutdown(cancel_futures=True)

    def call(self, name: bytes, pairs: Pairs, reply: Reply) -> Waiting:
        """Return a call, which begins when it is waited for, and then comes to an answer."""
        return _Call(self, name, pairs, reply)

    # -- in the event loop -------------------------------------------------------------------------------------

    def begin(self, call: _Call) -> None:
        """Have a call made at the end of this turn."""
        if not self._calls:
            self._server.turn.call_at_end(self._end)
        self._calls.append(call)

    def _end(self) -> None:
        calls, self._calls = self._calls, []
        main = self._usable()
        if main is None:
            for call in calls:
                call.end(Result(NO_PROCEDURE))
            return
        reading: list[_Call] = []
        writing: dict[int, list[_Call]] = {}
        for call in calls:
            number = self._databases.get(call.name)
            if self._slow and self._is_slow(call.name):
                self._work(call)
            elif number is None:
                reading.append(call)
            else:
                writing.setdefault(number, []).append(call)
        for number, together in writing.items():
            self._together[number].add(together)
        for call, outcome in zip(reading, main.read(reading), strict=True):
            self._made(call, outcome)

    def _is_slow(self, name: bytes) -> bool:
        until = self._slow.get(name)
        if until is None:
            return False
        if until > time.monotonic():
            return True
        del self._slow[name]
        return False

    def _usable(self) -> State | None:
        """Return the event loop's interpreter, a new one if that is full; None while the script cannot be run."""
        main = self._main
        if main is not None and main.is_full():
            main = self._main = self._try() or main
        return main

    def _change(self, txn: Write, number: int, calls: Sequence[_Call], size: int) -> list[Result]:
        main = self._main
        assert main is not None
        return main.change(txn, number, calls, size)

    def _made(self, call: _Call, outcome: Result | Unsuited | KTError) -> None:
        """Give the answer of a call; make it again where another way suits it, in a thread what a database refused."""
        if type(outcome) is Result:
            call.end(outcome)
            return
        number = outcome.database if isinstance(outcome, Unsuited) else None
        call.tries += 1
        if number is not None and call.tries <= len(self._together):
            self._databases[call.name] = number
            self._together[number].add([call])
            return
        if isinstance(outcome, Unsuited):
            self._slow[call.name] = time.monotonic() + _SLOW
        self._work(call)

    def _work(self, call: _Call) -> None:
        loop = self._server.loop

        def finish(result: Result) -> None:
            loop.call_soon_threadsafe(call.end, result)

        try:
            self._threads.submit(self._work_in_thread, call, finish)
        except RuntimeError:  # the server is ending
            finish(Result(FAILED))

    # -- in a thread -------------------------------------------------------------------------------------------

    def _work_in_thread(self, call: _Call, finish: Callable[[Result], None]) -> None:
        try:
            result = self._own_state().work(call)
        except Exception:
            logger.exception("[SCRIPT]: %s failed", call.name.decode("utf-8", "replace"))
            result = Result(FAILED)
        finish(result)

    def _own_state(self) -> State:
        """Return this thread's interpreter, of the script as it is now."""
        own, generation = self._own, self._generation
        if getattr(own, "generation", None) != generation or own.state.is_full():
            if not hasattr(own, "number"):
                self._number += 1
                own.number = self._number
            own.state = self._state(own.number)
            own.generation = generation
        state: State = own.state
        return state

    def _search(self, database: Database, method: str, *arguments: Any) -> list[bytes]:
        searching = self._server.search.run(database, method, *arguments)
        return asyncio.run_coroutine_threadsafe(searching, self._server.loop).result()


class _Call(Asked, Waiting):
    """A call that waits for its result."""

    tries = 0
    """In how many ways it was made that did not suit it."""
    _done: Callable[[Any], None]

    def __init__(self, scripts: Scripts, name: bytes, pairs: Pairs, reply: Reply) -> None:
        self._scripts = scripts
        self._reply = reply
        self.name = name
        self.pairs = pairs

    def begin(self, done: Callable[[Any], None]) -> None:
        self._done = done
        self._scripts.begin(self)

    def end(self, result: Result) -> None:
        """Give the answer, and log what the procedure wants logged: only now is it sure that it is not called again."""
        if result.logged:
            write_log(result.logged)
        self._done(self._reply(result))

    def cancel(self) -> None:
        self.waits = self.waits_for_sleepers = False

    def doubt(self) -> None:
        self.waits_for_sleepers = False
