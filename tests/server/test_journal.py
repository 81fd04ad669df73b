"""What the update log tells: of every way to change a database, what became of the records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kt_core.errors import Misconfigured
from kt_core.server import Server
from kt_core.server.memcached import MemcachedOptions
from kt_core.server.updates import UpdateLog
from kt_core.wire import http
from kt_core.wire.exchange import NeedData
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX, RemoveBulk, SetBulk, encode_request
from kt_core.wire.kt_log import HEADER_SIZE, Change, Clear, EntryDecoder, Remove, Set, decode_header, decode_payload
from tests.clock import Clock
from tests.server.exchange import Wire, connect, rpc
from tests.server.requests import Requests
from tests.server.running import serving

CLOCK = Clock()
NOW = int(CLOCK.seconds)
SID = 9


def entries(directory: Path) -> Iterator[tuple[int, int, Change]]:
    """Yield what a log has: timestamps, origins and changes."""
    for path in sorted(directory.glob("*.ulog")):
        data = path.read_bytes()
        decoder = EntryDecoder()
        entry = decoder.feed(data[HEADER_SIZE : decode_header(data).size])
        while not isinstance(entry, NeedData):
            ts, payload = entry
            yield ts, *decode_payload(payload, {1})
            entry = decoder.feed(b"")


def changes(directory: Path) -> list[Change]:
    return [change for _, _, change in entries(directory)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that keeps a log; its second database keeps no expiries."""
    with serving("%", "%#ktopts=p", clock=CLOCK, sid=SID, log_directory=tmp_path / "log") as server:
        yield server


def never(key: bytes, value: bytes) -> Set:
    return Set(0, key, value, XT_MAX)


BEFORE = [(0, b"k", b"v", NEVER_XT), (0, b"n", (5).to_bytes(8), NEVER_XT)]
TOLD: dict[str, tuple[list[tuple[str, dict[str, Any]]], list[Change]]] = {
    "set": ([("set", {"key": "a", "value": "1"})], [never(b"a", b"1")]),
    "set that expires": ([("set", {"key": "a", "value": "1", "xt": 100})], [Set(0, b"a", b"1", NOW + 100)]),
    "set that expires at a time": ([("set", {"key": "a", "value": "1", "xt": -100})], [Set(0, b"a", b"1", 100)]),
    "set without expiries": ([("set", {"key": "a", "value": "1", "xt": 5, "DB": 1})], [Set(1, b"a", b"1", None)]),
    "set of a long key": ([("set", {"key": "a" * 600, "value": "1"})], [never(b"a" * 600, b"1")]),
    "set of no key": ([("set", {"key": "", "value": ""})], [never(b"", b"")]),
    "add": ([("add", {"key": "a", "value": "1"})], [never(b"a", b"1")]),
    "add that fails": ([("add", {"key": "k", "value": "1"})], []),
    "replace": ([("replace", {"key": "k", "value": "1"})], [never(b"k", b"1")]),
    "replace that fails": ([("replace", {"key": "a", "value": "1"})], []),
    "append": ([("append", {"key": "k", "value": "1"})], [never(b"k", b"v1")]),
    "increment": ([("increment", {"key": "n", "num": 2, "xt": 9})], [Set(0, b"n", (7).to_bytes(8), NOW + 9)]),
    "increment by nothing": ([("increment", {"key": "n", "num": 0})], []),
    "increment of no number": ([("increment", {"key": "k", "num": 1})], []),
    "increment_double": (
        [("increment_double", {"key": "d", "num": 1.5})],
        [never(b"d", (1).to_bytes(8) + (500_000_000_000_000).to_bytes(8))],
    ),
    "cas": ([("cas", {"key": "k", "oval": "v", "nval": "w"})], [never(b"k", b"w")]),
    "cas that removes": ([("cas", {"key": "k", "oval": "v"})], [Remove(0, b"k")]),
    "cas that fails": ([("cas", {"key": "k", "oval": "x", "nval": "w"})], []),
    "remove": ([("remove", {"key": "k"})], [Remove(0, b"k")]),
    "remove of what is not there": ([("remove", {"key": "a"})], [Remove(0, b"a")]),
    "seize": ([("seize", {"key": "k"})], [Remove(0, b"k")]),
    "seize of what is not there": ([("seize", {"key": "a"})], []),
    "set_bulk": ([("set_bulk", {"_a": "1", "_b": "2"})], [never(b"a", b"1"), never(b"b", b"2")]),
    "atomic set_bulk": ([("set_bulk", {"_a": "1", "_b": "2", "atomic": ""})], [never(b"a", b"1"), never(b"b", b"2")]),
    "remove_bulk": ([("remove_bulk", {"_k": "", "_a": ""})], [Remove(0, b"k"), Remove(0, b"a")]),
    "clear": ([("clear", {"DB": 1})], [Clear(1)]),
    "cursor": (
        [("cur_jump", {"CUR": 1, "key": "k"}), ("cur_set_value", {"CUR": 1, "value": "w"}), ("cur_remove", {"CUR": 1})],
        [never(b"k", b"w"), Remove(0, b"k")],
    ),
    "seizing cursor": ([("cur_jump", {"CUR": 1}), ("cur_seize", {"CUR": 1})], [Remove(0, b"k")]),
    "reading": ([("get", {"key": "k"}), ("check", {"key": "k"}), ("match_prefix", {"prefix": ""}), ("vacuum", {})], []),
}


