"""The interpreter that both servers run scripts in."""

from __future__ import annotations

import pytest

from kt_core.errors import InvalidInput
from kt_core.server.interpreter import Interpreter, read_source


class Stop:
    """Says after some looks that the script is to be stopped."""

    def __init__(self, looks: int = 1 << 30) -> None:
        self.looks = looks

    def __call__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def lua(stop: Stop) -> Interpreter:
    return Interpreter(stop)


def test_a_text_is_run_with_arguments_and_returns_what_it_returns(lua: Interpreter) -> None:
    assert lua.run(b"local a, b = ... return a + b, 'x'", 1, 2) == (3, b"x")


def test_what_is_no_lua_is_refused(lua: Interpreter) -> None:
    with pytest.raises(InvalidInput, match="script:1: '=' expected near 'is'"):
        lua.run(b"this is no Lua")


def test_what_is_given_is_a_function_or_a_value(lua: Interpreter) -> None:
    lua.give({b"add": lambda a, b: a + b, b"number": 5})
    assert lua.run(b"return add(number, 1), type(add)") == (6, b"function")


@pytest.mark.parametrize(
    "body",
    [
        b"while true do end",
        b"while true do pcall(function() while true do end end) end",
        b"while true do xpcall(function() while true do end end, function() while true do end end) end",
        b"coroutine.wrap(function() while true do end end)()",
        b"while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        b"coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()",
    ],
)
def test_any_loop_is_stopped_and_others_run_after_it(lua: Interpreter, stop: Stop, body: bytes) -> None:
    stop.looks = 5
    with pytest.raises(Exception, match="the script takes too long"):
        lua.run(body)
    stop.looks = 1 << 30
    lua.watch()
    assert lua.run(b"local n = 0 for i = 1, 100000 do n = n + 1 end return n") == 100000


def test_coroutines_are_otherwise_what_they_are(lua: Interpreter) -> None:
    lua.run(b"""
        function numbers(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, i * i) end end) end
        function all(n) local found = {} for i, square in numbers(n) do found[i] = square end return unpack(found) end
        function failing() return coroutine.wrap(function() error("inside", 0) end)() end
    """)
    assert lua.run(b"return all(4)") == (1, 4, 9, 16)
    assert lua.run(b"return pcall(failing)")[0] is False
    assert lua.run(b"local co = coroutine.create(function(a) return a end) return coroutine.resume(co, 5)") == (True, 5)


def test_errors_are_handled(lua: Interpreter) -> None:
    lua.run(b"function double(text) return text .. text end function fail() error('x', 0) end")
    assert lua.run(b"return xpcall(fail, double)") == (False, b"xx")
    assert lua.run(b"return xpcall(function() return 1, 2 end, double)") == (True, 1, 2)


def test_nothing_of_python_is_there(lua: Interpreter) -> None:
    def fail() -> None:
        raise ValueError("x")

    lua.give({b"fail": fail})
    assert lua.run(b"return python, package.loaded.python") == (None, None)
    assert (
        lua.run(b"local _, problem = pcall(fail) return pcall(function() return problem.__traceback__ end)")[0] is False
    )


@pytest.mark.parametrize(
    "body",
    [
        b"local t = {} while true do t[#t + 1] = {} end",
        b"local t = {} while true do t[#t + 1] = (' '):rep(5000) .. #t end",
        b"local s = 'x' while true do s = s .. s end",
        b"return ('x'):rep(1e9)",
    ],
)
def test_memory_has_a_limit(stop: Stop, body: bytes) -> None:
    lua = Interpreter(stop, memory=8 << 20)
    with pytest.raises(Exception):  # noqa: B017 - of several kinds
        lua.run(body)
    assert not lua.is_full()
    assert lua.run(b"return 5") == 5


def test_what_is_kept_fills_it(stop: Stop) -> None:
    lua = Interpreter(stop, memory=8 << 20)
    with pytest.raises(Exception):  # noqa: B017 - of several kinds
        lua.run(b"kept = {} while true do kept[#kept + 1] = {} end")
    assert lua.is_full()


def test_a_closed_one_has_no_way_to_files(lua: Interpreter) -> None:
    lua.close()
    assert lua.run(b"return io, debug, require, loadfile, os.execute, string.dump") == (None,) * 6
    assert lua.run(b"return type(os.time()), type(os.date())") == (b"number", b"string")


def test_a_source_is_a_text_or_a_path() -> None:
    assert read_source("@return 5", "-x") == b"return 5"
