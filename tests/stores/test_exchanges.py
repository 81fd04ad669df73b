"""What several exchanges come to when others write in between, played with written replies."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kt_cache.stores import KEEP
from kt_cache.stores.exchanges import Exchanges
from kt_core.errors import CounterOverflow, InvalidInput, NotACounter, ServerError
from kt_core.kyoto import operations as ops
from kt_core.kyoto.operations import Found
from kt_core.number import INTEGER
from kt_core.wire.exchange import Flow, Op
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX
from kt_core.wire.kt_rpc import RpcReply
from tests.clock import Clock

NOW = 1_700_000_000
DB, KEY = 3, b"k"
EXCHANGES = Exchanges(DB, Clock(NOW + 0.75))
NEVER = Found(b"old", XT_MAX)

GET = ops.get(DB, KEY)


def counter(number: int, xt: int = XT_MAX) -> Found:
    return Found(INTEGER.pack(number), xt)


def play(flow: Flow[Any], *lines: tuple[Op[Any], Any]) -> Any:
    """Run a flow that must ask exactly this, and is answered as written; return its result."""
    answer: Any = None
    for expected, reply in lines:
        assert flow.send(answer).payload == expected.payload
        answer = reply
    with pytest.raises(StopIteration) as end:
        flow.send(answer)
    return end.value.value


def put(old: int, new: int, xt: int = NEVER_XT) -> Op[bool]:
    return ops.cas(DB, KEY, INTEGER.pack(old), INTEGER.pack(new), xt)


# -- touching ----------------------------------------------------------------------------------------------


def test_touch_puts_a_value_in_its_own_place() -> None:
    flow = EXCHANGES.touch(KEY, 10)
    assert play(flow, (GET, NEVER), (ops.cas(DB, KEY, b"old", b"old", 10), True)) is True


def test_touch_goes_on_with_what_somebody_else_has_stored() -> None:
    lines = [
        (GET, NEVER),
        (ops.cas(DB, KEY, b"old", b"old", 10), False),
        (GET, Found(b"new", NOW)),
        (ops.cas(DB, KEY, b"new", b"new", 10), True),
    ]
    assert play(EXCHANGES.touch(KEY, 10), *lines) is True


def test_touch_ends_when_the_record_is_gone() -> None:
    flow = EXCHANGES.touch(KEY, 10)
    assert play(flow, (GET, NEVER), (ops.cas(DB, KEY, b"old", b"old", 10), False), (GET, None)) is False


def test_touched_together_those_that_somebody_else_has_changed_are_touched_again() -> None:
    reading = ops.get_bulk([(DB, KEY), (DB, b"l"), (DB, b"none")])
    found = [(DB, KEY, b"old", XT_MAX), (DB, b"l", b"other", NOW)]
    puts = [ops.cas(DB, KEY, b"old", b"old", 10), ops.cas(DB, b"l", b"other", b"other", 10)]
    lines = [
        (reading, found),
        (ops.together(puts), [False, True]),
        (GET, Found(b"new", NOW)),
        (ops.cas(DB, KEY, b"new", b"new", 10), True),
    ]
    flow = EXCHANGES.touch_many([KEY, b"l", b"none", KEY], 10)
    assert sorted(play(flow, *lines)) == [KEY, b"l"]


def test_touched_together_those_that_have_gone_meanwhile_are_not_named() -> None:
    lines = [
        (ops.get_bulk([(DB, KEY)]), [(DB, KEY, b"old", XT_MAX)]),
        (ops.together([ops.cas(DB, KEY, b"old", b"old", 10)]), [False]),
        (GET, None),
    ]
    assert play(EXCHANGES.touch_many([KEY], 10), *lines) == []


# -- comparing and keeping ---------------------------------------------------------------------------------


def test_keeping_sends_the_expiry_that_was_read() -> None:
    flow = EXCHANGES.compare_and_set(KEY, b"old", b"new", KEEP)
    lines = [(GET, Found(b"old", NOW + 50)), (ops.cas(DB, KEY, b"old", b"new", -(NOW + 50)), True)]
    assert play(flow, *lines) is True


def test_keeping_loses_to_whoever_was_faster() -> None:
    flow = EXCHANGES.compare_and_set(KEY, b"old", b"new", KEEP)
    assert play(flow, (GET, NEVER), (ops.cas(DB, KEY, b"old", b"new", -XT_MAX), False)) is False


@pytest.mark.parametrize("found", [None, Found(b"other", XT_MAX)])
def test_keeping_asks_no_more_when_the_old_value_is_not_there(found: Found | None) -> None:
    assert play(EXCHANGES.compare_and_set(KEY, b"old", b"new", KEEP), (GET, found)) is False


@pytest.mark.parametrize(("old", "new"), [(None, b"new"), (b"old", None), (None, None)])
def test_there_is_nothing_to_keep_where_nothing_was_or_shall_be(old: bytes | None, new: bytes | None) -> None:
    assert play(EXCHANGES.compare_and_set(KEY, old, new, KEEP), (ops.cas(DB, KEY, old, new), True)) is True


# -- counting ----------------------------------------------------------------------------------------------


def test_incr_begins_anew_when_the_counter_is_gone_in_between() -> None:
    lines = [(GET, counter(5)), (ops.increment(DB, KEY, 2, "try", -XT_MAX), None), (GET, None)]
    assert play(EXCHANGES.incr(KEY, 2, None, None), *lines) is None


def test_incr_refuses_what_has_taken_the_counters_place_in_between() -> None:
    flow = EXCHANGES.incr(KEY, 2, None, None)
    assert flow.send(None).payload == GET.payload
    assert flow.send(counter(5, NOW)).payload == ops.increment(DB, KEY, 2, "try", -NOW).payload
    assert flow.send(None).payload == GET.payload
    with pytest.raises(NotACounter):
        flow.send(Found(b"text", NOW))


def test_incr_adds_to_what_somebody_else_has_begun() -> None:
    lines = [
        (GET, None),
        (ops.add(DB, KEY, INTEGER.pack(12), 60), False),
        (GET, counter(100, NOW + 9)),
        (ops.increment(DB, KEY, 2, "try", -(NOW + 9)), 102),
    ]
    assert play(EXCHANGES.incr(KEY, 2, 10, 60), *lines) == 102


def test_incr_returns_what_others_have_made_of_it() -> None:
    lines = [(GET, counter(5)), (ops.increment(DB, KEY, 2, "try", -XT_MAX), 70)]
    assert play(EXCHANGES.incr(KEY, 2, None, None), *lines) == 70


@pytest.mark.parametrize(
    ("delta", "wrapped"), [(9, (1 << 63) - 3 + 9 - (1 << 64)), (-9, -(1 << 63) + 3 - 9 + (1 << 64))]
)
def test_incr_undoes_it_when_others_have_brought_the_counter_to_its_end(delta: int, wrapped: int) -> None:
    flow = EXCHANGES.incr(KEY, delta, None, None)
    assert flow.send(None).payload == GET.payload
    assert flow.send(counter(0)).payload == ops.increment(DB, KEY, delta, "try", -XT_MAX).payload
    assert flow.send(wrapped).payload == ops.increment(DB, KEY, -delta, "try", -XT_MAX).payload
    with pytest.raises(CounterOverflow):
        flow.send(wrapped - delta)


@pytest.mark.parametrize(
    ("start", "delta"), [(1 << 62, 1), (-(1 << 62), -1), (0, 1 << 62), (-(1 << 62), -(1 << 62)), (-(1 << 63), 1 << 63)]
)
def test_incr_compares_where_the_server_could_go_round(start: int, delta: int) -> None:
    lines = [(GET, counter(start, NOW + 5)), (put(start, start + delta, -(NOW + 5)), True)]
    assert play(EXCHANGES.incr(KEY, delta, None, None), *lines) == start + delta


def test_incr_compares_again_until_nobody_was_faster() -> None:
    start = 1 << 62
    lines = [
        (GET, counter(start)),
        (put(start, start + 1, -XT_MAX), False),
        (GET, counter(start + 5)),
        (put(start + 5, start + 6, -XT_MAX), True),
    ]
    assert play(EXCHANGES.incr(KEY, 1, None, None), *lines) == start + 6


def test_incr_by_nothing_only_reads() -> None:
    assert play(EXCHANGES.incr(KEY, 0, None, None), (GET, counter(5))) == 5


def reading(*keys: bytes) -> Op[Any]:
    return ops.get_bulk([(DB, key) for key in keys])


def found(key: bytes, number: int, xt: int = XT_MAX) -> tuple[int, bytes, bytes, int]:
    return DB, key, INTEGER.pack(number), xt


def test_many_counters_are_read_at_once_and_added_to_at_once() -> None:
    adds = [ops.increment(DB, KEY, 2, "try", -XT_MAX), ops.increment(DB, b"l", 3, "try", -NOW)]
    lines = [(reading(KEY, b"l"), [found(KEY, 5), found(b"l", 6, NOW)]), (ops.together(adds), [7, 9])]
    assert play(EXCHANGES.incr_many({KEY: 2, b"l": 3}, None, None), *lines) == {KEY: 7, b"l": 9}


def test_of_many_counters_one_that_is_gone_in_between_begins_anew() -> None:
    lines = [
        (reading(KEY), [found(KEY, 5)]),
        (ops.together([ops.increment(DB, KEY, 2, "try", -XT_MAX)]), [None]),
        (GET, None),
        (ops.add(DB, KEY, INTEGER.pack(12), 60), True),
    ]
    assert play(EXCHANGES.incr_many({KEY: 2}, 10, 60), *lines) == {KEY: 12}


def test_of_many_counters_one_that_others_have_brought_to_its_end_is_put_right() -> None:
    wrapped = (1 << 63) - 3 + 9 - (1 << 64)
    lines = [
        (reading(KEY), [found(KEY, 0)]),
        (ops.together([ops.increment(DB, KEY, 9, "try", -XT_MAX)]), [wrapped]),
        (ops.increment(DB, KEY, -9, "try", -XT_MAX), wrapped - 9),
    ]
    sums = play(EXCHANGES.incr_many({KEY: 9}, None, None), *lines)
    assert isinstance(sums[KEY], CounterOverflow)


def test_of_many_counters_those_near_their_end_are_compared_one_by_one() -> None:
    large = 1 << 62
    lines = [
        (reading(KEY), [found(KEY, large, NOW + 5)]),
        (GET, counter(large, NOW + 5)),
        (put(large, large + 1, -(NOW + 5)), True),
    ]
    assert play(EXCHANGES.incr_many({KEY: 1}, None, None), *lines) == {KEY: large + 1}


# -- times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "xt"),
    [
        (1e-9, 1), (0.5, 1), (1, 1), (1.0, 1), (1.001, 2), (59.5, 60), (XT_MAX - 1, XT_MAX - 1),
        (XT_MAX, NEVER_XT), (1e300, NEVER_XT), (math.inf, NEVER_XT), (None, NEVER_XT),
    ],
)  # fmt: skip
def test_a_timeout_is_rounded_up(timeout: float | None, xt: int) -> None:
    assert EXCHANGES.set(KEY, b"v", timeout).payload == ops.set_bulk([(DB, KEY, b"v", xt)]).payload
    assert EXCHANGES.add(KEY, b"v", timeout).payload == ops.add(DB, KEY, b"v", xt).payload


@pytest.mark.parametrize(
    ("when", "xt"),
    [(NOW + 0.8, -NOW), (NOW + 60, -(NOW + 60)), (NOW + 60.9, -(NOW + 60)), (2e12, NEVER_XT), (math.inf, NEVER_XT)],
)
def test_a_time_to_come_is_sent_as_it_is(when: float, xt: int) -> None:
    flow = EXCHANGES.expire_at(KEY, when)
    assert play(flow, (GET, NEVER), (ops.cas(DB, KEY, b"old", b"old", xt), True)) is True


@pytest.mark.parametrize("when", [NOW + 0.75, NOW, 0, -1, -math.inf])
def test_a_time_past_deletes(when: float) -> None:
    assert play(EXCHANGES.expire_at(KEY, when), (ops.remove_bulk([(DB, KEY)]), True)) is True


@pytest.mark.parametrize(
    ("xt", "left"),
    [(NOW + 60, 60.0), (NOW + 1, 1.0), (NOW, 1.0), (NOW - 5, 1.0), (XT_MAX, math.inf), (NEVER_XT, math.inf)],
)
def test_the_time_left_is_whole_seconds_and_never_nothing(xt: int, left: float) -> None:
    assert EXCHANGES._left((8, xt)) == left


@pytest.mark.parametrize(
    "operation",
    [
        lambda: EXCHANGES.touch(KEY, math.nan),
        lambda: next(EXCHANGES.touch_many([KEY], math.nan)),
        lambda: next(EXCHANGES.incr_many({KEY: 1}, None, math.nan)),
        lambda: EXCHANGES.incr(KEY, 1, None, math.nan),
        lambda: EXCHANGES.compare_and_set(KEY, None, b"v", math.nan),
        lambda: EXCHANGES.expire_at(KEY, math.nan),
    ],
    ids=["touch", "touch_many", "incr_many", "incr", "compare_and_set", "expire_at"],
)
def test_nan_is_refused_before_anything_is_asked(operation: Any) -> None:
    with pytest.raises(InvalidInput, match="NaN"):
        operation()


# -- walking -----------------------------------------------------------------------------------------------


def answer(flow: Flow[Any], *replies: Any) -> tuple[list[bytes], Any]:
    """Answer a flow's exchanges as given; return the requests, and the result."""
    requests = [flow.send(reply).payload for reply in (None, *replies[:-1])]
    with pytest.raises(StopIteration) as end:
        flow.send(replies[-1])
    return requests, end.value.value


