"""What a script can call: the database, what scripts share, and what the server is.

Source: the Tokyo Tyrant protocol reference, section 10.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

from kt_core.database.environment import Write
from kt_core.errors import KTError
from kt_core.server.interpreter import Interpreter
from kt_core.server.log import SYSTEM
from kt_core.server.tyrant import commands, texts
from kt_core.server.tyrant.scripts import Scripts, number_text
from kt_core.server.tyrant.stat import VERSION
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_messages import Request

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

logger = logging.getLogger("kt_core.server")

_LEVELS = (logging.DEBUG, logging.INFO, SYSTEM, logging.ERROR)
_BATCH = 256  # records that are read in one transaction


def functions(server: TyrantServer, scripts: Scripts, lua: Interpreter) -> dict[bytes, Any]:
    """Return the functions and values that an interpreter of a script is given, by their names."""
    given = Builtins(server, scripts, lua)
    found = {name.encode(): getattr(given, name) for name in dir(Builtins) if re.match("_[a-z]", name)}
    pure = {name: _tables(function, lua) for name, function in texts.FUNCTIONS.items()}
    values = {b"_version": VERSION.encode(), b"_pid": os.getpid(), b"_sid": server.options.sid}
    threads = {b"_thnum": scripts.number, b"_thid": threading.get_native_id()}
    return {**found, **pure, **values, **threads}


def _tables(function: Callable[..., Any], lua: Interpreter) -> Callable[..., Any]:
    """Return a function that is given Python's lists in the place of Lua's tables, and gives tables back."""

    def call(*arguments: Any) -> Any:
        result = function(*[list(each.values()) if hasattr(each, "values") else each for each in arguments])
        return lua.table(result) if isinstance(result, list) else result

    return call


class Builtins:
    """The functions that concern the server; whose names begin with one underscore a script sees."""

    def __init__(self, server: TyrantServer, scripts: Scripts, lua: Interpreter) -> None:
        self.server = server
        self.scripts = scripts
        self.lua = lua

    # -- records -------------------------------------------------------------------------------------------

    def perform(self, request: Request) -> Any:
        """Do what a request asks for, in the event loop; return its reply, or None if it failed."""
        reply = asyncio.run_coroutine_threadsafe(commands.perform(self.server, request), self.server.loop).result()
        return None if isinstance(reply, tt.Failed) or not getattr(reply, "ok", True) else reply

    def _put(self, key: Any, value: Any) -> bool:
        return self.perform(tt.Put(text(key), text(value))) is not None

    def _putkeep(self, key: Any, value: Any) -> bool:
        return self.perform(tt.PutKeep(text(key), text(value))) is not None

    def _putcat(self, key: Any, value: Any) -> bool:
        return self.perform(tt.PutCat(text(key), text(value))) is not None

    def _out(self, key: Any) -> bool:
        return self.perform(tt.Out(text(key))) is not None

    def _get(self, key: Any) -> bytes | None:
        return self.server.database.look(self.server.database.records.read, text(key))

    def _vsiz(self, key: Any) -> int:
        value = self._get(key)
        return len(value) if value is not None else -1

    def _addint(self, key: Any, number: float) -> int | None:
        reply = self.perform(tt.AddInt(text(key), int(number)))
        return reply.number if reply is not None else None

    def _adddouble(self, key: Any, number: float) -> float | None:
        reply = self.perform(tt.AddDouble.of(text(key), number))
        return reply.number if reply is not None else None

    def _rnum(self) -> int:
        return self.server.database.count()

    def _size(self) -> int:
        return self.server.database.size()

    def _vanish(self) -> bool:
        return self.perform(tt.Vanish()) is not None

    def _iterinit(self, key: Any = None) -> bool:
        arguments = [] if key is None else [text(key)]
        return self.perform(tt.Misc(b"iterinit", tt.NO_UPDATE_LOG, arguments)) is not None

    def _iternext(self) -> bytes | None:
        reply = self.perform(tt.IterNext())
        return reply.value if reply is not None else None

    def _fwmkeys(self, prefix: Any, limit: float = -1) -> Any:
        return self.lua.table(self.perform(tt.FwmKeys(text(prefix), int(limit))).elements)

    def _misc(self, name: bytes, *arguments: Any) -> Any:
        """Call a function of the database; a ``$`` before its name keeps it out of the update log."""
        given = chain.from_iterable(each.values() if hasattr(each, "values") else (each,) for each in arguments)
        options = tt.NO_UPDATE_LOG if name.startswith(b"$") else 0
        reply = self.perform(tt.Misc(name.removeprefix(b"$"), options, [text(each) for each in given]))
        return self.lua.table(reply.elements) if reply is not None else None

    def _foreach(self, function: Any) -> bool:
        """Call a function with every key and value, as long as it returns true."""
        for key, value in self.items():
            if not function(key, value):
                break
        return True

    def _mapreduce(self, map_one: Any, reduce_one: Any, keys: Any = None) -> bool:
        """Have keys and values made into others, which are brought together by their keys."""
        emitted: list[tuple[bytes, bytes]] = []

        def emit(key: Any, value: Any) -> bool:
            emitted.append((text(key), text(value)))
            return True

        items = self.items() if keys is None else ((key, self._get(key)) for key in keys.values())
        for key, value in items:
            if value is not None and not map_one(key, value, emit):
                return False
        emitted.sort(key=lambda item: item[0])
        for key, group in groupby(emitted, key=lambda item: item[0]):
            if not reduce_one(key, self.lua.table([value for _, value in group])):
                return False
        return True

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all records, reading some at a time, so that they may be changed meanwhile."""
        records = self.server.database.records

        def read(txn: Write, start: bytes) -> list[tuple[bytes, bytes]]:
            return list(islice(records.stored(txn, start), _BATCH))

        batch = self.server.database.look(read, b"")
        while batch:
            for key, value in batch:
                yield from records.expand(key, value)
            last = batch[-1][0]
            batch = [item for item in self.server.database.look(read, last) if item[0] > last]

    # -- what scripts share --------------------------------------------------------------------------------

    def _stashput(self, key: Any, value: Any) -> bool:
        self.scripts.stash[text(key)] = text(value)
        return True

    def _stashputkeep(self, key: Any, value: Any) -> bool:
        new = text(value)
        return self.scripts.stash.setdefault(text(key), new) is new

    def _stashputcat(self, key: Any, value: Any) -> bool:
        self.scripts.stash[text(key)] = self.scripts.stash.get(text(key), b"") + text(value)
        return True

    def _stashout(self, key: Any) -> bool:
        return self.scripts.stash.pop(text(key), None) is not None

    def _stashget(self, key: Any) -> bytes | None:
        return self.scripts.stash.get(text(key))

    def _stashvanish(self) -> bool:
        self.scripts.stash.clear()
        return True

    def _stashforeach(self, function: Any) -> bool:
        for key, value in list(self.scripts.stash.items()):
            if not function(key, value):
                break
        return True

    def _lock(self, key: Any) -> bool:
        return self.scripts.wait_for(self.scripts.locks.setdefault(text(key), threading.Lock()))

    def _unlock(self, key: Any) -> bool:
        lock = self.scripts.locks.get(text(key))
        if lock is None or not lock.locked():
            return False
        lock.release()
        return True

    def _eval(self, chunk: bytes) -> bool:
        """Have every interpreter run something before its next call."""
        self.scripts.chunks.append(chunk)
        return True

    # -- the server ----------------------------------------------------------------------------------------

    def _log(self, message: Any, level: float = 1) -> None:
        logger.log(_LEVELS[min(max(int(level), 0), 3)], "%s", text(message).decode("utf-8", "replace"))

    def _time(self) -> float:
        return self.server.clock()

    def _sleep(self, seconds: float) -> bool:
        if not self.scripts.pause(seconds):
            raise KTError("the script takes too long")
        return True


def text(value: Any) -> bytes:
    """Return a string of a script, or a number as a string; TypeError for anything else."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    raise TypeError("a string or a number is needed")
