"""Procedures in the event loop, in the turn's transaction and in threads: what a call does, it does once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from kt_core.errors import Misconfigured
from kt_core.replication import Changes
from kt_core.server import Server
from kt_core.wire.kt_binary import GetBulk, GetReply, ReplyDecoder, ScriptReply, encode_reply, encode_request
from kt_core.wire.kt_log import Set
from tests.server.exchange import connect, rpc
from tests.server.running import in_loop, serving
from tests.server.scripting.playing import FAILED, play, request

SCRIPT = """@
kt = __kyototycoon__
db, other = kt.dbs[1], kt.dbs[2]
function get(i, o) o.value = db:get(i.key) end
function incr(i, o) o.num = db:increment(i.key, 1) end
function incr_of(i, o) o.num = kt.dbs[tonumber(i.db)]:increment(i.key, 1) end
function both(i, o) db:increment("both", 1) other:increment("both", 1) o.thid = kt.thid end
function late(i, o) o.num = db:increment("late", 1) for n = 1, 1e7 do end o.thid = kt.thid end
function rest(i, o) o.num = db:increment("rest", 1) kt.log("error", "resting") kt.sleep(0.01) o.thid = kt.thid end
function told(i, o) db:increment(i.key, 1) kt.log("error", "counting") error("not so") end
function pair(i, o) o[i.one], o[i.other] = "first", "second" end
function same(i, o) o[1], o["1"] = "number", "text" end
function walk(i, o)
  local n = 0
  db:iterate(function(k, v) n = n + 1 end, false)
  o.n, o.thid = n, kt.thid
end
function large(i, o)
  local t = {}
  for n = 1, 3000 do t["k" .. n] = ("v"):rep(1000) end
  o.n = db:set_bulk(t)
end
function many(i, o) for n = 1, 3000 do db:set("m" .. n, ("v"):rep(1000)) end o.n = db:count() end
function bulk_visit(i, o)
  local keys = {}
  for n = 1, 1500 do keys[n] = "b" .. n end
  o.done = db:accept_bulk(keys, function(k, v) return ("x"):rep(1000) end)
  o.n = db:count()
end
function nested(i, o)
  o.done = db:accept("outer", function(k, v) db:set("inner", "x") return other:get("none") or "made" end)
  o.inner, o.outer = db:get("inner"), db:get("outer")
end
function crossed(i, o)
  db:accept("outer", function(k, v) o.set = other:set("x", "y") o.counted = other:count() end)
  o.problem = other:error():message()
end
function moved(i, o) db:transaction(function() db:set("a", "1") db:remove("b") return i.commit == "yes" end) end
function find(i, o) o.n = #db:match_regex("^k") o.m = #db:match_similar("k1", 1) end
function fill(i, o)
  local n = 0
  while db:set("f" .. n, ("v"):rep(100000)) and n < 1000 do n = n + 1 end
  o.full, o.code = n < 1000, db:error():code()