EIGHT = [b"b%d" % number for number in range(8)]


def test_a_walk_in_order_begins_at_the_prefix_and_ends_behind_it() -> None:
    requests, found = answer(EXCHANGES.keys(b"b"), True, True, EIGHT, [*EIGHT, *EIGHT[1:], b"c"], True)
    assert b"POST /rpc/status" in requests[0]
    assert b"key\tb" in requests[1]
    assert [request.count(b"cur_get_key") for request in requests] == [0, 0, 8, 16, 0]
    assert b"cur_delete" in requests[4]
    assert found == [*EIGHT, *EIGHT, *EIGHT[1:]]


def test_a_walk_goes_by_the_first_bytes_of_a_long_prefix() -> None:
    long = b"k" * 300
    requests, found = answer(EXCHANGES.keys(long), True, True, [long[1:], *[long] * 7], [long + b"1"], True)
    assert b"key\t" + b"k" * 256 + b"\n" in requests[1]
    assert found == [*[long] * 7, long + b"1"]


def test_a_walk_without_order_sees_all_keys() -> None:
    requests, found = answer(EXCHANGES.keys(b"b"), False, True, [*EIGHT[1:], b"c"], [b"a", b"b2"], True)
    assert b"key\t" not in requests[1]
    assert found == [*EIGHT[1:], b"b2"]


