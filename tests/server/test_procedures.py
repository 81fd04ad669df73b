"""The procedures on records and databases: protocol reference, sections 2.4 to 2.6 and 3.4 to 6."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from kt_core.server import Server
from kt_core.server.procedures import PROCEDURES
from kt_core.wire import http
from kt_core.wire.kt_binary import GetBulk, encode_request
from kt_core.wire.kt_rpc import Failure
from tests.clock import Clock
from tests.server.exchange import Wire, connect, neutral, rpc
from tests.server.running import serving

OK = (200, {})
NO_RECORD = Failure.NO_RECORD.reply
DUPLICATE = Failure.DUPLICATE.reply
CONFLICT = Failure.CONFLICT.reply
NOT_A_NUMBER = Failure.NOT_A_NUMBER.reply
INVALID = Failure.INVALID.reply
NO_DATABASE = Failure.NO_DATABASE.reply


def test_every_procedure_of_the_reference_is_there() -> None:
    names = """void echo report play_script tune_replication status clear synchronize set add replace append increment
    increment_double cas remove get check seize set_bulk remove_bulk get_bulk vacuum match_prefix match_regex
    match_similar cur_jump cur_jump_back cur_step cur_step_back cur_set_value cur_remove cur_get_key cur_get_value
    cur_get cur_seize cur_delete ulog_list ulog_remove"""
    assert sorted(PROCEDURES) == sorted(names.split())


# --- Down to the bytes

HEAD = b"Server: ...\r\nDate: ...\r\n"
TSV = b"Content-Type: text/tab-separated-values"
REPLIES = {
    "nothing to say": (rpc("void"), b"HTTP/1.1 200 OK\r\n" + HEAD + b"Content-Length: 0\r\n" + TSV + b"\r\n\r\n"),
    "values": (
        rpc("echo", b="2", a=1),
        b"HTTP/1.1 200 OK\r\n" + HEAD + b"Content-Length: 8\r\n" + TSV + b"\r\n\r\na\t1\nb\t2\n",
    ),
    "base64": (
        rpc("echo", {b"a": b"\0\1\2\3\4\5\6\7"}),
        b"HTTP/1.1 200 OK\r\n" + HEAD + b"Content-Length: 18\r\n" + TSV + b"; colenc=B\r\n\r\nYQ==\tAAECAwQFBgc=\n",
    ),
    "URL": (
        rpc("echo", {b"a": b"\0"}),
        b"HTTP/1.1 200 OK\r\n" + HEAD + b"Content-Length: 6\r\n" + TSV + b"; colenc=U\r\n\r\na\t%00\n",
    ),
    "failure": (
        rpc("get", key="none"),
        b"HTTP/1.1 450 Logical Inconsistency\r\n" + HEAD + b"Content-Length: 34\r\n" + TSV
        + b"\r\n\r\nERROR\tDB: 7: no record: no record\n",
    ),
    "no such procedure": (
        rpc("nothing"),
        b"HTTP/1.1 501 Not Implemented\r\n" + HEAD + b"Content-Length: 31\r\n" + TSV
        + b"\r\n\r\nERROR\tnot implemented: nothing\n",
    ),
    "HEAD": (
        b"HEAD /rpc/echo?a=1 HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + HEAD + TSV + b"\r\n\r\n",
    ),
    "no version for a reply but one": (
        b"GET /rpc/void HTTP/1.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + HEAD + b"Connection: close\r\nContent-Length: 0\r\n" + TSV + b"\r\n\r\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "reply"), REPLIES.values(), ids=REPLIES)
def test_replies(wire: Wire, request_: bytes, reply: bytes) -> None:
    assert neutral(wire.ask(request_)) == reply


def test_the_date_is_that_of_the_server(wire: Wire, clock: Clock) -> None:
    clock.seconds = 1795295378.75
    assert b"\r\nDate: Sat, 21 Nov 2026 21:09:38 GMT\r\n" in wire.ask(rpc("void"))
    clock.advance(1)
    assert b"\r\nDate: Sat, 21 Nov 2026 21:09:39 GMT\r\n" in wire.ask(rpc("void"))


# --- What calls come to; each of a sequence is (procedure, parameters, status and values)

Step = tuple[str, dict[str, Any], Any]
HAS: Step = ("set", {"key": "k", "value": "v"}, OK)


def get(value: bytes | str | None, key: str = "k", **told: object) -> Step:
    """What a later look at a record has to find."""
    if value is None:
        return "get", {"key": key}, NO_RECORD
    values: dict[str, object] = {"value": value, **told}
    found = {name.encode(): each if isinstance(each, bytes) else str(each).encode() for name, each in values.items()}
    return "get", {"key": key}, (200, found)


def num(number: object) -> tuple[int, dict[bytes, bytes]]:
    return 200, {b"num": str(number).encode()}


NEED_A_PARAMETER = """add replace append increment increment_double cas remove get check seize
match_prefix match_regex match_similar"""
INTEGERS = {"abc": 0, "": 0, "1.9": 1, "10abc": 10, " +5": 5, "-5": -5, "18446744073709551626": 10}

SEQUENCES: dict[str, list[Step]] = {
    "set": [HAS, get("v"), ("set", {"key": "k", "value": "w"}, OK), get("w")],
    "set empty": [("set", {"key": "", "value": ""}, OK), get("", key="")],
    "set without a value": [("set", {"key": "k"}, INVALID), get(None)],
    "set without a key": [("set", {"value": "k"}, INVALID)],
    "add": [("add", {"key": "k", "value": "v"}, OK), ("add", {"key": "k", "value": "w"}, DUPLICATE), get("v")],
    "replace": [
        ("replace", {"key": "k", "value": "v"}, NO_RECORD),
        get(None),
        HAS,
        ("replace", {"key": "k", "value": "w"}, OK),
        get("w"),
    ],
    "append": [("append", {"key": "k", "value": "v"}, OK), ("append", {"key": "k", "value": "w"}, OK), get("vw")],
    "remove": [HAS, ("remove", {"key": "k"}, OK), ("remove", {"key": "k"}, NO_RECORD), get(None)],
    "check": [("check", {"key": "k"}, NO_RECORD), HAS, ("check", {"key": "k"}, (200, {b"vsiz": b"1"}))],
    "seize": [("seize", {"key": "k"}, NO_RECORD), HAS, ("seize", {"key": "k"}, (200, {b"value": b"v"})), get(None)],
    **{f"{procedure} without its parameter": [(procedure, {}, INVALID)] for procedure in NEED_A_PARAMETER.split()},
    "set_bulk": [
        ("set_bulk", {"_k": "v", "_": "w", "ignored": "x"}, num(2)),
        get("v"),
        get("w", key=""),
        get(None, key="ignored"),
        ("set_bulk", {"_k": "2", "atomic": 0}, num(1)),
        get("2"),
        ("set_bulk", {}, num(0)),
        ("set_bulk", {"atomic": ""}, num(0)),
    ],
    "remove_bulk": [
        ("set_bulk", {"_a": 1, "_b": 2, "_c": 3}, num(3)),
        ("remove_bulk", {"_a": "", "_none": "", "b": ""}, num(1)),
        ("remove_bulk", {"_b": "", "_none": "", "atomic": ""}, num(1)),
        ("get_bulk", {"_a": "", "_b": "", "_c": ""}, (200, {b"_c": b"3", b"num": b"1"})),
        ("remove_bulk", {}, num(0)),
    ],
    "get_bulk": [
        ("get_bulk", {"_k": ""}, num(0)),
        HAS,
        ("get_bulk", {"_k": "anything", "_j": "", "k": ""}, (200, {b"_k": b"v", b"num": b"1"})),
        ("get_bulk", {"_k": "", "atomic": ""}, (200, {b"_k": b"v", b"num": b"1"})),
        ("get_bulk", {}, num(0)),
    ],
    # section 5
    "cas, created": [("cas", {"key": "k", "nval": "v"}, OK), get("v")],
    "cas, nothing for nothing": [("cas", {"key": "k"}, OK), get(None)],
    "cas, old one missing": [("cas", {"key": "k", "oval": "v", "nval": "w"}, CONFLICT), get(None)],
    "cas, removal of nothing": [("cas", {"key": "k", "oval": "v"}, CONFLICT)],
    "cas, replaced": [HAS, ("cas", {"key": "k", "oval": "v", "nval": "w"}, OK), get("w")],
    "cas, removed": [HAS, ("cas", {"key": "k", "oval": "v"}, OK), get(None)],
    "cas, another one": [HAS, ("cas", {"key": "k", "oval": "w", "nval": "x"}, CONFLICT), get("v")],
    "cas, another one to remove": [HAS, ("cas", {"key": "k", "oval": "w"}, CONFLICT), get("v")],
    "cas, there is one": [HAS, ("cas", {"key": "k", "nval": "w"}, CONFLICT), get("v")],
    "cas, there is one, nothing new": [HAS, ("cas", {"key": "k"}, CONFLICT), get("v")],
    "cas, empty is something": [
        ("cas", {"key": "k", "oval": "", "nval": "v"}, CONFLICT),
        ("set", {"key": "k", "value": ""}, OK),
        ("cas", {"key": "k", "oval": "", "nval": "v"}, OK),
        get("v"),
    ],
    # section 4.1
    "increment, created": [("increment", {"key": "n", "num": 5}, num(5)), get(b"\0\0\0\0\0\0\0\5", "n")],
    "increment, created at an origin": [("increment", {"key": "n", "num": 5, "orig": 10}, num(15))],
    "increment, not created": [("increment", {"key": "n", "num": 5, "orig": "try"}, NOT_A_NUMBER), get(None, "n")],
    "increment, set where there is none": [("increment", {"key": "n", "num": 5, "orig": "set"}, num(5))],
    "increment": [
        ("increment", {"key": "n", "num": 5}, num(5)),
        ("increment", {"key": "n", "num": -7, "orig": 100}, num(-2)),
        ("increment", {"key": "n", "num": 2, "orig": "try"}, num(0)),
        ("increment", {"key": "n", "num": 2, "orig": "set"}, num(2)),
        ("increment", {"key": "n", "num": 0}, num(2)),
    ],
    "increment by nothing creates": [
        ("increment", {"key": "n", "num": 0, "orig": 3}, num(3)),
        ("check", {"key": "n"}, (200, {b"vsiz": b"8"})),
    ],
    "increment text": [HAS, ("increment", {"key": "k", "num": 1}, NOT_A_NUMBER), get("v")],
    "increment text, set": [HAS, ("increment", {"key": "k", "num": 1, "orig": "set"}, NOT_A_NUMBER), get("v")],
    "increment eight letters": [
        ("set", {"key": "k", "value": "12345678"}, OK),
        ("increment", {"key": "k", "num": 0}, num(3544952156018063160)),
    ],
    "increment around the end": [
        ("increment", {"key": "n", "num": (1 << 63) - 1}, num((1 << 63) - 1)),
        ("increment", {"key": "n", "num": 2}, num(-(1 << 63) + 1)),
    ],
    "the lowest number is stored and not told": [
        ("increment", {"key": "n", "num": (1 << 63) - 1}, num((1 << 63) - 1)),
        ("increment", {"key": "n", "num": 1}, NOT_A_NUMBER),
        get(b"\x80\0\0\0\0\0\0\0", "n"),
    ],
    "origins that are words": [
        ("increment", {"key": "n", "num": 1, "orig": -(1 << 63)}, NOT_A_NUMBER),
        ("increment", {"key": "n", "num": 1, "orig": (1 << 63) - 1}, num(1)),
        ("increment", {"key": "n", "num": 7, "orig": (1 << 63) - 1}, num(7)),
    ],
    **{
        f"increment by {text!r}": [("increment", {"key": "n", "num": text}, num(number))]
        for text, number in INTEGERS.items()
    },
    **{
        f"increment at {text!r}": [("increment", {"key": "n", "num": 1, "orig": text}, num(1))]
        for text in ("TRY", "", "SET", "garbage")
    },
    # section 4.2
    "increment_double": [
        ("increment_double", {"key": "d", "num": 1.5}, num("1.500000")),
        ("increment_double", {"key": "d", "num": "-0.25"}, num("1.250000")),
        ("increment_double", {"key": "d", "num": 0}, num("1.250000")),
        ("increment_double", {"key": "d", "num": 2, "orig": "set"}, num("2.000000")),
        get(bytes.fromhex("0000000000000002 0000000000000000"), "d"),
    ],
    **{
        f"increment_double stores {text}": [
            ("increment_double", {"key": "d", "num": text}, num(told)),
            get(bytes.fromhex(raw), "d"),
        ]
        for text, told, raw in [
            ("1.5", "1.500000", "0000000000000001 0001c6bf52634000"),
            ("0.1", "0.100000", "0000000000000000 00005af3107a4000"),
            ("-0.5", "-0.500000", "0000000000000000 fffe3940ad9cc000"),
            ("inf", "inf", "7fffffffffffffff 0000000000000000"),
            ("-inf", "-inf", "8000000000000000 0000000000000000"),
            ("1e2", "100.000000", "0000000000000064 0000000000000000"),
        ]
    },
    "increment_double, NaN is stored and not told": [
        ("increment_double", {"key": "d", "num": "nan"}, NOT_A_NUMBER),
        get(bytes.fromhex("8000000000000000 8000000000000000"), "d"),
    ],
    "increment_double, infinite": [
        ("increment_double", {"key": "d", "num": "inf"}, num("inf")),
        ("increment_double", {"key": "d", "num": 1}, num("inf")),
        ("increment_double", {"key": "d", "num": 1, "orig": "set"}, num("1.000000")),
    ],
    "increment_double, fractions are not normalised": [
        ("increment_double", {"key": "d", "num": "-0.5"}, num("-0.500000")),
        ("increment_double", {"key": "d", "num": "-0.75"}, num("-1.250000")),
        get(struct.pack(">qq", 0, -1_250_000_000_000_000), "d"),
    ],
    "increment_double, not created": [
        ("increment_double", {"key": "d", "num": 5, "orig": "try"}, NOT_A_NUMBER),
        ("increment_double", {"key": "d", "num": 5, "orig": "-inf"}, NOT_A_NUMBER),
        get(None, "d"),
        ("increment_double", {"key": "d", "num": 5, "orig": "inf"}, num("5.000000")),
    ],
    "increment_double of text": [
        HAS,
        ("increment_double", {"key": "k", "num": 1, "orig": "set"}, NOT_A_NUMBER),
        get("v"),
    ],
    "increment_double, created at an origin": [
        ("increment_double", {"key": "d", "num": 5, "orig": 2.5}, num("7.500000")),
    ],
    # the rest of section 2.6
    "clear": [HAS, ("clear", {}, OK), get(None), ("clear", {}, OK)],
    "vacuum": [("vacuum", {}, OK), ("vacuum", {"step": 5}, OK)],
    "synchronize": [
        ("synchronize", {}, OK),
        ("synchronize", {"hard": ""}, OK),
        ("synchronize", {"command": "none"}, Failure.COMMAND_FAILED.reply),
        ("synchronize", {"command": "../none"}, Failure.COMMAND_FAILED.reply),
    ],
    "echo": [("echo", {"DB": 9, "CUR": "x", "a": ""}, (200, {b"DB": b"9", b"CUR": b"x", b"a": b""}))],
    "no scripts": [("play_script", {"name": "f"}, Failure.NO_SCRIPTS.reply)],
    "no replication": [("tune_replication", {}, Failure.NO_REPLICATION.reply)],
    "no update log": [
        ("ulog_list", {}, Failure.NO_UPDATE_LOG.reply),
        ("ulog_remove", {"ts": "now"}, Failure.NO_UPDATE_LOG.reply),
    ],
    "unknown": [
        ("no_such", {}, (501, {b"ERROR": b"not implemented: no_such"})),
        ("SET", {}, (501, {b"ERROR": b"not implemented: SET"})),
    ],
}


@pytest.mark.parametrize("steps", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("database", [0, 1])
def test_sequences(wire: Wire, steps: list[Step], database: int) -> None:
    """On a database that keeps its records in order, and on one that does not."""
    for procedure, parameters, outcome in steps:
        assert (procedure, parameters, wire.call(procedure, **{"DB": database, **parameters})) == (
            procedure,
            parameters,
            outcome if procedure != "echo" or "DB" in parameters else (200, outcome[1] | {b"DB": b"%d" % database}),
        )


# --- Databases: section 2.5

NAMED = {"": 0, "0": 0, "1": 1, "1x": 1, "%": 0, "*": 1, "2": None, "99999999999": None, "-1": None, "none": None}


@pytest.mark.parametrize(("name", "number"), NAMED.items(), ids=NAMED)
def test_a_database_is_meant_by_number_or_name(wire: Wire, name: str, number: int | None) -> None:
    reply = wire.call("set", key="k", value="v", DB=name)
    if number is None:
        assert reply == NO_DATABASE
    else:
        assert reply == OK
        assert wire.call("get", key="k", DB=number) == (200, {b"value": b"v"})
        assert wire.call("get", key="k", DB=1 - number) == NO_RECORD


NEED_A_DATABASE = sorted(
    set(PROCEDURES) - {name for name in PROCEDURES if name.startswith("cur_")}
    - {"void", "echo", "report", "play_script", "tune_replication", "ulog_list", "ulog_remove"}
)  # fmt: skip


@pytest.mark.parametrize("procedure", NEED_A_DATABASE)
def test_a_database_that_is_none_is_an_error_of_all_that_need_one(wire: Wire, procedure: str) -> None:
    everything = dict.fromkeys(("key", "value", "num", "prefix", "regex", "origin"), "1")
    assert wire.call(procedure, **everything, DB="none") == NO_DATABASE


@pytest.mark.parametrize("procedure", ["void", "echo", "report"])
def test_the_others_do_not_care(wire: Wire, procedure: str) -> None:
    assert wire.call(procedure, DB="none").status == 200


def test_of_two_databases_of_one_name_the_later_has_it() -> None:
    with serving("*", "*") as server, connect(server) as wire:
        wire.call("set", key="k", value="v", DB="*")
        assert wire.call("get", key="k", DB=1).status == 200
        assert wire.call("get", key="k", DB=0).status == 450


# --- Parameters: section 2.2


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_any_method_calls_and_the_query_counts(wire: Wire, method: str) -> None:
    head = f"{method} /rpc/echo?a=1&b=%41;c+d=e%20f&=&g HTTP/1.1\r\n\r\n"
    assert wire.ask(head.encode()).endswith(b"\r\n\r\n\t\na\t1\nb\tA\nc d\te f\ng\t\n")


BODIES = {
    "form": (b"application/x-www-form-urlencoded", b"a=2&d=%44", b"a\t2\nb\t1\nd\tD\n"),
    "form in capitals": (b"Application/X-WWW-Form-URLencoded; charset=utf-8", b"a=2", b"a\t2\nb\t1\n"),
    "TSV": (b"text/tab-separated-values", b"a\t2\r\nskipped\nc\td\te", b"a\t2\nb\t1\nc\td%09e\n"),
    # An encoding is one of all parameters, and of two that are the same then the greater one counts.
    "base64": (
        b"text/tab-separated-values; colenc=B",
        b"Yg==\tMg==\n",
        b"%00%00%1a\t%00%005\n%00%00%1b\t%00%005\nb\t2\n",
    ),
    "URL": (b'TEXT/TAB-separated-values; x=y; colenc="u"', b"%63\t%32\n%61\t2\n", b"a\t1\nb\t1\nc\t2\n"),
    "quoted printable": (b"text/tab-separated-values; colenc=Q", b"=63\t=32\n", b"a\t1\nb\t1\nc\t2\n"),
    "the last of a name": (b"text/tab-separated-values", b"a\t2\na\t3\n", b"a\t3\nb\t1\n"),
    "no type": (b"", b"a\t2\n", b"a\t1\nb\t1\n"),
    "another type": (b"text/plain", b"a\t2\n", b"a\t1\nb\t1\n"),
}


@pytest.mark.parametrize(("kind", "body", "echoed"), BODIES.values(), ids=BODIES)
def test_the_body_counts_more_if_its_type_is_known(wire: Wire, kind: bytes, body: bytes, echoed: bytes) -> None:
    request = http.Request(b"POST", b"/rpc/echo?a=1&b=1", {b"content-type": kind} if kind else {}, body)
    assert wire.ask(http.encode_request(request)).partition(b"\r\n\r\n")[2] == echoed


def test_the_name_of_a_procedure_is_decoded(wire: Wire) -> None:
    assert wire.ask(b"GET /rpc/%76oid HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert b"not implemented: a b\xff" in wire.ask(b"GET /rpc/a+b%FF HTTP/1.1\r\n\r\n")
    assert wire.ask(b"GET /RPC/void HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_long_body_is_decoded_beside_what_others_ask(wire: Wire, server: Server) -> None:
    """It takes so long that nobody else may wait for it."""
    size = 1 << 20
    body = b"a=" + b"%41" * size
    head = b"POST /rpc/echo HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
    wire.send(head % len(body) + body)
    with connect(server) as other:
        assert other.call("void") == OK
    assert wire.reply(b"POST").endswith(b"\n\r\na\t" + b"A" * size + b"\n")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/tab-separated-values"])
def test_more_parameters_than_anybody_needs_are_refused(wire: Wire, kind: str) -> None:
    body = {"a": b"&" * ((1 << 20) + 1), "t": b"\n" * ((1 << 20) + 1)}[kind[0]]
    wire.send(http.encode_request(http.Request(b"POST", b"/rpc/echo", {b"content-type": kind.encode()}, body)))
    reply = wire.rest()
    assert reply.startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")
    assert b"\r\nConnection: close\r\n" in reply


# --- Expiry: sections 3.3 and 3.4

SOON = 500
NUMBER, DOUBLE = struct.pack(">q", 7), struct.pack(">qq", 7, 0)
# Operations on a record that expires; what its expiry is afterwards, without an xt and with one.
KEPT, NEVER, GIVEN = "kept", "never", "given"
EFFECTS: dict[str, tuple[str, dict[str, Any], bytes, str, str]] = {
    "set": ("set", {"value": "w"}, b"v", NEVER, GIVEN),
    "replace": ("replace", {"value": "w"}, b"v", NEVER, GIVEN),
    "append": ("append", {"value": "w"}, b"v", NEVER, GIVEN),
    "set_bulk": ("set_bulk", {"_k": "w"}, b"v", NEVER, GIVEN),
    "set_bulk, atomic": ("set_bulk", {"_k": "w", "atomic": ""}, b"v", NEVER, GIVEN),
    "increment": ("increment", {"num": 1}, NUMBER, NEVER, GIVEN),
    "increment by 0": ("increment", {"num": 0}, NUMBER, KEPT, KEPT),
    "increment by 0, try": ("increment", {"num": 0, "orig": "try"}, NUMBER, KEPT, KEPT),
    "increment by 0, set": ("increment", {"num": 0, "orig": "set"}, NUMBER, NEVER, GIVEN),
    "increment, set": ("increment", {"num": 1, "orig": "set"}, NUMBER, NEVER, GIVEN),
    "increment text": ("increment", {"num": 1}, b"v", KEPT, KEPT),
    "increment_double": ("increment_double", {"num": 1}, DOUBLE, NEVER, GIVEN),
    "increment_double by 0": ("increment_double", {"num": 0}, DOUBLE, KEPT, KEPT),
    "increment_double by 0, set": ("increment_double", {"num": 0, "orig": "set"}, DOUBLE, NEVER, GIVEN),
    "cas": ("cas", {"oval": "v", "nval": "w"}, b"v", NEVER, GIVEN),
    "cas, same value": ("cas", {"oval": "v", "nval": "v"}, b"v", NEVER, GIVEN),
    "cas, conflict": ("cas", {"oval": "x", "nval": "w"}, b"v", KEPT, KEPT),
    "add": ("add", {"value": "w"}, b"v", KEPT, KEPT),
    "get": ("get", {}, b"v", KEPT, KEPT),
    "check": ("check", {}, b"v", KEPT, KEPT),
    "get_bulk": ("get_bulk", {"_k": ""}, b"v", KEPT, KEPT),
    "match_prefix": ("match_prefix", {"prefix": "k"}, b"v", KEPT, KEPT),
    "cur_set_value": ("cur_set_value", {"CUR": 1, "value": "w"}, b"v", NEVER, GIVEN),
    "cur_get": ("cur_get", {"CUR": 1}, b"v", KEPT, KEPT),
    "cur_get_value": ("cur_get_value", {"CUR": 1}, b"v", KEPT, KEPT),
}


@pytest.mark.parametrize(("procedure", "parameters", "value", "without", "with_xt"), EFFECTS.values(), ids=EFFECTS)
@pytest.mark.parametrize("xt", [None, 900, -1_700_009_000])
def test_the_expiry_of_a_record_after_an_operation(
    wire: Wire, clock: Clock, procedure: str, parameters: dict[str, Any], value: bytes, without: str, with_xt: str,
    xt: int | None,
) -> None:  # fmt: skip
    wire.call("set", key="k", value=value, xt=SOON)
    wire.call("cur_jump", CUR=1, key="k")
    clock.advance(10)
    wire.call(procedure, **{"key": "k", **parameters, **({} if xt is None else {"xt": xt})})
    now = int(clock())
    given = None if xt is None else -xt if xt < 0 else now + xt
    expected = {KEPT: now - 10 + SOON, NEVER: None, GIVEN: given}[without if xt is None else with_xt]
    found = wire.call("check", key="k").values.get(b"xt")
    assert found == (None if expected is None else b"%d" % expected)


TOLD = {
    "get": ("get", {"key": "k"}, {b"value": b"v"}),
    "check": ("check", {"key": "k"}, {b"vsiz": b"1"}),
    "seize": ("seize", {"key": "k"}, {b"value": b"v"}),
    "cur_get": ("cur_get", {"CUR": 1}, {b"key": b"k", b"value": b"v"}),
    "cur_seize": ("cur_seize", {"CUR": 1}, {b"key": b"k", b"value": b"v"}),
}
UNTOLD = {
    "get_bulk": ("get_bulk", {"_k": ""}, {b"_k": b"v", b"num": b"1"}),
    "match_prefix": ("match_prefix", {"prefix": ""}, {b"_k": b"0", b"num": b"1"}),
    "cur_get_value": ("cur_get_value", {"CUR": 1}, {b"value": b"v"}),
    "cur_get_key": ("cur_get_key", {"CUR": 1}, {b"key": b"k"}),
}


@pytest.mark.parametrize(("procedure", "parameters", "values"), (TOLD | UNTOLD).values(), ids=TOLD | UNTOLD)
@pytest.mark.parametrize("xt", [100, None])
def test_what_is_told_of_an_expiry(
    wire: Wire, clock: Clock, procedure: str, parameters: dict[str, Any], values: dict[bytes, bytes], xt: int | None
) -> None:
    wire.call("set", key="k", value="v", **({} if xt is None else {"xt": xt}))
    wire.call("cur_jump", CUR=1)
    told = {b"xt": b"%d" % (int(clock()) + xt)} if xt is not None and procedure in TOLD else {}
    assert wire.call(procedure, **parameters) == (200, values | told)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("", 0),
        ("abc", 0),
        (" 10x", 10),
        ("1.9", 1),
        ("18446744073709551626", 10),
        ("9223372036854775807", None),
        ("1099511627775", None),
        ("-1099511627775", None),
        ("-9223372036854775808", None),
    ],
)
def test_an_xt_in_words(wire: Wire, clock: Clock, text: str, seconds: int | None) -> None:
    wire.call("set", key="k", value="v", xt=text)
    told = wire.call("check", key="k").values.get(b"xt")
    assert told == (None if seconds is None else b"%d" % (int(clock()) + seconds))


def test_what_is_stored_expired_is_stored_and_replaces_what_was_there(wire: Wire) -> None:
    wire.call("set", key="k", value="v")
    assert wire.call("set", key="k", value="w", xt=-1) == OK
    assert wire.call("get", key="k") == NO_RECORD
    assert wire.call("status").values[b"count"] == b"1"


# --- Expired and not yet collected: section 3.5

CORPSE = {
    "get": ("get", {"key": "k"}, NO_RECORD),
    "check": ("check", {"key": "k"}, NO_RECORD),
    "replace": ("replace", {"key": "k", "value": "w"}, NO_RECORD),
    "seize": ("seize", {"key": "k"}, NO_RECORD),
    "remove": ("remove", {"key": "k"}, NO_RECORD),
    "remove_bulk": ("remove_bulk", {"_k": ""}, num(0)),
    "remove_bulk, atomic": ("remove_bulk", {"_k": "", "atomic": ""}, num(0)),
    "get_bulk": ("get_bulk", {"_k": ""}, num(0)),
    "add": ("add", {"key": "k", "value": "w"}, OK),
    "append": ("append", {"key": "k", "value": "w"}, OK),
    "cas without an old value": ("cas", {"key": "k", "nval": "w"}, OK),
    "cas with one": ("cas", {"key": "k", "oval": "v", "nval": "w"}, CONFLICT),
    "increment": ("increment", {"key": "k", "num": 2, "orig": 5}, num(7)),
    "increment, try": ("increment", {"key": "k", "num": 2, "orig": "try"}, NOT_A_NUMBER),
    "match_prefix": ("match_prefix", {"prefix": "k"}, (200, {b"_k": b"0", b"num": b"1"})),
    "match_regex": ("match_regex", {"regex": "k"}, (200, {b"_k": b"0", b"num": b"1"})),
    "match_similar": ("match_similar", {"origin": "k"}, (200, {b"_k": b"0", b"num": b"1"})),
    "cur_jump": ("cur_jump", {"CUR": 1}, OK),
    "cur_get": ("cur_get", {"CUR": 1}, NO_RECORD),
}
GONE = {"remove", "remove_bulk", "remove_bulk, atomic"}
MADE = {"add": b"w", "append": b"w", "cas without an old value": b"w", "increment": struct.pack(">q", 7)}


@pytest.mark.parametrize("name", CORPSE)
def test_an_expired_record_is_as_good_as_gone(wire: Wire, clock: Clock, name: str) -> None:
    procedure, parameters, outcome = CORPSE[name]
    wire.call("set", key="k", value="v", xt=1)
    clock.advance(3)
    assert wire.call("status").values[b"count"] == b"1"
    wire.call("cur_jump", CUR=1)
    assert wire.call(procedure, **parameters) == outcome
    assert wire.call("status").values[b"count"] == (b"0" if name in GONE else b"1")
    made = MADE.get(name)
    assert wire.call("get", key="k") == (NO_RECORD if made is None else (200, {b"value": made}))


def test_expired_records_take_their_share_of_the_matches(wire: Wire, clock: Clock) -> None:
    wire.call("set", key="a", value="v", xt=1)
    wire.call("set", key="b", value="v")
    clock.advance(3)
    assert wire.call("match_prefix", prefix="", max=1).values == {b"_a": b"0", b"num": b"1"}


def test_a_vacuum_takes_them_away(wire: Wire, clock: Clock) -> None:
    for number in range(100):
        wire.call("set", key=number, value="v", xt=number % 2 or 100)
    clock.advance(3)
    assert wire.call("vacuum") == OK
    assert wire.call("status").values[b"count"] == b"50"


# --- Matches: section 6.1

KEYS = [b"", b"a", b"ab", b"abc", b"b", b"z", b"\xc3\xa4", b"\xff\xfe"]
MATCHES: dict[str, tuple[str, dict[str, Any], list[bytes]]] = {
    "prefix of all": ("match_prefix", {"prefix": ""}, KEYS),
    "prefix": ("match_prefix", {"prefix": "a"}, [b"a", b"ab", b"abc"]),
    "prefix of none": ("match_prefix", {"prefix": "q"}, []),
    "binary prefix": ("match_prefix", {"prefix": b"\xff"}, [b"\xff\xfe"]),
    "the first": ("match_prefix", {"prefix": "", "max": 2}, KEYS[:2]),
    "none": ("match_prefix", {"prefix": "", "max": 0}, []),
    "any number": ("match_prefix", {"prefix": "", "max": -1}, KEYS),
    "regex": ("match_regex", {"regex": "^ab?$"}, [b"a", b"ab"]),
    "regex, the first": ("match_regex", {"regex": "b", "max": 2}, [b"ab", b"abc"]),
    "regex, none": ("match_regex", {"regex": "b", "max": 0}, []),
    "regex, case counts": ("match_regex", {"regex": "A"}, []),
    "regex, extended": ("match_regex", {"regex": "^(ab|z)+$"}, [b"ab", b"z"]),
    "regex, empty": ("match_regex", {"regex": ""}, KEYS),
    "similar": ("match_similar", {"origin": "ab"}, [b"ab", b"a", b"abc", b"b"]),
    "similar, the closest": ("match_similar", {"origin": "ab", "max": 2}, [b"ab", b"a"]),
    "similar, none": ("match_similar", {"origin": "ab", "max": 0}, []),
    "similar, the same": ("match_similar", {"origin": "ab", "range": 0}, [b"ab"]),
    "similar, far": ("match_similar", {"origin": "ab", "range": 2},
                     [b"ab", b"a", b"abc", b"b", b"", b"z", b"\xc3\xa4", b"\xff\xfe"]),
    "similar, negative": ("match_similar", {"origin": "ab", "range": -5}, [b"ab", b"a", b"abc", b"b"]),
    "similar, by bytes": ("match_similar", {"origin": "", "range": 1}, [b"", b"a", b"b", b"z"]),
    "similar, by characters": ("match_similar", {"origin": "", "range": 1, "utf": 0},
                               [b"", b"a", b"b", b"z", b"\xc3\xa4"]),
}  # fmt: skip


@pytest.fixture
def keys(wire: Wire) -> Wire:
    wire.call("set_bulk", {b"_" + key: b"value" for key in KEYS})
    return wire


@pytest.mark.parametrize(("procedure", "parameters", "found"), MATCHES.values(), ids=MATCHES)
def test_matches_have_ranks(keys: Wire, procedure: str, parameters: dict[str, Any], found: list[bytes]) -> None:
    ranks = {b"_" + key: b"%d" % rank for rank, key in enumerate(found)}
    assert keys.call(procedure, **parameters) == (200, ranks | {b"num": b"%d" % len(found)})


@pytest.mark.parametrize("regex", ["(", "[", "(?i)a", "a{2,1}", "*"])
def test_what_is_no_expression(keys: Wire, regex: str) -> None:
    assert keys.call("match_regex", regex=regex) == Failure.BAD_REGEX.reply


def test_any_number_of_keys_is_found(wire: Wire) -> None:
    keys = [b"%05d" % number for number in range(1500)]
    wire.call("set_bulk", {b"_" + key: b"" for key in keys})
    for procedure, parameters in [("match_prefix", {"prefix": "0"}), ("match_regex", {"regex": "^0"})]:
        found = wire.call(procedure, **parameters).values
        assert found.pop(b"num") == b"1500"
        assert [key[1:] for key in sorted(found, key=lambda key: int(found[key]))] == keys


# --- Bulks


@pytest.mark.parametrize("atomic", [False, True])
def test_a_bulk_of_any_number(wire: Wire, atomic: bool) -> None:
    marks: dict[str, Any] = {"atomic": ""} if atomic else {}
    records = {b"_%d" % number: b"v%d" % number for number in range(1300)}
    assert wire.call("set_bulk", records, **marks) == num(1300)
    found = wire.call("get_bulk", dict.fromkeys([*records, b"_none"], b""), **marks).values
    assert found == records | {b"num": b"1300"}
    assert wire.call("remove_bulk", dict.fromkeys([*records, b"_none"], b""), **marks) == num(1300)


def test_bulks_give_all_records_one_expiry(wire: Wire, clock: Clock) -> None:
    wire.call("set_bulk", _a="1", _b="2", xt=100)
    for key in "ab":
        assert wire.call("check", key=key).values[b"xt"] == b"%d" % (int(clock()) + 100)


@pytest.mark.parametrize("atomic", [False, True])
def test_a_bulk_that_does_not_fit_is_an_error_and_an_atomic_one_changes_nothing(atomic: bool) -> None:
    with serving("%#max_size=1m") as server, connect(server) as wire:
        marks: dict[str, Any] = {"atomic": ""} if atomic else {}
        records = {b"_%d" % number: b"small" for number in range(1000)} | {b"_big": bytes(200_000)}
        status, values = wire.call("set_bulk", records, **marks)
        assert status == 500
        assert values[b"ERROR"].startswith(b"DB: 9: system error: ")
        assert wire.call("get", key="big").status == 450
        assert (wire.call("status").values[b"count"] == b"0") is atomic


def test_a_reply_of_more_than_the_limit_is_an_error() -> None:
    with serving("%", max_reply=1 << 20) as server, connect(server) as wire:
        wire.call("set_bulk", {b"_%d" % number: bytes(100_000) for number in range(12)})
        assert wire.call("get_bulk", {b"_%d" % number: b"" for number in range(10)}).status == 200
        status, values = wire.call("get_bulk", {b"_%d" % number: b"" for number in range(12)})
        assert (status, values[b"ERROR"][:24]) == (500, b"DB: 2: invalid operation")


@pytest.mark.parametrize("procedure", ["set", "add", "append"])
def test_a_record_that_does_not_fit_is_an_error(procedure: str) -> None:
    with serving("%#max_size=1m") as server, connect(server) as wire:
        status, values = wire.call(procedure, key="k", value=bytes(200_000))
        assert status == 500
        assert values[b"ERROR"].startswith(b"DB: 9: system error: ")
        assert b"raise max_size" in values[b"ERROR"]
        assert wire.call(procedure, key="k", value="v") == OK


# --- Commands of synchronize


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    directory = tmp_path / "commands"
    directory.mkdir()
    for name, line in {"note": f'echo "$1 $2" > {tmp_path}/noted', "fail": "exit 3"}.items():
        (directory / name).write_text(f"#!/bin/sh\n{line}\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.mark.parametrize("kind", ["%", "*", "{}/x.kct"])
def test_a_command_is_given_path_and_time(commands: Path, tmp_path: Path, clock: Clock, kind: str) -> None:
    path = kind.format(tmp_path)
    with serving(path, command_directory=commands, clock=clock) as server, connect(server) as wire:
        assert wire.call("synchronize", command="note") == OK
        assert (tmp_path / "noted").read_text() == f"{path} {int(clock() * 1e9):020d}\n"


@pytest.mark.parametrize("command", ["fail", "none", "../commands/note", "/bin/true", "..", b"note\0"])
def test_a_command_that_fails_or_is_none_is_an_error(commands: Path, tmp_path: Path, command: str) -> None:
    with serving(f"{tmp_path}/x.kct", command_directory=commands) as server, connect(server) as wire:
        assert wire.call("synchronize", command=command) == Failure.COMMAND_FAILED.reply
        assert not (tmp_path / "noted").exists()


# --- A database that never expires anything: section 3.7


def test_without_expiry_an_xt_is_accepted_and_ignored(clock: Clock) -> None:
    with serving("%#ktopts=p", clock=clock) as server, connect(server) as wire:
        assert wire.call("set", key="k", value="v", xt=1) == OK
        clock.advance(100)
        assert wire.call("get", key="k") == (200, {b"value": b"v"})
        assert wire.ask(encode_request(GetBulk([(0, b"k")]))).endswith(b"\x7f" + b"\xff" * 7 + b"kv")
