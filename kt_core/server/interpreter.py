"""A Lua interpreter that is given what it may call, can be stopped, and lets nobody into Python.

The original servers run Lua 5.1, and so does this: what differs in later ones, scripts would notice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from kt_core.errors import InvalidInput, Misconfigured

LOOK_EVERY: Final = 10_000
"""Instructions between two looks at whether a script is to be stopped."""

# To a script what is Python's is to be a function like any other.
_WRAP: Final = b"return function(f) return function(...) return f(...) end end"

# Once a script is to be stopped every instruction fails: a loop of `pcall` would make nothing of one that does.
# A coroutine has a hook of its own, and begins with none.
# Where memory ends while a value goes from Python to Lua, nothing catches the error, and the process ends. So a script
# may use half of it, which is looked at before anything that calls Python.
_WATCH: Final = b"""
local stopped, every, most = ...
local collect, error, pcall, sethook, create, resume =
  collectgarbage, error, pcall, debug.sethook, coroutine.create, coroutine.resume
local function spare()
  if collect("count") > most then
    collect("collect")
    if collect("count") > most * 0.9 then
      error("not enough memory", 0)
    end
    return true
  end
end
local function watch()
  if spare() then
    for _ = 1, 25 do stopped() end
  end
  if stopped() then
    sethook(watch, "", 1)
    error("the script takes too long", 0)
  end
end
local function begin(body)
  local thread = create(body)
  sethook(thread, watch, "", every)
  return thread
end
local function pass(going, ...)
  if not going then
    error((...), 2)
  end
  return ...
end
coroutine.create = begin
coroutine.wrap = function(body)
  local thread = begin(body)
  return function(...) return pass(resume(thread, ...)) end
end
-- What handles an error of the hook's would itself run without one.
local function handled(handle, going, ...)
  if going then
    return true, ...
  end
  return false, handle(...)
end
function xpcall(body, handle)
  return handled(handle, pcall(body))
end
package.loaded.python, python = nil, nil
return function() sethook(watch, "", every) end, spare
"""

# What reads and writes files, runs programs, or looks behind the functions of others. Compiled code is not checked by
# the interpreter, and can do anything; what the garbage collector calls for a proxy is not watched.
_CLOSE: Final = b"""
local load, loadstring, type, find = load, loadstring, type, string.find
local time, clock, date, difftime = os.time, os.clock, os.date, os.difftime
for _, name in ipairs {"io", "debug", "package", "require", "module", "dofile", "loadfile", "newproxy"} do
  _G[name] = nil
end
os = {time = time, clock = clock, date = date, difftime = difftime}
string.dump = nil
function _G.loadstring(text, name)
  if type(text) == "string" and find(text, "\\27", 1, true) == 1 then
    return nil, "compiled code is not loaded"
  end
  return loadstring(text, name)
end
function _G.load(read, name)
  local pieces = {}
  while true do
    local piece = read()
    if piece == nil or piece == "" then break end
    pieces[#pieces + 1] = piece
  end
  return _G.loadstring(table.concat(pieces), name)
end
"""


class Interpreter:
    """An interpreter of Lua 5.1, for one thread at a time.

    `stopped` is asked all the time whether the script that runs is to be stopped; `memory` is the bytes that it may
    have, None for any number. A script may use half of them, the other half is for what it is given.
    """

    def __init__(self, stopped: Callable[[], bool], *, memory: int | None = None) -> None:
        self._lua = lua51().LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_refuse,
            max_memory=memory,
        )
        self.names: Any = self._lua.globals()
        """The table of global variables."""
        self.builtin: Final[frozenset[bytes]] = frozenset(self.names)
        self._wrap: Any = self._lua.execute(_WRAP)
        self._load: Any = self.names[b"loadstring"]
        self._most = memory // 2 if memory is not None else sys.maxsize
        self.watch: Callable[[], None]
        """To be called before a script is run after another one was stopped."""
        self.watch, self.spare = self._lua.execute(_WATCH, stopped, LOOK_EVERY, self._most / 1024)
        self.watch()

    def close(self) -> None:
        """Take from the library all that reaches beyond the interpreter, or past being stopped."""
        self._lua.execute(_CLOSE)

    def give(self, values: Mapping[bytes, Any]) -> None:
        """Set global variables; what can be called is a function to the script."""
        for name, value in values.items():
            self.names[name] = self._wrap(value) if callable(value) else value

    def run(self, source: bytes, *arguments: Any, name: bytes = b"=script") -> Any:
        """Run a text, which has its arguments as ``...``, and return what it returns; `InvalidInput` if it is no Lua.

        What it raises when it runs is lupa's `LuaError`.
        """
        loaded = self._load(source, name)
        if isinstance(loaded, tuple):
            raise InvalidInput(loaded[1].decode("utf-8", "replace"))
        return loaded(*arguments)

    def is_full(self) -> bool:
        """Tell whether it has more than a script may use, even after what is garbage was collected."""
        if self._has_room():
            return False
        self._lua.gccollect()
        return not self._has_room()

    def _has_room(self) -> bool:
        used: int | None = self._lua.get_memory_used()
        return used is None or used <= self._most

    def table(self, values: Any) -> Any:
        """Return a table with what a list or a dictionary has."""
        return self._lua.table_from(values)


def _refuse(*_: object) -> Any:
    raise AttributeError("nothing of Python's is for scripts")


def read_source(source: str, flag: str) -> bytes:
    """Return a script: the text behind an ``@``, or what is in a file; `Misconfigured` if it cannot be read."""
    if source.startswith("@"):
        return source[1:].encode()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{flag} {source}: {error.strerror}; write the path of a Lua script, or @ and a script"
        ) from error


def lua51() -> Any:
    """Return the module that runs Lua 5.1; `Misconfigured` where it is not installed."""
    try:
        return import_module("lupa.lua51")
    except ImportError as error:
        raise Misconfigured("scripts need Lua: pip install 'kt-cache[lua]'") from error
