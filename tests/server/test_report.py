"""What `report` tells: protocol reference, section 2.7."""

from __future__ import annotations

import os

import pytest

from kt_core.kyoto.status import Report
from kt_core.server import Server
from kt_core.wire import http
from kt_core.wire.kt_binary import NEVER_XT, GetBulk, PlayScript, RemoveBulk, SetBulk, encode_request
from tests.clock import Clock
from tests.server.exchange import Wire, connect, rpc

FIELDS = """
db_0 db_1 db_total_count db_total_size
serv_conn_count serv_task_count serv_thread_count serv_current_time serv_running_term serv_proc_id
sys_mem_cached sys_mem_free sys_mem_peak sys_mem_rss sys_mem_size sys_mem_total sys_ru_stime sys_ru_utime
cnt_set cnt_set_misses cnt_remove cnt_remove_misses cnt_get cnt_get_misses cnt_script cnt_misc
conf_kt_version conf_kt_features conf_kc_version conf_kc_features conf_os_name
"""


def report(wire: Wire) -> dict[str, str]:
    """Return the fields."""
    return {name.decode(): value.decode() for name, value in wire.call("report").values.items()}


def test_it_has_the_fields_of_the_original(wire: Wire) -> None:
    fields = report(wire)
    assert sorted(fields) == sorted(FIELDS.split())
    assert "" not in fields.values()


def test_databases(wire: Wire, clock: Clock) -> None:
    for number in range(3):
        wire.call("set", key=number, value="v", xt=1)
    wire.call("set", key="k", value="v", DB=1)
    clock.advance(10)
    fields = report(wire)
    sizes = []
    for number, (count, path) in enumerate([(3, "%"), (1, "*")]):
        start, _, rest = fields[f"db_{number}"].partition(" size=")
        size, _, end = rest.partition(" ")
        assert (start, end) == (f"count={count}", f"path={path}")
        sizes.append(int(size))
    assert min(sizes) > 0
    assert (fields["db_total_count"], fields["db_total_size"]) == ("4", str(sum(sizes)))


def test_the_server(wire: Wire, server: Server, clock: Clock) -> None:
    clock.advance(0.25)
    fields = report(wire)
    assert fields["serv_conn_count"] == "1"
    assert fields["serv_current_time"] == f"{clock():.6f}"
    assert fields["serv_running_term"] == f"{clock() - server.started:.6f}"
    assert fields["serv_proc_id"] == str(os.getpid())
    assert fields["conf_kt_version"].startswith("0.9.56 ")
    with connect(server) as other:
        assert report(other)["serv_conn_count"] == "2"


def test_the_machine(wire: Wire) -> None:
    fields = {name: float(value) for name, value in report(wire).items() if name.startswith("sys_")}
    for name in ("rss", "peak", "free", "cached"):
        assert 0 < fields[f"sys_mem_{name}"] < fields["sys_mem_total"]
    assert fields["sys_mem_rss"] < fields["sys_mem_size"]
    assert fields["sys_ru_utime"] > 0


def test_the_client_understands_it(wire: Wire) -> None:
    understood = Report(wire.call("report").values)
    assert understood.process_id == os.getpid()
    assert [database.path for database in understood.databases] == ["%", "*"]


