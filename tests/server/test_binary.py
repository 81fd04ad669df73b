"""Requests of the binary protocol, down to the bytes: protocol reference, section 1."""

from __future__ import annotations

from struct import pack

import pytest

from kt_core.server import Server
from kt_core.wire.kt_binary import (
    NEVER_XT,
    XT_MAX,
    GetBulk,
    GetReply,
    PlayScript,
    RemoveBulk,
    SetBulk,
    encode_reply,
    encode_request,
)
from tests.clock import Clock
from tests.server.exchange import Wire, connect, rpc
from tests.server.running import serving

NEVER = "7fffffffffffffff"
TOLD_NEVER = "000000ffffffffff"

# What is sent, and what comes back; the first ones are captures of the reference.
EXCHANGES: dict[str, list[tuple[str, str]]] = {
    "one record, captured": [
        ("b8 00000000 00000001 0000 00000003 00000005 0000000000000064 6b6579 76616c7565", "b8 00000001"),
        (
            "ba 00000000 00000002 0000 00000003 6b6579 0000 00000003 6e6f70",
            "ba 00000001 0000 00000003 00000005 000000006553f164 6b6579 76616c7565",
        ),
    ],
    "a script, without scripts": [
        ("b4 00000000 00000005 00000001 68656c6c6f 00000001 00000001 6b 76", "bf"),
        ("ba 00000000 00000000", "ba 00000000"),
    ],
    "never": [
        (f"b8 00000000 00000001 0000 00000001 00000001 {NEVER} 6b 76", "b8 00000001"),
        ("ba 00000000 00000001 0000 00000001 6b", f"ba 00000001 0000 00000001 00000001 {TOLD_NEVER} 6b 76"),
    ],
    "nothing": [
        ("b8 00000000 00000000", "b8 00000000"),
        ("b9 00000000 00000000", "b9 00000000"),
        ("ba 00000000 00000000", "ba 00000000"),
    ],
    "what is not there": [
        ("ba 00000000 00000001 0000 00000001 6b", "ba 00000000"),
        ("b9 00000000 00000001 0000 00000001 6b", "b9 00000000"),
    ],
    "empty key, empty value": [
        (f"b8 00000000 00000001 0000 00000000 00000000 {NEVER}", "b8 00000001"),
        ("ba 00000000 00000001 0000 00000000", f"ba 00000001 0000 00000000 00000000 {TOLD_NEVER}"),
        ("b9 00000000 00000001 0000 00000000", "b9 00000001"),
        ("ba 00000000 00000001 0000 00000000", "ba 00000000"),
    ],
    "a key again": [
        (f"b8 00000000 00000002 {f'0000 00000001 00000001 {NEVER} 6b 76' * 2}", "b8 00000002"),
        (
            f"ba 00000000 00000002 {'0000 00000001 6b' * 2}",
            f"ba 00000002 {f'0000 00000001 00000001 {TOLD_NEVER} 6b 76' * 2}",
        ),
        (f"b9 00000000 00000002 {'0000 00000001 6b' * 2}", "b9 00000001"),
    ],
    "the last of two values": [
        (
            f"b8 00000000 00000002 0000 00000001 00000001 {NEVER} 6b 31 0000 00000001 00000001 {NEVER} 6b 32",
            "b8 00000002",
        ),
        ("ba 00000000 00000001 0000 00000001 6b", f"ba 00000001 0000 00000001 00000001 {TOLD_NEVER} 6b 32"),
    ],
    "databases of their own, and one that is none": [
        (
            f"b8 00000000 00000003 0000 00000001 00000001 {NEVER} 6b 30"
            f"0001 00000001 00000001 {NEVER} 6b 31 0009 00000001 00000001 {NEVER} 6b 39",
            "b8 00000002",
        ),
        (
            "ba 00000000 00000003 0001 00000001 6b 0009 00000001 6b 0000 00000001 6b",
            f"ba 00000002 0001 00000001 00000001 {TOLD_NEVER} 6b 31 0000 00000001 00000001 {TOLD_NEVER} 6b 30",
        ),
        ("b9 00000000 00000002 0009 00000001 6b 0001 00000001 6b", "b9 00000001"),
        ("ba 00000000 00000001 0001 00000001 6b", "ba 00000000"),
    ],
    "only a database that is none": [
        (f"b8 00000000 00000001 0009 00000001 00000001 {NEVER} 6b 76", "b8 00000000"),
        ("ba 00000000 00000001 ffff 00000001 6b", "ba 00000000"),
        ("b9 00000000 00000001 0002 00000001 6b", "b9 00000000"),
    ],
    "other flags": [
        (f"b8 fffffffe 00000001 0000 00000001 00000001 {NEVER} 6b 76", "b8 00000001"),
        ("ba ffffffff 00000001 0000 00000001 6b", f"ba 00000001 0000 00000001 00000001 {TOLD_NEVER} 6b 76"),
        ("b9 fffffffe 00000001 0000 00000001 6b", "b9 00000001"),
    ],
    "expired before it was stored": [
        (f"b8 00000000 00000001 0000 00000001 00000001 {NEVER} 6b 76", "b8 00000001"),
        ("b8 00000000 00000001 0000 00000001 00000001 ffffffffffffffff 6b 76", "b8 00000001"),
        ("ba 00000000 00000001 0000 00000001 6b", "ba 00000000"),
        ("b9 00000000 00000001 0000 00000001 6b", "b9 00000000"),
    ],
}