@pytest.mark.parametrize(("calls", "told"), TOLD.values(), ids=TOLD)
def test_what_is_told(
    server: Server, tmp_path: Path, calls: list[tuple[str, dict[str, Any]]], told: list[Change]
) -> None:
    with connect(server) as wire:
        wire.ask(encode_request(SetBulk(BEFORE)))
        for procedure, parameters in calls:
            wire.call(procedure, **parameters)
    assert changes(tmp_path / "log") == [never(b"k", b"v"), never(b"n", (5).to_bytes(8)), *told]


def test_what_is_told_of_binary_requests_and_paths(server: Server, tmp_path: Path) -> None:
    with connect(server) as wire:
        wire.ask(encode_request(SetBulk([(0, b"a", b"1", 5)])))  # by the lane
        wire.ask(encode_request(SetBulk([(1, b"a", b"1", 5), (0, b"b", b"2", NEVER_XT)])))
        wire.ask(encode_request(RemoveBulk([(0, b"a"), (0, b"a")])))
        wire.ask(http.encode_request(http.Request(b"PUT", b"/p", {}, b"v")))
        wire.ask(b"DELETE /p HTTP/1.1\r\n\r\n")
    assert changes(tmp_path / "log") == [
        Set(0, b"a", b"1", NOW + 5),
        Set(1, b"a", b"1", None),
        never(b"b", b"2"),
        Remove(0, b"a"),
        Remove(0, b"a"),
        never(b"p", b"v"),
        Remove(0, b"p"),
    ]
    told = list(entries(tmp_path / "log"))
    assert {sid for _, sid, _ in told} == {SID}
    assert [ts for ts, _, _ in told] == sorted({ts for ts, _, _ in told})


SCRIPT = """@
kt = __kyototycoon__
db = kt.db
function plain(i, o) db:set("a", "1", 5) db:increment("n", 2) db:remove("none") return kt.RVSUCCESS end
function visit(i, o) db:accept("k", function(key, value) return value .. "w" end) return kt.RVSUCCESS end
function both(i, o)
  db:transaction(function() db:set("b", "1") db:remove("k") return true end)
  db:transaction(function() db:set("c", "1") db:clear() return false end)
  return kt.RVSUCCESS
end
"""
SCRIPTED: dict[str, list[Change]] = {
    "plain": [Set(0, b"a", b"1", NOW + 5), never(b"n", (2).to_bytes(8)), Remove(0, b"none")],
    "visit": [never(b"k", b"vw")],
    "both": [never(b"b", b"1"), Remove(0, b"k")],
}


@pytest.mark.parametrize(("name", "told"), SCRIPTED.items())
def test_what_is_told_of_a_script(tmp_path: Path, name: str, told: list[Change]) -> None:
    options: dict[str, Any] = {"clock": CLOCK, "sid": SID, "log_directory": tmp_path / "log"}
    with serving("%", script=SCRIPT, **options) as server, connect(server) as wire:
        wire.call("set", key="k", value="v")
        assert wire.call("play_script", name=name).status == 200
    assert changes(tmp_path / "log") == [never(b"k", b"v"), *told]


def test_what_is_told_of_clients_of_memcached(tmp_path: Path) -> None:
    options: dict[str, Any] = {"clock": CLOCK, "sid": SID, "log_directory": tmp_path / "log"}
    with (
        serving("%", memcached=MemcachedOptions(port=0), **options) as server,
        Wire(("127.0.0.1", server.memcached_port)) as wire,
    ):
        for request, reply in [
            (b"set k 0 50 1\r\n5\r\n", b"STORED\r\n"),
            (b"incr k 2\r\n", b"7\r\n"),
            (b"delete k\r\n", b"DELETED\r\n"),
            (b"flush_all\r\n", b"OK\r\n"),
        ]:
            wire.send(request)
            assert wire.read(len(reply)) == reply
    assert changes(tmp_path / "log") == [
        Set(0, b"k", b"5", NOW + 50),
        Set(0, b"k", b"7", NOW + 50),
        Remove(0, b"k"),
        Clear(0),
    ]


def test_what_goes_without_being_asked_is_not_told(tmp_path: Path) -> None:
    clock = Clock()
    with (
        serving("*#capcnt=100", clock=clock, sid=SID, log_directory=tmp_path / "log") as server,
        connect(server) as wire,
    ):
        for number in range(300):
            wire.call("set", key=number, value="v", xt=1)
        clock.advance(10)
        wire.call("vacuum")
        assert int(wire.call("status").values[b"count"]) == 0
    assert [type(change) for change in changes(tmp_path / "log")] == [Set] * 300