MISSING, RECORD = b"missing", b"k"
# What a request adds to: sets, removals, reads, each with its misses, scripts, and everything else.
COUNTS = {
    "set": (rpc("set", key="a", value=""), {"set": 1}),
    "add on a record": (rpc("add", key="k", value=""), {"set": 1, "set_misses": 1}),
    "replace nothing": (rpc("replace", key=MISSING, value=""), {"set": 1, "set_misses": 1}),
    "append": (rpc("append", key="a", value=""), {"set": 1}),
    "increment": (rpc("increment", key="n", num=1), {"set": 1}),
    "increment no number": (rpc("increment", key="k", num=1), {"set": 1, "set_misses": 1}),
    "increment_double": (rpc("increment_double", key="d", num=1), {"set": 1}),
    "cas": (rpc("cas", key="k", oval="no", nval=""), {"set": 1, "set_misses": 1}),
    "remove": (rpc("remove", key="k"), {"remove": 1}),
    "remove nothing": (rpc("remove", key=MISSING), {"remove": 1, "remove_misses": 1}),
    "get": (rpc("get", key="k"), {"get": 1}),
    "get nothing": (rpc("get", key=MISSING), {"get": 1, "get_misses": 1}),
    "check nothing": (rpc("check", key=MISSING), {"get": 1, "get_misses": 1}),
    "seize": (rpc("seize", key="k"), {"remove": 1, "get": 1}),
    "seize nothing": (rpc("seize", key=MISSING), {"remove": 1, "get": 1, "remove_misses": 1, "get_misses": 1}),
    "set_bulk": (rpc("set_bulk", _a="", _b=""), {"set": 2}),
    "remove_bulk": (rpc("remove_bulk", _k="", _missing=""), {"remove": 2, "remove_misses": 1}),
    "get_bulk": (rpc("get_bulk", _k="", _missing=""), {"get": 2, "get_misses": 1}),
    "clear": (rpc("clear"), {"misc": 1}),
    "status": (rpc("status"), {"misc": 1}),
    "vacuum": (rpc("vacuum"), {"misc": 1}),
    "synchronize": (rpc("synchronize"), {"misc": 1}),
    "match_prefix": (rpc("match_prefix", prefix=""), {"misc": 1}),
    "cur_jump": (rpc("cur_jump", CUR=1), {"misc": 1}),
    "cur_get nowhere": (rpc("cur_get", CUR=1), {"get": 1, "get_misses": 1}),
    "cur_set_value nowhere": (rpc("cur_set_value", CUR=1, value=""), {"set": 1, "set_misses": 1}),
    "cur_remove nowhere": (rpc("cur_remove", CUR=1), {"remove": 1, "remove_misses": 1}),
    "void": (rpc("void"), {}),
    "echo": (rpc("echo"), {}),
    "unknown": (rpc("nothing"), {}),
    "a parameter missing": (rpc("set", key="a"), {}),
    "a database missing": (rpc("get", key="a", DB=9), {}),
    "binary set": (
        encode_request(SetBulk([(0, b"a", b"", 0), (1, b"b", b"", 0), (9, b"c", b"", NEVER_XT)])),
        {"set": 3},
    ),
    "binary set of one": (encode_request(SetBulk([(0, b"a", b"", 0)])), {"set": 1}),
    "binary get": (encode_request(GetBulk([(0, RECORD), (0, MISSING)])), {"get": 2, "get_misses": 1}),
    "binary get of one": (encode_request(GetBulk([(0, MISSING)])), {"get": 1, "get_misses": 1}),
    "binary remove": (encode_request(RemoveBulk([(0, RECORD), (0, MISSING)])), {"remove": 2, "remove_misses": 1}),
    "binary script": (encode_request(PlayScript(b"f", [])), {"script": 1}),
    "REST GET": (http.encode_request(http.Request(b"GET", b"/k")), {"get": 1}),
    "REST HEAD of nothing": (http.encode_request(http.Request(b"HEAD", b"/missing")), {"get": 1, "get_misses": 1}),
    "REST PUT": (http.encode_request(http.Request(b"PUT", b"/k", {}, b"v")), {"set": 1}),
    "REST PUT refused": (
        http.encode_request(http.Request(b"PUT", b"/k", {b"x-kt-mode": b"add"}, b"v")),
        {"set": 1, "set_misses": 1},
    ),
    "REST DELETE": (http.encode_request(http.Request(b"DELETE", b"/k")), {"remove": 1}),
    "REST DELETE of nothing": (
        http.encode_request(http.Request(b"DELETE", b"/missing")),
        {"remove": 1, "remove_misses": 1},
    ),
}


@pytest.mark.parametrize(("request_", "added"), COUNTS.values(), ids=COUNTS)
def test_operations_are_counted(wire: Wire, request_: bytes, added: dict[str, int]) -> None:
    wire.call("set", key=RECORD, value="v")
    before = report(wire)
    wire.ask(request_)
    after = report(wire)
    counted = {name: int(after[name]) - int(before[name]) for name in after if name.startswith("cnt_")}
    assert {name.removeprefix("cnt_"): count for name, count in counted.items() if count} == added
