"""A server that lets nobody change anything, beside the original that does so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core.wire import http
from kt_core.wire.kt_binary import NEVER_XT, GetBulk, RemoveBulk, SetBulk, encode_request
from tests.fix_servers import KINDS, running
from tests.server.exchange import Wire, connect, neutral
from tests.server.memcaching import connect as connect_to_memcached
from tests.server.memcaching import hold, serving_memcached
from tests.server.running import serving

DENIED = (500, {b"ERROR": b"DB: 4: no permission: permission denied"})
FOUND = (200, {b"value": b"v"})
CALLS = [
    ("set", {"key": "a", "value": "b"}, DENIED),
    ("add", {"key": "k", "value": "b"}, DENIED),
    ("replace", {"key": "none", "value": "b"}, DENIED),
    ("append", {"key": "k", "value": "b"}, DENIED),
    ("increment", {"key": "k", "num": 0}, DENIED),
    ("increment", {"key": "none", "num": 1, "orig": "try"}, DENIED),
    ("increment_double", {"key": "n", "num": 0}, DENIED),
    ("cas", {"key": "k", "oval": "x", "nval": "y"}, DENIED),
    ("remove", {"key": "k"}, DENIED),
    ("remove", {"key": "none"}, DENIED),
    ("seize", {"key": "k"}, DENIED),
    ("set_bulk", {"_a": "1"}, DENIED),
    ("set_bulk", {"_a": "1", "atomic": ""}, DENIED),
    ("set_bulk", {}, (200, {b"num": b"0"})),
    ("remove_bulk", {"_none": ""}, DENIED),
    ("remove_bulk", {"_k": "", "atomic": ""}, DENIED),
    ("clear", {}, DENIED),
    ("vacuum", {}, DENIED),
    ("synchronize", {"hard": ""}, (200, {})),
    ("cur_jump", {"CUR": 1}, (200, {})),
    ("cur_set_value", {"CUR": 1, "value": "x"}, DENIED),
    ("cur_remove", {"CUR": 1}, DENIED),
    ("cur_seize", {"CUR": 1}, DENIED),
    ("get", {"key": "k"}, FOUND),
    ("match_prefix", {"prefix": ""}, (200, {b"_k": b"0", b"num": b"1"})),
]


@pytest.fixture(scope="module", params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Where a server listens that may only be read from, one of each kind, with one record."""
    database: Path = tmp_path_factory.mktemp("read-only") / "x.kch"
    with running(request.param, databases=[str(database)]) as address, Wire((address.host, address.port)) as wire:
        wire.call("set", key="k", value="v")
    with running(request.param, "-ord", databases=[str(database)]) as address:
        yield address.host, address.port


class TestEveryServer:
    def test_calls(self, address: tuple[str, int]) -> None:
        with Wire(address) as wire:
            answers = [(name, parameters, tuple(wire.call(name, **parameters))) for name, parameters, _ in CALLS]
        assert answers == CALLS

    @pytest.mark.parametrize(("method", "key"), [(b"PUT", b"/k"), (b"DELETE", b"/k"), (b"DELETE", b"/none")])
    def test_rest(self, address: tuple[str, int], method: bytes, key: bytes) -> None:
        with Wire(address) as wire:
            reply = neutral(wire.ask(http.encode_request(http.Request(method, key, {}, b""))))
            assert reply == (
                b"HTTP/1.1 500 Internal Server Error\r\nServer: ...\r\nDate: ...\r\nContent-Length: 0\r\n"
                b"X-Kt-Error: DB: 4: no permission: permission denied\r\n\r\n"
            )
            assert wire.ask(b"GET /k HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\nv")

    @pytest.mark.parametrize(
        "request_", [SetBulk([(0, b"k", b"w", NEVER_XT)]), RemoveBulk([(0, b"k")]), RemoveBulk([(0, b"none")])]
    )
    def test_binary(self, address: tuple[str, int], request_: SetBulk | RemoveBulk) -> None:
        with Wire(address) as wire:
            assert wire.ask(encode_request(GetBulk([(0, b"k")]))).endswith(b"kv")
            assert wire.ask(encode_request(SetBulk([(7, b"k", b"w", 1)]))) == b"\xb8\0\0\0\0"
            assert wire.ask(encode_request(request_)) == b"\xbf"
            assert wire.rest() == b""


def test_many_at_once_are_each_refused() -> None:
    with serving(":", read_only=True) as server:
        wires = [connect(server) for _ in range(20)]
        request = encode_request(SetBulk([(0, b"k", b"v", NEVER_XT)]))
        for wire in wires:
            wire.send(request)
        assert [wire.rest() for wire in wires] == [b"\xbf"] * len(wires)
        for wire in wires:
            wire.close()


def test_clients_of_memcached() -> None:
    with serving_memcached(":") as server, connect_to_memcached(server) as client:
        server.databases[0].read_only = True
        failures = {"set k 0 0 1\r\nv": "set", "delete k": "remove", "incr k 1": "accept", "flush_all": "clear"}
        for line, name in failures.items():
            hold(client, [(f"{line}\r\n".encode(), f"SERVER_ERROR DB::{name} failed\r\n".encode())])


SCRIPT = """
function look(inmap, outmap)
   outmap.found = __kyototycoon__.db:get("k")
   return __kyototycoon__.RVSUCCESS
end
function change(inmap, outmap)
   local db = __kyototycoon__.db
   outmap.set = tostring(db:set("k", "w")) .. ": " .. tostring(db:error())
   outmap.accept = tostring(db:accept("k", function(key, value) return "w" end)) .. ": " .. tostring(db:error())
   outmap.increment = tostring(db:increment("n", 1)) .. ": " .. tostring(db:error())
   return __kyototycoon__.RVSUCCESS
end
"""


def test_scripts_may_look(tmp_path: Path) -> None:
    database = f"{tmp_path}/x.kct"
    with serving(database) as server, connect(server) as wire:
        wire.call("set", key="k", value="v")
    with serving(database, read_only=True, script=f"@{SCRIPT}") as server, connect(server) as wire:
        assert wire.call("play_script", name="change").values == {
            b"_set": b"false: no permission: permission denied",
            b"_accept": b"false: no permission: permission denied",
            b"_increment": b"nil: no permission: permission denied",
        }
        assert wire.call("play_script", name="look").values == {b"_found": b"v"}
