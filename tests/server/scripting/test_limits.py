"""Scripts that go on for ever, want all memory, or try to get out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kt_core.server import Server
from tests.server.exchange import connect
from tests.server.running import serving
from tests.server.scripting.playing import FAILED, play, request

SCRIPT = """@
kt = __kyototycoon__
db = kt.db
function echo(i, o) for k, v in pairs(i) do o[k] = v end end
function loop() while true do end end
function stubborn() while true do pcall(function() while true do end end) end end
function handler() while true do xpcall(function() while true do end end, function() while true do end end) end end
function coroutines() while true do coroutine.wrap(function() while true do end end)() end end
function resumed() while true do coroutine.resume(coroutine.create(function() while true do end end)) end end
function busy() while true do pcall(db.get, db, "k") end end
function writer() while true do pcall(db.set, db, "k", "v") end end
function visitor() db:accept("k", function() while true do end end) end
function iterating() db:set("k", "v") db:iterate(function() while true do end end) end
function transaction() db:transaction(function() db:set("gone", "v") while true do end end) end
function sorting() table.sort({1, 2, 3}, function() while true do end end) end
function replacing() ("x"):gsub("x", function() while true do end end) end
function loading() load(function() return " " end) end
function concatenating() return setmetatable({}, {__concat = function() while true do end end}) .. "x" end
function recursive(i, o) local function f() return 1 + f() end f() end
function allocate() local t = {} while true do t[#t + 1] = ("x"):rep(10000) .. #t end end
function doubling() local s = "x" while true do s = s .. s end end
function caught() pcall(allocate) error("no more") end
function hoard() hoarded = hoarded or {} while true do hoarded[#hoarded + 1] = ("x"):rep(10000) .. #hoarded end end
function output(i, o) for n = 1, 1e9 do o["k" .. n] = ("v"):rep(1000) .. n end end
function nap() kt.sleep(1e9) end
function held() db:accept("k", function() kt.sleep(1e9) end) db:transaction(function() kt.sleep(1e9) end) end
function thrown() error(setmetatable({}, {__tostring = function() error("again") end})) end
function strung() error(setmetatable({}, {__tostring = function() while true do end end})) end
function deep() local function again() db:accept("k", again) db:set("k", "v") end again() end
function deeper() local function again() db:transaction(again) end again() end
function nonsense(i, o) o[{}] = {} o.f = print o[0/0 == 0] = coroutine.create(function() end) return {} end
function metatables(i, o) setmetatable(o, {__index = function() while true do end end, __pairs = error}) o.a = 1 end
function environment(i, o)
  for _, name in pairs({"io", "debug", "package", "require", "module", "dofile", "loadfile", "newproxy", "python"}) do
    o[name] = type(_G[name])
  end
  for name in pairs(os) do o["os." .. name] = "there" end
  o["string.dump"] = type(string.dump)
end
function bytecode(i, o)
  local code = "\\27Lua"
  o.string = tostring(loadstring(code))
  local pieces = {"\\27", "Lua"}
  o.pieces = tostring(load(function() return table.remove(pieces, 1) end))
  o.plain = loadstring("return 5")()
  o.chunks = load(function() local c = code code = nil return c and "return 6" end)()
end
function seek(i, o)
  local going, problem = pcall(kt.db.new_ptr)
  for _, f in pairs({db.get, kt.time, kt.regex, db.cursor, kt.Visitor.NOP}) do
    o[tostring(type(f)) .. tostring(pcall(function() return f.__class__ end))] = 1
  end
  local cursor = db:cursor()
  for name, value in pairs(cursor) do if type(value) == "userdata" then o[name] = "a cursor of Python's" end end
end
function globals(i, o) local seen = {} for k in pairs(_G) do o[k] = 1 end end
"""

ENDLESS = [
    *("loop", "stubborn", "handler", "coroutines", "resumed", "busy", "writer", "visitor", "iterating", "transaction"),
    *("sorting", "replacing", "loading", "concatenating", "output"),
]
GREEDY = ["allocate", "doubling", "caught", "hoard", "recursive", "output"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("%", "*", script=SCRIPT, script_patience=0.3, script_memory=16 << 20, threads=2) as server:
        yield server


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_is_ended_and_holds_nobody_up(server: Server, name: str) -> None:
    with connect(server) as stuck, connect(server) as other:
        for _ in range(2):
            stuck.send(request(name))
            for number in range(20):
                assert other.call("set", key="n", value=number).status == 200
                assert play(other, "echo", n=number) == {"n": str(number)}
            assert stuck.reply(request(name)) == b"\xbf"
            assert play(stuck, "echo", a=1) == {"a": "1"}
    assert server.databases[0].database.get(b"gone") is None


@pytest.mark.parametrize("name", GREEDY)
def test_what_wants_all_memory_fails_alone(server: Server, name: str) -> None:
    with connect(server) as wire:
        for _ in range(2):
            assert play(wire, name) == FAILED
            assert play(wire, "echo", a="x" * 100_000) == {"a": "x" * 100_000}


def test_who_holds_a_database_may_not_sleep(server: Server) -> None:
    assert play(server, "held") == FAILED


@pytest.mark.parametrize("name", ["thrown", "strung"])
def test_whatever_is_raised_is_a_failure(server: Server, name: str) -> None:
    assert play(server, name) == FAILED
    with connect(server) as wire:
        assert wire.call("play_script", name=name).status == 500


@pytest.mark.parametrize("name", ["deep", "deeper"])
def test_visitors_within_visitors_end_somewhere(server: Server, name: str) -> None:
    for _ in range(2):
        assert play(server, name) in ({}, FAILED)
        assert play(server, "echo", a=1) == {"a": "1"}


@pytest.mark.parametrize("size", [499, 500, 501, 1000, 20_000])
def test_a_call_may_have_many_arguments_and_results(server: Server, size: int) -> None:
    given = {f"k{number}": f"v{number}" for number in range(size)}
    assert play(server, "echo", **given) == given


def test_but_not_more_than_there_is_memory_for(server: Server) -> None:
    assert play(server, "echo", a="x" * (5 << 20)) == FAILED
    assert play(server, "echo", **{f"k{number}": "x" * 1000 for number in range(5000)}) == FAILED
    assert play(server, "echo", a=1) == {"a": "1"}


def test_nonsense_is_left_out(server: Server) -> None:
    assert play(server, "nonsense") == {}
    assert play(server, "metatables") == {"a": "1"}


def test_a_call_that_sleeps_ends_with_its_client(server: Server) -> None:
    for _ in range(4):  # there are two threads
        with connect(server) as wire:
            wire.send(request("nap"))
            assert play(server, "echo", a=1) == {"a": "1"}
    assert play(server, "loop") == FAILED  # which needs a thread


def test_a_server_ends_while_calls_sleep() -> None:
    with serving(script=SCRIPT, threads=2) as server:
        wires = [connect(server) for _ in range(4)]
        for wire in wires:
            wire.send(request("nap"))
        assert play(server, "echo", a=1) == {"a": "1"}
        for wire in wires:
            wire.close()


# -- getting out -----------------------------------------------------------------------------------------------------


def test_the_library_has_nothing_that_reaches_beyond_the_interpreter(server: Server) -> None:
    found = play(server, "environment")
    assert {name for name, kind in found.items() if kind != "nil"} == {"os.time", "os.clock", "os.date", "os.difftime"}


def test_unless_it_is_opened() -> None:
    with serving(script=SCRIPT, script_opened=True) as server:
        found = play(server, "environment")
    assert {name for name, kind in found.items() if kind == "nil"} == {"python"}


def test_compiled_code_is_not_loaded(server: Server) -> None:
    assert play(server, "bytecode") == {"string": "nil", "pieces": "nil", "plain": "5", "chunks": "6"}


def test_nothing_of_python_is_seen(server: Server) -> None:
    assert play(server, "seek") == {"functionfalse": "1", "userdatafalse": "1"}


def test_the_environment_adds_one_name(server: Server) -> None:
    ours = {"_G", "__kyototycoon__", "kt", "db"}
    lua = "_VERSION assert collectgarbage coroutine error gcinfo getfenv getmetatable ipairs load loadstring math next "
    lua += (
        "os pairs pcall print rawequal rawget rawset select setfenv setmetatable string table tonumber tostring type "
    )
    lua += "unpack xpcall"
    procedures = {name for name in play(server, "globals") if f"function {name}(" in SCRIPT}
    assert play(server, "globals").keys() - procedures == ours | set(lua.split())