@pytest.mark.parametrize("exchanges", EXCHANGES.values(), ids=EXCHANGES)
def test_exchanges(wire: Wire, exchanges: list[tuple[str, str]]) -> None:
    for request, reply in exchanges:
        assert wire.ask(bytes.fromhex(request)).hex() == bytes.fromhex(reply).hex()


@pytest.mark.parametrize("exchanges", EXCHANGES.values(), ids=EXCHANGES)
def test_exchanges_sent_all_at_once(wire: Wire, exchanges: list[tuple[str, str]]) -> None:
    wire.send(b"".join(bytes.fromhex(request) for request, _ in exchanges))
    wire.end()
    assert wire.rest().hex() == "".join(bytes.fromhex(reply).hex() for _, reply in exchanges)


def test_where_records_do_not_expire_no_expiry_is_told() -> None:
    with serving("%#ktopts=p") as server, connect(server) as wire:
        wire.ask(encode_request(SetBulk([(0, b"k", b"v", 100), (0, b"j", b"v", -1)])))
        expected = encode_reply(GetReply([(0, b"k", b"v", NEVER_XT), (0, b"j", b"v", NEVER_XT)]))
        assert wire.ask(encode_request(GetBulk([(0, b"k"), (0, b"j")]))) == expected
        assert wire.ask(encode_request(GetBulk([(0, b"k")]))) == encode_reply(GetReply([(0, b"k", b"v", NEVER_XT)]))


# --- Without a reply

SILENT = {
    "set one": SetBulk([(0, b"new", b"v", NEVER_XT)], no_reply=True),
    "set two": SetBulk([(0, b"new", b"v", NEVER_XT), (1, b"new", b"v", NEVER_XT)], no_reply=True),
    "remove": RemoveBulk([(0, b"old")], no_reply=True),
    "remove nothing": RemoveBulk([(0, b"none")], no_reply=True),
    "script": PlayScript(b"f", [], no_reply=True),
}


@pytest.mark.parametrize("request_", SILENT.values(), ids=SILENT)
def test_a_request_that_wants_no_reply_gets_none_and_is_done_before_the_next(wire: Wire, request_: SetBulk) -> None:
    wire.call("set", key="old", value="v")
    wire.send(encode_request(request_))
    reply = wire.call("get_bulk", _old="", _new="")
    expected = {"set": {b"_old": b"v", b"_new": b"v"}, "remove": {}}
    kind = "set" if isinstance(request_, SetBulk) else "remove" if b"old" in encode_request(request_) else ""
    values = {name: value for name, value in reply.values.items() if name != b"num"}
    assert values == expected.get(kind, {b"_old": b"v"})


# --- Many and much