def replayed(directory: Path, database: int) -> dict[bytes, tuple[bytes, int | None]]:
    """Return what is there after the changes in a log."""
    records: dict[bytes, tuple[bytes, int | None]] = {}
    for change in changes(directory):
        if change.db == database:
            if isinstance(change, Set):
                records[change.key] = (change.value, change.xt)
            elif isinstance(change, Remove):
                records.pop(change.key, None)
            else:
                records.clear()
    return {key: (value, xt) for key, (value, xt) in records.items() if xt is None or xt >= NOW}


def stored(server: Server, database: int) -> dict[bytes, tuple[bytes, int | None]]:
    """Return what a database holds."""
    served = server.databases[database]
    told = served.xt if database == 0 else lambda expiry: None
    return {key: (record.value, told(record.expiry)) for key, record in served.database.scan()}


REQUESTS = Requests(("%", "%"), far=True)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(REQUESTS.records() | REQUESTS.cursors(b"0") | st.just(rpc("clear", DB=1)), max_size=30))
def test_the_log_tells_what_is_there(server: Server, tmp_path: Path, requests: list[bytes]) -> None:
    for request in requests:
        with connect(server) as wire:
            wire.ask(request)
    for database in (0, 1):
        assert replayed(tmp_path / "log", database) == stored(server, database)


@pytest.mark.parametrize("durability", ["commit", "process"])
def test_what_cannot_be_logged_is_not_changed(tmp_path: Path, durability: str) -> None:
    path = str(tmp_path / f"a.kct#durability={durability}")
    with serving(path, sid=SID, log_directory=tmp_path / "log", log_limit=20) as server, connect(server) as wire:
        assert wire.call("set", key="a", value="1").status == 200
        (tmp_path / "log" / "0000000002.ulog").mkdir()  # where the next file is to be
        for _ in range(2):
            reply = wire.call("set", key="b", value="2")
            assert (reply.status, b"update log" in reply.values[b"ERROR"]) == (500, True)
        assert wire.call("get", key="b").status == 450
        (tmp_path / "log" / "0000000002.ulog").rmdir()
        assert wire.call("set", key="c", value="3").status == 200
    assert changes(tmp_path / "log") == [never(b"a", b"1"), never(b"c", b"3")]


def test_a_change_that_fails_is_not_told(tmp_path: Path) -> None:
    with (
        serving("%#max_size=4m", sid=SID, log_directory=tmp_path / "log") as server,
        connect(server) as wire,
    ):
        assert wire.call("set", key="a", value="1").status == 200
        assert wire.call("set", key="big", value=b"x" * (1 << 20)).status == 500
        assert wire.call("set", key="b", value="2").status == 200
    assert changes(tmp_path / "log") == [never(b"a", b"1"), never(b"b", b"2")]


def test_a_durable_database_remembers_its_last_change(tmp_path: Path) -> None:
    for number in range(3):
        with serving(str(tmp_path / "a.kct"), sid=SID, log_directory=tmp_path / "log") as server:
            before = server.databases[0].logged()
            with connect(server) as wire:
                wire.call("set", key=number, value="v")
            assert (before is None) is (number == 0)
            *_, (last, _, _) = entries(tmp_path / "log")
            assert server.databases[0].logged() == last


def test_what_was_logged_but_not_made_before_a_fall_is_forgotten(tmp_path: Path) -> None:
    path = str(tmp_path / "a.kct")
    with serving(path, sid=SID, log_directory=tmp_path / "log") as server, connect(server) as wire:
        wire.call("set", key="a", value="1")
    log = UpdateLog(tmp_path / "log", SID, limit=1 << 20, clock=Clock())
    log.recover({0: log.told})
    with log.lock:
        log.append(
            b"\xa1" + (log.last + 1).to_bytes(8) + b"\0\0\0\5\0\x09\0\0\xa5\xa2", log.last + 1, SID, durable=True
        )
    log.close()
    with serving(path, sid=SID, log_directory=tmp_path / "log") as server, connect(server) as wire:
        wire.call("set", key="b", value="2")
    assert changes(tmp_path / "log") == [never(b"a", b"1"), never(b"b", b"2")]


def test_the_database_of_an_embedded_store_cannot_have_a_log(tmp_path: Path) -> None:
    with (
        pytest.raises(Misconfigured, match="what other processes change there"),
        serving(f"embedded://{tmp_path}/e", sid=SID, log_directory=tmp_path / "log"),
    ):
        pass


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with connect(server) as wire:
        yield wire


def test_the_files_are_listed_and_removed(server: Server, wire: Wire, tmp_path: Path) -> None:
    path = str(tmp_path / "log" / "0000000001.ulog").encode()
    assert wire.call("ulog_list").values == {path: b"17:0"}
    wire.call("set", key="a", value="1")
    *_, (last, _, _) = entries(tmp_path / "log")
    assert wire.call("ulog_list").values == {path: b"%d:%d" % (Path(path.decode()).stat().st_size, last)}
    for ts in ({}, {"ts": "now"}, {"ts": 5}):
        assert wire.call("ulog_remove", **ts).status == 200
    assert len(wire.call("ulog_list").values) == 1
