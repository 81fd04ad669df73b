"""Ways out of a script's interpreter that are closed, beside those that its own tests know."""

from __future__ import annotations

import pytest

from kt_core.server.interpreter import Interpreter


@pytest.fixture
def lua() -> Interpreter:
    interpreter = Interpreter(lambda: False, memory=8 << 20)
    interpreter.give({b"ours": lambda *values: values[0] if values else None})
    interpreter.close()
    return interpreter


@pytest.mark.parametrize(
    "body",
    [
        b"return getmetatable('').__index.dump",
        b"return pcall(string.dump, print)",
        b"return loadstring('\\27Lua')",
        b"local piece = '\\27Lua' return load(function() local one = piece piece = nil return one end)",
        b"return pcall(function() return ours.__globals__ end)",
        b"return getfenv(ours).python",
        b"return getfenv(0).debug or getfenv(print).io or getfenv(pcall).package",
        b"return getmetatable(ours)",
        b"return pcall(setmetatable, ours, {})",
        b"return rawget(_G, 'newproxy') or rawget(_G, 'require') or rawget(_G, 'python')",
        b"return os.execute or os.getenv or os.remove or os.rename or os.tmpname or os.exit or os.setlocale",
    ],
)
def test_there_is_no_way_out(lua: Interpreter, body: bytes) -> None:
    found = lua.run(body)
    assert (found[0] if isinstance(found, tuple) else found) in (None, False)


@pytest.mark.parametrize(
    "body",
    [
        b"return ('x'):rep(1e8)",
        b"return ('x'):rep(1e6):gsub('.', ('%0'):rep(100))",
        b"return table.concat({('x'):rep(3e6), ('x'):rep(3e6), ('x'):rep(3e6)})",
        b"return string.format('%99999999s', 'x')",
    ],
)
def test_one_call_takes_no_more_memory_than_there_is(lua: Interpreter, body: bytes) -> None:
    with pytest.raises(Exception, match=r"(?i)memory|too long|^$"):
        lua.run(body)
    assert lua.run(b"return 5") == 5


def test_a_closed_librarys_functions_are_not_kept_in_strings(lua: Interpreter) -> None:
    assert lua.run(b"return getmetatable('').__index == string") is True