def test_a_walk_ends_with_the_last_key() -> None:
    requests, found = answer(EXCHANGES.keys(b""), True, EIGHT[1:], True)
    assert b"cur_jump" in requests[0]
    assert found == EIGHT[1:]


def test_the_batches_of_a_walk_grow_to_a_limit() -> None:
    keys = [b"%d" % number for number in range(256)]
    sizes = (8, 16, 32, 64, 128, 256, 256)
    requests, _ = answer(EXCHANGES.keys(b""), True, *(keys[:size] for size in sizes), [], True)
    assert [request.count(b"cur_get_key") for request in requests] == [0, *sizes, 256, 0]


def test_a_walk_through_nothing_leaves_no_cursor() -> None:
    requests, found = answer(EXCHANGES.keys(b""), False, True)
    assert b"cur_delete" in requests[1]
    assert found == []


def test_no_two_walks_have_the_same_cursor() -> None:
    first, second = (EXCHANGES.keys(b"").send(None).payload for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("status", "ordered"),
    [
        ({b"type": b"33", b"rcomp": b"lexical"}, True),
        ({b"type": b"17"}, True),
        ({b"type": b"49", b"rcomp": b"decimal"}, False),
        ({b"type": b"32"}, False),
        ({}, False),
    ],
)
def test_what_is_in_order_is_known_by_its_type(status: dict[bytes, bytes], ordered: bool) -> None:
    flow = EXCHANGES.keys(b"b")
    reading = flow.send(None)
    assert reading.finish(RpcReply(200, status)) is ordered


def test_a_prefix_with_more_keys_than_a_batch_is_cleared_batch_by_batch() -> None:
    batch = [b"%d" % number for number in range(10_000)]
    match = ops.match_prefix(DB, b"", 10_000)
    lines = [
        (match, batch),
        (ops.remove_bulk([(DB, key) for key in batch]), 9_000),
        (match, [b"last"]),
        (ops.remove_bulk([(DB, b"last")]), 1),
    ]
    assert play(EXCHANGES.clear_prefix(b""), *lines) == 9_001


# -- failures ----------------------------------------------------------------------------------------------


def test_a_database_that_is_not_there_is_an_error_of_set_too() -> None:
    op = EXCHANGES.set(KEY, b"v", None)
    assert op.decoder is not None
    with pytest.raises(ServerError, match="400: no such database: the server has none of the number 3"):
        op.finish(op.decoder.feed(b"\xb8\0\0\0\0"))