end
function put(i, o) o.done = db:set(i.key, ("v"):rep(tonumber(i.size))) end
function thid(i, o) o.thid = kt.thid end
""".replace("incr_of", "incrof").replace("bulk_visit", "bulkvisit")

DONE = encode_reply(ScriptReply([(b"done", b"true")]))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving("%", "*", script=SCRIPT) as server:
        yield server


def value(server: Server, key: bytes) -> bytes | None:
    return server.databases[0].database.get(key)


def test_what_only_reads_and_what_writes(server: Server) -> None:
    for number in range(1, 4):
        assert play(server, "incr", key="n") == {"num": str(number)}
        assert play(server, "get", key="none") == {}


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("b", "a"), ("b", "aa"), ("", "a"), ("a", "")])
def test_what_a_procedure_gives_is_told_in_order(server: Server, one: str, other: str) -> None:
    given = sorted([(one.encode(), b"first"), (other.encode(), b"second")])
    with connect(server) as wire:
        assert wire.ask(request("pair", one=one, other=other)) == encode_reply(ScriptReply(given))


def test_a_number_and_the_same_as_text_are_one_name(server: Server) -> None:
    assert play(server, "same")["1"] in ("number", "text")
    with connect(server) as wire:
        assert wire.ask(request("same"))[:5] == b"\xb4\0\0\0\1"


def test_what_is_written_is_seen_by_all_before_it_is_told(server: Server) -> None:
    with connect(server) as wire, connect(server) as another:
        for number in range(1, 20):
            wire.ask(request("incr", key="n"))
            found = ReplyDecoder(GetReply).feed(another.ask(encode_request(GetBulk([(0, b"n")]))))
            assert isinstance(found, GetReply)
            assert found.records[0][2] == number.to_bytes(8, "big")


def test_calls_that_come_together_are_all_made(server: Server) -> None:
    with connect(server) as wire:
        wire.send(request("incr", key="n") * 300)
        replies = b"".join(encode_reply(ScriptReply([(b"num", b"%d" % number)])) for number in range(1, 301))
        assert wire.read(len(replies)) == replies

    def call() -> None:
        with connect(server) as wire:
            for _ in range(50):
                play(wire, "incr", key="n")

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert play(server, "incr", key="n") == {"num": "701"}


@pytest.mark.parametrize("size", [1, 15_000, 60_000])
def test_calls_of_one_turn_may_add_much_together(server: Server, size: int) -> None:
    wires = [connect(server) for _ in range(30)]
    play(wires[0], "put", key="warm", size=1)

    def ask() -> None:  # in the event loop: all of them are there before its next turn
        for number, wire in enumerate(wires):
            wire.send(request("put", key=number, size=size))

    in_loop(server, ask)
    for wire in wires:
        assert wire.read(len(DONE)) == DONE
        wire.close()
    assert value(server, b"29") == b"v" * size
    assert server.databases[0].database.count() == 31


def test_one_call_that_fails_fails_alone(server: Server) -> None:
    wires = [connect(server) for _ in range(30)]
    play(wires[0], "incr", key="n")

    def ask() -> None:
        for number, wire in enumerate(wires):
            wire.send(request("both" if number == 7 else "incr", key="n"))

    in_loop(server, ask)
    assert all(wire.read(1) == b"\xb4" for wire in wires)
    assert value(server, b"n") == (30).to_bytes(8, "big")
    assert value(server, b"both") == (1).to_bytes(8, "big")
    for wire in wires:
        wire.close()


def test_what_is_made_again_is_logged_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    wires = [connect(server) for _ in range(10)]
    play(wires[0], "told", key="n")
    caplog.clear()

    def ask() -> None:
        for number, wire in enumerate(wires):
            wire.send(request("both" if number == 7 else "told", key="n"))

    in_loop(server, ask)
    assert all(wire.read(1) == b"\xbf" for wire in wires if wire is not wires[7])
    assert (caplog.text.count("counting"), caplog.text.count("not so")) == (9, 9)
    for wire in wires:
        wire.close()


@pytest.mark.parametrize("name", ["late", "rest"])
def test_what_is_made_again_in_a_thread_has_been_done_once(
    server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 4):
        assert play(server, name) == {"num": str(number), "thid": "1"}
    assert caplog.text.count("resting") == (3 if name == "rest" else 0)


def test_a_procedure_may_write_to_one_database_or_the_other(server: Server) -> None:
    for number in range(1, 4):
        assert play(server, "incrof", key="n", db=1) == {"num": str(number)}
        assert play(server, "incrof", key="n", db=2) == {"num": str(number)}


def test_or_to_both(server: Server) -> None:
    for number in range(1, 4):
        assert play(server, "both") == {"thid": "1"}
        assert value(server, b"both") == number.to_bytes(8, "big")
        assert server.databases[1].database.get(b"both") == number.to_bytes(8, "big")


def test_a_long_walk_takes_its_time_in_a_thread(server: Server) -> None:
    database = server.databases[0].database
    database.set_bulk([(b"%d" % number, b"v", 1 << 62) for number in range(10)])
    assert play(server, "walk") == {"n": "10", "thid": "0"}
    database.set_bulk([(b"%d" % number, b"v", 1 << 62) for number in range(5000)])
    assert play(server, "walk") == {"n": "5000", "thid": "1"}


@pytest.mark.parametrize(("name", "records"), [("large", 3000), ("many", 3000), ("bulkvisit", 1500)])
def test_there_is_room_for_what_a_call_adds(server: Server, name: str, records: int) -> None:
    for _ in range(2):
        assert play(server, name)["n"] == str(records)
    assert server.databases[0].database.count() == records


def test_a_visitor_is_inside_the_transaction(server: Server) -> None:
    for _ in range(3):
        assert play(server, "nested") == {"done": "true", "inner": "x", "outer": "made"}


def test_a_visitor_has_its_own_database_only(server: Server) -> None:
    for _ in range(3):
        said = play(server, "crossed")
        assert said == {
            "set": "false",
            "counted": "-1",
            "problem": "a visitor, or a transaction, has its own database only",
        }
    assert server.databases[1].database.count() == 0


def test_a_transaction_is_made_as_a_whole_or_not_at_all(server: Server) -> None:
    database = server.databases[0].database
    database.set(b"b", b"2")
    play(server, "moved", commit="no")
    assert (database.get(b"a"), database.get(b"b")) == (None, b"2")
    play(server, "moved", commit="yes")
    assert (database.get(b"a"), database.get(b"b")) == (b"1", None)


def test_searches_are_made_elsewhere(server: Server) -> None:
    server.databases[0].database.set_bulk([(b"k%d" % number, b"v", 1 << 62) for number in range(20)])
    assert play(server, "find") == {"n": "20", "m": "20"}


def test_a_full_database_is_told(tmp_path: Path) -> None:
    with serving(f"{tmp_path}/x.kct#max_size=4m", script=SCRIPT) as server:
        for _ in range(2):
            assert play(server, "fill") == {"full": "true", "code": "9"}


def test_what_a_durable_database_is_told_survives(tmp_path: Path) -> None:
    for number in (1, 2):
        with serving(f"{tmp_path}/x.kct", script=SCRIPT) as server:
            with connect(server) as wire:
                for _ in range(20):
                    play(wire, "incr", key="n")
            assert play(server, "late")["num"] == str(number)
            assert value(server, b"n") == (20 * number).to_bytes(8, "big")


def test_what_a_script_changes_is_in_the_update_log(tmp_path: Path) -> None:
    with serving("%", "*", script=SCRIPT, log_directory=tmp_path, sid=1) as server:
        for name in ("incr", "incr", "late", "moved"):
            play(server, name, key="n", commit="yes")
        with Changes("127.0.0.1", server.port) as changes:
            told = list(islice((each.change.key for each in changes if isinstance(each.change, Set)), 4))
    assert told == [b"n", b"n", b"late", b"a"]


# -- the script itself -----------------------------------------------------------------------------------------------


def write(path: Path, answer: str) -> None:
    path.write_text(
        f"function who(i, o) o.a = '{answer}' end\nfunction slow(i, o) __kyototycoon__.sleep(0) o.a = '{answer}' end\n"
    )


def test_a_script_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "script.lua"
    write(path, "one")
    with serving(script=str(path)) as server, connect(server) as wire:
        assert (play(wire, "who"), play(wire, "slow")) == ({"a": "one"}, {"a": "one"})
        write(path, "two")
        assert play(wire, "who") == {"a": "one"}
        in_loop(server, server.reload)
        assert (play(wire, "who"), play(wire, "slow")) == ({"a": "two"}, {"a": "two"})


@pytest.mark.parametrize("broken", ["this is no Lua", "error('at once')", "while true do end", None])
def test_what_cannot_be_read_anew_stays_as_it_was(
    tmp_path: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "script.lua"
    write(path, "one")
    with serving(script=str(path), script_patience=0.2) as server:
        path.write_text(broken) if broken is not None else path.unlink()
        in_loop(server, server.reload)
        assert (play(server, "who"), play(server, "slow")) == ({"a": "one"}, {"a": "one"})
    assert "script.lua" in caplog.text


@pytest.mark.parametrize("broken", ["this is no Lua", "error('at once')"])
def test_a_server_with_a_broken_script_serves_all_else(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving(script=f"@{broken}") as server, connect(server) as wire:
        assert play(wire, "who") == FAILED
        assert wire.call("play_script", name="who").status == 501
        assert wire.call("set", key="k", value="v").status == 200
    assert "[SCRIPT]" in caplog.text


def test_a_script_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(Misconfigured, match=r"-scr .*none.lua: .* write the path of a Lua script"),
        serving(script=str(tmp_path / "none.lua")),
    ):
        pass


def test_a_server_without_a_script_says_so() -> None:
    with serving() as server, connect(server) as wire:
        assert play(wire, "who") == FAILED
        said = wire.call("play_script", name="who")
        assert (said.status, said.error) == (501, "the scripting extention is disabled")


def test_calls_are_counted(server: Server) -> None:
    with connect(server) as wire:
        play(wire, "thid")
        wire.ask(rpc("play_script", name="thid"))
        wire.ask(rpc("play_script", name="no name"))
        assert wire.call("report").values[b"cnt_script"] == b"2"


def test_nobody_may_hear_of_a_call(server: Server) -> None:
    with connect(server) as wire:
        silent = bytearray(request("incr", key="n"))
        silent[4] |= 1
        wire.send(bytes(silent))
        assert play(wire, "incr", key="n") == {"num": "2"}
