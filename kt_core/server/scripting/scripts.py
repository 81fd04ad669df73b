"""The server's script: which way each of its procedures is called, and calling it.

A quick call is best made in the event loop, where it waits for nobody and nobody waits long for it. So every procedure
is tried there first, as one that only reads. Where it writes, what it has done is forgotten, and from then on it is
called in the transaction of the turn, together with all that the turn has to change. Where it takes long, sleeps, or
writes to a second database, it is forgotten just so, and called in a thread, where each of its operations is a
transaction of its own. An interpreter for the event loop, and one for each thread: a global variable of one is none of
another's, as on the original.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kt_core.errors import KTError
from kt_core.server.call import Waiting
from kt_core.server.interpreter import lua51, read_source
from kt_core.server.scripting.gates import Unsuited
from kt_core.server.scripting.running import Asker
from kt_core.server.scripting.states import FAILED, NO_PROCEDURE, Pairs, Program, Result, State
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
        self._program = self._read()
        self._main = self._try()
        self._together = [
            Together(served, number, server.turn, self._change) for number, served in enumerate(server.databases)
        ]

    def _read(self) -> Program:
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
            self._program = self._read()
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

    # -- in the event loop -------------------------------------------------------------------------------------

    def call(self, name: bytes, pairs: Pairs, reply: Reply) -> Any:
        """Return the answer to a call, or what it waits for."""
        main = self._main
        if main is None:
            return reply(Result(NO_PROCEDURE))
        if main.is_full():
            main = self._main = self._try() or main
        if self._slow and self._is_slow(name):
            return _InThread(self, name, pairs, reply)
        number = self._databases.get(name)
        if number is None:
            try:
                return reply(main.read(name, pairs))
            except Unsuited as unsuited:
                number = unsuited.database
            if number is None:
                self._note_slow(name)
                return _InThread(self, name, pairs, reply)
            self._databases[name] = number
        return _InTurn(self, name, pairs, reply)

    def _is_slow(self, name: bytes) -> bool:
        until = self._slow.get(name)
        if until is None:
            return False
        if until > time.monotonic():
            return True
        del self._slow[name]
        return False

    def _note_slow(self, name: bytes) -> None:
        self._slow[name] = time.monotonic() + _SLOW

    def change(self, call: _Call, done: Callable[[Any], None]) -> None:
        """Make a call in the transaction of this turn."""
        together = self._together[self._databases.get(call.name, 0)]
        together.add(call, partial(self._changed, call, done))

    def _change(self, txn: Write, number: int, call: _Call) -> Result:
        main = self._main
        assert main is not None
        try:
            return main.change(txn, number, call.name, call.pairs)
        finally:
            call.has_changed = main.gates[number].has_changed

    def _changed(self, call: _Call, done: Callable[[Any], None], outcome: Any) -> None:
        if isinstance(outcome, Result):
            done(call.reply(outcome))
            return
        if isinstance(outcome, Unsuited) and outcome.database is not None and not call.has_changed:
            self._databases[call.name] = outcome.database
            call.tries += 1
            if call.tries < len(self._server.databases):
                self.change(call, done)
                return
        if isinstance(outcome, Unsuited):
            self._note_slow(call.name)
        self.work(call, done)

    def work(self, call: _Call, done: Callable[[Any], None]) -> None:
        """Make a call in a thread."""
        loop = self._server.loop

        def finish(result: Result) -> None:
            loop.call_soon_threadsafe(lambda: done(call.reply(result)))

        try:
            self._threads.submit(self._work, call, finish)
        except RuntimeError:  # the server is ending
            finish(Result(FAILED))

    # -- in a thread -------------------------------------------------------------------------------------------

    def _work(self, call: _Call, finish: Callable[[Result], None]) -> None:
        try:
            result = self._own_state().work(call.name, call.pairs, call.asker)
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


class _Call(Waiting):
    """A call that waits for its result."""

    def __init__(self, scripts: Scripts, name: bytes, pairs: Pairs, reply: Reply) -> None:
        self.scripts = scripts
        self.name = name
        self.pairs = pairs
        self.reply = reply
        self.asker = Asker()
        self.has_changed = False
        self.tries = 0

    def cancel(self) -> None:
        self.asker.waits = self.asker.waits_for_sleepers = False

    def doubt(self) -> None:
        self.asker.waits_for_sleepers = False


class _InTurn(_Call):
    def begin(self, done: Callable[[Any], None]) -> None:
        self.scripts.change(self, done)


class _InThread(_Call):
    def begin(self, done: Callable[[Any], None]) -> None:
        self.scripts.work(self, done)
