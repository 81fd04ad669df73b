"""Cursors: protocol reference, sections 2.6, 3.5 and 6.3. What a position is, the database's own tests say."""

from __future__ import annotations

from typing import Any

import pytest

from kt_core.server import Server
from kt_core.wire.kt_rpc import Failure
from tests.clock import Clock
from tests.server.exchange import Wire, connect

OK = (200, {})
NO_RECORD = Failure.NO_RECORD.reply
NO_CURSOR = Failure.NO_CURSOR.reply
UNORDERED = Failure.UNORDERED.reply
NAMES = """cur_jump cur_jump_back cur_step cur_step_back cur_set_value cur_remove cur_get_key cur_get_value cur_get
cur_seize cur_delete""".split()  # noqa: SIM905

Step = tuple[str, dict[str, Any], Any]


def at(key: str, value: str = "") -> Step:
    """Where a later look has to find the cursor."""
    return "cur_get", {}, (200, {b"key": key.encode(), b"value": (value or key.upper()).encode()})


NOWHERE: Step = ("cur_get", {}, NO_RECORD)
JUMP: Step = ("cur_jump", {}, OK)
BACK: Step = ("cur_jump_back", {}, OK)


def jump(key: str) -> Step:
    return "cur_jump", {"key": key}, OK


# On a database with the keys b, d and f, whose values are B, D and F; what cursor 1 does.
SEQUENCES: dict[str, list[Step]] = {
    "fresh": [
        NOWHERE,
        *((name, {"value": "v"}, NO_RECORD) for name in NAMES if "jump" not in name and name != "cur_delete"),
    ],
    "jump": [JUMP, at("b"), at("b")],
    "jump to": [jump("d"), at("d")],
    "jump to the next": [jump("c"), at("d")],
    "jump past the end": [JUMP, ("cur_jump", {"key": "g"}, NO_RECORD), NOWHERE, ("cur_step", {}, NO_RECORD)],
    "jump to the empty key": [jump(""), at("b")],
    "jump back": [BACK, at("f")],
    "jump back to": [("cur_jump_back", {"key": "d"}, OK), at("d")],
    "jump back to the one before": [("cur_jump_back", {"key": "e"}, OK), at("d")],
    "jump back before the first": [("cur_jump_back", {"key": "a"}, NO_RECORD), NOWHERE],
    "step": [
        JUMP,
        ("cur_step", {}, OK),
        at("d"),
        ("cur_step", {}, OK),
        at("f"),
        ("cur_step", {}, NO_RECORD),
        NOWHERE,
        JUMP,
    ],
    "step back": [
        BACK,
        ("cur_step_back", {}, OK),
        at("d"),
        ("cur_step_back", {}, OK),
        at("b"),
        ("cur_step_back", {}, NO_RECORD),
        NOWHERE,
    ],
    "parts": [
        JUMP,
        ("cur_get_key", {}, (200, {b"key": b"b"})),
        ("cur_get_value", {}, (200, {b"value": b"B"})),
        at("b"),
    ],
    "a scan": [
        JUMP,
        *((name, {"step": 0}, (200, told)) for name, told in [
            ("cur_get_key", {b"key": b"b"}),
            ("cur_get_value", {b"value": b"D"}),
            ("cur_get", {b"key": b"f", b"value": b"F"}),
        ]),
        ("cur_get", {"step": ""}, NO_RECORD),
    ],
    "set": [
        jump("d"),
        ("cur_set_value", {"value": "v"}, OK),
        at("d", "v"),
        ("cur_set_value", {"value": "w", "step": ""}, OK),
        at("f"),
        jump("d"),
        at("d", "w"),
    ],
    "set without a value": [JUMP, ("cur_set_value", {}, Failure.INVALID.reply), at("b")],
    "remove": [
        JUMP,
        ("cur_remove", {}, OK),
        at("d"),
        ("cur_remove", {}, OK),
        ("cur_remove", {}, OK),
        ("cur_remove", {}, NO_RECORD),
        ("cur_jump", {}, NO_RECORD),
    ],
    "seize": [
        jump("d"),
        ("cur_seize", {}, (200, {b"key": b"d", b"value": b"D"})),
        at("f"),
        ("get", {"key": "d"}, NO_RECORD),
        ("cur_seize", {"step": ""}, (200, {b"key": b"f", b"value": b"F"})),
        ("cur_seize", {}, NO_RECORD),
    ],
    "removed by another": [jump("d"), ("remove", {"key": "d"}, OK), at("f")],
    "cleared": [JUMP, ("clear", {}, OK), NOWHERE, ("set", {"key": "b", "value": "v"}, OK), NOWHERE, JUMP],
    "delete": [JUMP, ("cur_delete", {}, OK), NOWHERE, ("cur_delete", {}, OK)],
    "deleting what is none makes it": [
        ("cur_delete", {"CUR": 7}, (501, {b"ERROR": b"not implemented: cur_delete"})),
        ("cur_delete", {"CUR": 7}, OK),
        ("cur_delete", {"CUR": 7}, (501, {b"ERROR": b"not implemented: cur_delete"})),
    ],
    "the database counts at the first use only": [
        JUMP,
        ("cur_get", {"DB": 1}, (200, {b"key": b"b", b"value": b"B"})),
        ("cur_get", {"DB": "none"}, (200, {b"key": b"b", b"value": b"B"})),
        ("cur_get", {"CUR": 2, "DB": "none"}, NO_CURSOR),
    ],
    "cursors are independent": [
        JUMP,
        ("cur_jump", {"CUR": 2, "key": "f"}, OK),
        at("b"),
        ("cur_get_key", {"CUR": 2}, (200, {b"key": b"f"})),
    ],
}  # fmt: skip


