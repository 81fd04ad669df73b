"""Scripts: how they are found, bounded, locked and called regularly."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest

from kt_core.errors import Misconfigured
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_binary import encode_request
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving

SCRIPT = """@
function loop(k, v) while true do end end
function stubborn(k, v) while true do pcall(function() while true do end end) end end
function sleepy(k, v) return _sleep(1000) end
function global(k, v) count = (count or 0) + 1 return count end
function slow(k, v)
  local n = tonumber(_get(k) or "0")
  _sleep(0.005)
  _put(k, n + 1)
  return n + 1
end
function twice(k, v) _lock(k) return _lock(k) end
function locked(k, v) _lock(k) local n = tonumber(_get(k) or "0") _sleep(0.005) _put(k, n + 1) _unlock(k) return n end
function tick(k, v) return _addint("ticks", 1) end
function _begin() _put("begun", "yes") end
function change(k, v) return _eval("function added(k, v) return 'added' end") end
function broken(k, v) return _eval("this is no Lua") end
function drop(k, v) local n = 0 _foreach(function(a, b) _out(a) n = n + 1 return true end) return n end
function escape(k, v) return type(python) .. tostring(pcall(function() return _put.__globals__ end)) end
"""


def call(asker: Asker, name: str, key: bytes = b"", value: bytes = b"", options: int = 0) -> bytes | None:
    found: bytes | None = asker.ask_for(tt.Ext(name.encode(), options, key, value))
    return found


def together(port: int, name: str, options: int) -> None:
    """Call a function many times, several at once."""

    def run() -> None:
        with Asker(("127.0.0.1", port)) as asker:
            for _ in range(10):
                assert call(asker, name, b"n", options=options) is not None

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("name", ["loop", "stubborn", "sleepy", "twice"])
def test_a_call_that_never_ends_fails_and_costs_nobody_else_anything(name: str) -> None:
    with (
        serving("*", script=SCRIPT, timeout=0.3, threads=2) as server,
        connect(server) as asker,
        connect(server) as other,
    ):
        asker.send(encode_request(tt.Ext(name.encode(), 0, b"", b"")))
        assert other.ask_for(tt.Put(b"k", b"v"))
        assert call(other, "global") == b"1"
        assert asker.read(1) == b"\1"


def test_a_server_ends_amid_a_call() -> None:
    with serving("*", script=SCRIPT, timeout=0.5) as server, connect(server) as asker:
        for name in (b"loop", b"sleepy"):
            asker.send(encode_request(tt.Ext(name, 0, b"", b"")))


@pytest.mark.parametrize(("name", "options"), [("slow", 1), ("slow", 2), ("slow", 3), ("locked", 0)])
def test_calls_that_want_the_same_lock_wait_for_each_other(name: str, options: int) -> None:
    with serving("*", script=SCRIPT) as server, connect(server) as asker:
        together(server.port, name, options)
        assert asker.ask_for(tt.Get(b"n")) == b"40"


def test_every_thread_has_its_own_globals() -> None:
    with serving("*", script=SCRIPT, threads=1) as server, connect(server) as asker:
        assert [call(asker, "global") for _ in range(3)] == [b"1", b"2", b"3"]
    with serving("*", script=SCRIPT, threads=4) as server, connect(server) as asker:
        together(server.port, "global", 0)
        last = call(asker, "global")
        assert last is not None
        assert int(last) <= 41


def test_what_is_evaluated_every_thread_knows(caplog: pytest.LogCaptureFixture) -> None:
    with serving("*", script=SCRIPT, threads=3) as server, connect(server) as asker:
        assert call(asker, "added") is None
        assert call(asker, "change") == b"true"
        assert {call(asker, "added") for _ in range(10)} == {b"added"}
        with caplog.at_level(logging.CRITICAL, "kt_core.server"):
            assert call(asker, "broken") == b"true"
            together(server.port, "global", 0)


def test_functions_are_called_at_the_start_and_regularly() -> None:
    with serving("*", script=SCRIPT, periodic=(("tick", 0.01), ("none", 0.01))) as server, connect(server) as asker:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and (asker.ask_for(tt.Get(b"ticks")) or b"\0") < b"\3":
            time.sleep(0.01)
        assert asker.ask_for(tt.Get(b"ticks")) >= b"\3"
        assert asker.ask_for(tt.Get(b"begun")) == b"yes"


def test_records_can_be_removed_while_all_are_visited() -> None:
    with serving("+", script=SCRIPT) as server, connect(server) as asker:
        asker.call("putlist", *[b"%04d" % number for number in range(1000)])
        assert call(asker, "drop") == b"501"  # and the one that says that it has begun
        assert asker.ask_for(tt.RNum()) == 0


def test_a_script_gets_at_nothing_of_pythons() -> None:
    with serving("*", script=SCRIPT) as server, connect(server) as asker:
        assert call(asker, "escape") == b"nilfalse"


@pytest.mark.parametrize("script", ["@this is no Lua", "@error('at the start')"])
def test_of_a_script_that_is_none_every_call_fails(script: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "kt_core.server")
    with serving("*", script=script) as server, connect(server) as asker:
        assert call(asker, "f") is None
        assert asker.ask_for(tt.Put(b"k", b"v"))
    assert "the script's function" in caplog.text


def test_a_script_that_is_not_there_is_no_script(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="write the path"), serving("*", script=f"{tmp_path}/none.lua"):
        pass


def test_without_a_script_every_call_fails() -> None:
    with serving("*") as server, connect(server) as asker:
        assert call(asker, "f") is None