@pytest.mark.parametrize("count", [2, 511, 512, 513, 1300])
@pytest.mark.parametrize("databases", [1, 2, 3])
def test_any_number_of_records(wire: Wire, count: int, databases: int) -> None:
    """More than one slice of a turn, and more than one database, one of which is none."""
    records = [(number % databases, b"%d" % number, b"v%d" % number, NEVER_XT) for number in range(count)]
    records += [(0, b"again", b"%d" % number, NEVER_XT) for number in range(3)]
    served = [record for record in records if record[0] < 2]
    assert wire.ask(encode_request(SetBulk(records))) == pack(">BI", 0xB8, len(served))
    keys = [(database, key) for database, key, _, _ in records] + [(0, b"missing"), (2, b"1")]
    last = {(database, key): value for database, key, value, _ in served}
    found = [(database, key, last[database, key], XT_MAX) for database, key in keys if (database, key) in last]
    assert wire.ask(encode_request(GetBulk(keys))) == encode_reply(GetReply(found))
    assert wire.ask(encode_request(RemoveBulk(keys))) == pack(">BI", 0xB9, len(last))
    assert wire.ask(encode_request(GetBulk(keys))) == pack(">BI", 0xBA, 0)


def test_a_value_of_many_megabytes(wire: Wire) -> None:
    value = bytes(range(256)) * (20 << 12)
    assert wire.ask(encode_request(SetBulk([(0, b"k", value, NEVER_XT)]))) == bytes.fromhex("b800000001")
    expected = encode_reply(GetReply([(0, b"k", value, XT_MAX)]))
    assert wire.ask(encode_request(GetBulk([(0, b"k")]))) == expected
    assert wire.ask(encode_request(GetBulk([(0, b"k"), (0, b"k")])))[5:] == expected[5:] * 2


def test_others_are_answered_while_a_long_request_is_at_work(wire: Wire, server: Server) -> None:
    with connect(server) as other:
        keys = [(0, b"%d" % number) for number in range(50_000)]
        wire.send(encode_request(SetBulk([(0, key, b"v", NEVER_XT) for _, key in keys])))
        counts = []
        while not counts or counts[-1] < len(keys):
            counts.append(int(other.call("status").values[b"count"]))
        assert len(set(counts)) > 3
        assert wire.read(5) == pack(">BI", 0xB8, len(keys))


@pytest.mark.parametrize("databases", [1, 2])
def test_a_reply_of_more_than_the_limit_is_refused_before_it_is_made(databases: int) -> None:
    """A small request must not fetch more than there is memory for."""
    with serving("%", "*", max_reply=1 << 20) as server, connect(server) as wire:
        records = [(database, b"k", bytes(10_000), NEVER_XT) for database in range(databases)]
        wire.ask(encode_request(SetBulk(records)))
        keys = [(number % databases, b"k") for number in range(104)]
        assert len(wire.ask(encode_request(GetBulk(keys)))) > 1_000_000
        wire.send(encode_request(GetBulk([*keys, *keys])))
        assert wire.rest() == b"\xbf"
        with connect(server) as other:
            assert other.call("get", key="k").status == 200


# --- What fails


@pytest.mark.parametrize("count", [1, 2, 600])
@pytest.mark.parametrize("no_reply", [False, True])
def test_what_does_not_fit_is_an_error_that_ends_the_connection(count: int, no_reply: bool) -> None:
    with serving("%#max_size=1m", "*") as server:
        value = bytes(100_000)
        records = [(0, b"%d" % number, b"small", NEVER_XT) for number in range(count - 1)]
        with connect(server) as wire:
            wire.send(encode_request(SetBulk([*records, (0, b"k", value, NEVER_XT)], no_reply)))
            assert wire.rest() == (b"" if no_reply else b"\xbf")
        with connect(server) as wire:
            assert wire.call("get", key="k").status == 450
            assert wire.call("set", key="k", value="v").status == 200


def test_a_key_is_found_by_all_of_it(wire: Wire, clock: Clock) -> None:
    """Long ones have only a part of them in the index."""
    keys = [b"x" * 600 + suffix for suffix in (b"a", b"b", b"", b"\0")]
    for key in keys[:2]:
        wire.ask(encode_request(SetBulk([(0, key, key[-1:], NEVER_XT)])))
    reply = wire.ask(encode_request(GetBulk([(0, key) for key in keys])))
    assert reply == encode_reply(GetReply([(0, key, key[-1:], XT_MAX) for key in keys[:2]]))
    for key in keys:
        assert wire.ask(encode_request(GetBulk([(0, key)])))[4] == (key in keys[:2])


def test_scripts_are_refused_and_the_connection_goes_on(wire: Wire) -> None:
    for _ in range(3):
        assert wire.ask(encode_request(PlayScript(b"f", [(b"k", b"v")]))) == b"\xbf"
    assert wire.ask(rpc("void")).startswith(b"HTTP/1.1 200")