@pytest.mark.parametrize("steps", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences(wire: Wire, steps: list[Step]) -> None:
    wire.call("set_bulk", _b="B", _d="D", _f="F")
    for procedure, parameters, outcome in steps:
        said = wire.call(procedure, **{"CUR": 1, **parameters})
        assert (procedure, parameters, said) == (procedure, parameters, outcome)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cursor", [None, "-1", "-5x"])
def test_a_cursor_needs_a_number(wire: Wire, name: str, cursor: str | None) -> None:
    assert wire.call(name, value="v", **({} if cursor is None else {"CUR": cursor})) == NO_CURSOR


@pytest.mark.parametrize("cursor", ["0", "", "abc", "5x", "9223372036854775807"])
def test_any_number_will_do(wire: Wire, cursor: str) -> None:
    wire.call("set", key="k", value="v")
    assert wire.call("cur_jump", CUR=cursor) == OK
    assert wire.call("cur_get_key", CUR=cursor).values == {b"key": b"k"}


# --- A database that keeps no order


def test_without_an_order_there_is_no_way_back_and_a_jump_is_exact(wire: Wire) -> None:
    wire.call("set_bulk", _b="B", _d="D", DB=1)
    for name, parameters, outcome in [
        ("cur_jump_back", {}, UNORDERED),
        ("cur_step_back", {}, UNORDERED),
        ("cur_jump", {"key": "c"}, NO_RECORD),
        ("cur_get", {}, NO_RECORD),
        ("cur_jump", {"key": "d"}, OK),
        ("cur_get_key", {}, (200, {b"key": b"d"})),
        ("cur_step_back", {}, UNORDERED),
        ("cur_get_key", {}, (200, {b"key": b"d"})),
    ]:
        assert (name, wire.call(name, {}, CUR=1, DB=1, **parameters)) == (name, outcome)


def test_a_scan_without_an_order_finds_every_key_once(wire: Wire) -> None:
    keys = {b"%d" % number for number in range(50)}
    wire.call("set_bulk", {b"_" + key: b"" for key in keys}, DB=1)
    wire.call("cur_jump", CUR=1, DB=1)
    found = []
    while (reply := wire.call("cur_get_key", CUR=1, step="")).status == 200:
        found.append(reply.values[b"key"])
    assert len(found) == 50
    assert set(found) == keys


# --- Expired records: section 3.5


@pytest.fixture
def expired(wire: Wire, clock: Clock) -> Wire:
    """b, d and f live on among the expired a, c, e and g."""
    wire.call("set_bulk", _a="x", _c="x", _e="x", _g="x", xt=1)
    wire.call("set_bulk", _b="B", _d="D", _f="F")
    clock.advance(3)
    return wire


@pytest.mark.parametrize(
    ("jump", "found"),
    [({}, b"b"), ({"key": "c"}, b"d"), ({"key": "d"}, b"d"), ({"key": "g"}, None)],
)
@pytest.mark.parametrize("name", ["cur_get", "cur_get_key", "cur_seize"])
def test_a_jump_onto_an_expired_record_succeeds_and_what_follows_skips_it(
    expired: Wire, jump: dict[str, str], found: bytes | None, name: str
) -> None:
    assert expired.call("cur_jump", {}, CUR=1, **jump) == OK
    assert expired.call(name, CUR=1).values.get(b"key") == found


def test_after_a_move_back_they_are_skipped_backward(expired: Wire) -> None:
    assert expired.call("cur_jump_back", CUR=1) == OK
    assert expired.call("cur_get_key", CUR=1).values == {b"key": b"f"}
    assert expired.call("cur_jump_back", CUR=1, key="c") == OK
    assert expired.call("cur_set_value", CUR=1, value="new") == OK
    assert expired.call("get", key="b").values == {b"value": b"new"}


def test_an_expiry_is_told_and_set(wire: Wire, clock: Clock) -> None:
    wire.call("set", key="k", value="v", xt=100)
    wire.call("cur_jump", CUR=1)
    now = int(clock())
    assert wire.call("cur_get", CUR=1).values == {b"key": b"k", b"value": b"v", b"xt": b"%d" % (now + 100)}
    wire.call("cur_set_value", CUR=1, value="w", xt=200)
    assert wire.call("cur_seize", CUR=1).values == {b"key": b"k", b"value": b"w", b"xt": b"%d" % (now + 200)}


# --- Whose they are


def test_a_cursor_belongs_to_its_connection(wire: Wire, server: Server) -> None:
    wire.call("set_bulk", _b="B", _d="D")
    wire.call("cur_jump", CUR=1, key="d")
    with connect(server) as other:
        assert other.call("cur_get", CUR=1) == NO_RECORD
        assert other.call("cur_jump", CUR=1) == OK
        assert other.call("cur_remove", CUR=1) == OK
    assert wire.call("cur_get_key", CUR=1).values == {b"key": b"d"}


def test_nobody_can_make_any_number_of_them(wire: Wire) -> None:
    wire.call("set", key="k", value="v")
    statuses = [wire.call("cur_jump", CUR=number).status for number in range(1100)]
    assert statuses == [200] * 1024 + [400] * 76
    assert wire.call("cur_get_key", CUR=1023).status == 200
    assert wire.call("cur_delete", CUR=0) == OK
    assert wire.call("cur_jump", CUR=2000) == OK


def test_a_value_that_does_not_fit_leaves_the_cursor_where_it_was(wire: Wire) -> None:
    wire.call("set", key="k", value="v")
    wire.call("cur_jump", CUR=1)
    wire.call("remove", key="k")
    assert wire.call("cur_set_value", CUR=1, value="w") == NO_RECORD
    assert wire.call("cur_get", CUR=1) == NO_RECORD
