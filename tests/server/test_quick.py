"""One record fetched or stored, or one call: what a turn shares, and that all is as the general way has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from kt_core.database import NEVER, Record
from kt_core.errors import KTError, StoreFull
from kt_core.server import quick
from kt_core.server.quick import Lane
from kt_core.server.scratch import Scratch
from kt_core.server.served import ServedDatabase
from kt_core.server.specs import Spec
from kt_core.server.turn import Turn
from kt_core.wire.kt_binary import (
    NEVER_XT,
    XT_MAX,
    GetBulk,
    GetReply,
    PlayScript,
    RequestDecoder,
    SetBulk,
    encode_reply,
    encode_request,
)
from tests.clock import Clock

LONGEST = b"k" * 510


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    scratch = Scratch()
    yield scratch
    scratch.remove()


@pytest.fixture
def open_served(scratch: Scratch, clock: Clock) -> Iterator[Callable[[str], ServedDatabase]]:
    """Return a function that opens a database of the server by its specification."""
    opened: list[ServedDatabase] = []

    def open_one(text: str) -> ServedDatabase:
        served = ServedDatabase.open(Spec.parse(text), len(opened), scratch, clock)
        opened.append(served)
        return served

    yield open_one
    for served in opened:
        served.close()


Work = Callable[[list[Lane], Turn, list[int]], Coroutine[Any, Any, None]]


def run(served: list[ServedDatabase], work: Work) -> None:
    """Run a test in an event loop, with a lane for each database."""

    async def main() -> None:
        turn, counters = Turn(asyncio.get_running_loop()), [0] * 8
        await work(quick.lanes(served, turn, counters), turn, counters)
        await turn.drain()

    asyncio.run(main())


def asked(key: bytes, number: int = 0) -> bytes:
    return encode_request(GetBulk([(number, key)]))


def given(key: bytes, value: bytes, xt: int = NEVER_XT, number: int = 0) -> bytes:
    return encode_request(SetBulk([(number, key, value, xt)]))


def found(key: bytes, value: bytes, xt: int = XT_MAX, number: int = 0) -> bytes:
    return encode_reply(GetReply([(number, key, value, xt)]))


NOTHING = encode_reply(GetReply([]))


async def end_of_turn() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("key", [b"k", b"\1", b"\xff\xff", LONGEST])
@pytest.mark.parametrize("value", [b"", b"v", b"x" * 70_000])
def test_what_was_stored_is_found(open_served: Callable[[str], ServedDatabase], key: bytes, value: bytes) -> None:
    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        outcomes: list[KTError | None] = []
        assert quick.get(lanes, asked(key)) == NOTHING
        assert quick.put(lanes, given(key, value), outcomes.append)
        assert outcomes == []
        await end_of_turn()
        assert outcomes == [None]
        assert quick.get(lanes, asked(key)) == found(key, value)

    run([open_served("%")], work)


def test_expiries_are_the_general_ones(open_served: Callable[[str], ServedDatabase], clock: Clock) -> None:
    served = open_served("%")
    xts = [0, 1, 300, 1 << 40, (1 << 62) + 5, -1, -int(clock()) - 50, -(1 << 40), NEVER_XT, -(1 << 63)]

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        for number, xt in enumerate(xts):
            assert quick.put(lanes, given(b"k%d" % number, b"v", xt), lambda outcome: None)
            await end_of_turn()
        expected = [served.expiry(xt) for xt in xts]
        assert [
            row.expiry if (row := served.database.get_record(b"k%d" % number)) else None for number in range(len(xts))
        ] == [expiry if expiry > clock() * 1000 else None for expiry in expected]
        for number, expiry in enumerate(expected):
            visible = expiry > clock() * 1000
            reply = found(b"k%d" % number, b"v", served.xt(expiry)) if visible else NOTHING
            assert quick.get(lanes, asked(b"k%d" % number)) == reply

    run([served], work)


def test_a_turn_has_one_time_and_one_view(open_served: Callable[[str], ServedDatabase], clock: Clock) -> None:
    served = open_served("%")
    served.database.set(b"k", b"old", clock.after(1))

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        assert quick.get(lanes, asked(b"k")) != NOTHING
        clock.advance(5)
        served.database.set(b"k", b"new")
        assert b"old" in (quick.get(lanes, asked(b"k")) or b"")
        await end_of_turn()
        assert quick.get(lanes, asked(b"k")) == found(b"k", b"new")

    run([served], work)


def test_a_turn_is_one_transaction(open_served: Callable[[str], ServedDatabase]) -> None:
    served = open_served("%")
    served.database.set(b"warm", b"up")

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        outcomes: list[KTError | None] = []
        before = served.environment.handle.info()["last_txnid"]
        for number in range(60):
            assert quick.put(lanes, given(b"k%d" % number, b"v"), outcomes.append)
        await end_of_turn()
        assert outcomes == [None] * 60
        assert served.environment.handle.info()["last_txnid"] == before + 1

    run([served], work)


def test_of_two_values_in_one_turn_the_later_stays(open_served: Callable[[str], ServedDatabase]) -> None:
    served = open_served("%")

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        for value in (b"first", b"second"):
            assert quick.put(lanes, given(b"k", value), lambda outcome: None)
        await end_of_turn()
        assert served.database.get_record(b"k") == Record(b"second", NEVER)

    run([served], work)


def test_it_is_counted_for_the_report_and_for_the_store(open_served: Callable[[str], ServedDatabase]) -> None:
    served = open_served("%")

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        quick.put(lanes, given(b"k", b"v"), lambda outcome: None)
        await end_of_turn()
        for key in (b"k", b"none", b"k"):
            quick.get(lanes, asked(key))
        await end_of_turn()
        assert counters == [1, 0, 0, 0, 3, 1, 0, 0]
        figures = served.environment.counters()
        assert (figures["hits"], figures["misses"]) == (2, 1)

    run([served], work)


def test_each_database_has_its_own_lane(open_served: Callable[[str], ServedDatabase]) -> None:
    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        assert quick.put(lanes, given(b"k", b"zero"), lambda outcome: None)
        assert quick.put(lanes, given(b"k", b"one", number=1), lambda outcome: None)
        await end_of_turn()
        assert quick.get(lanes, asked(b"k")) == found(b"k", b"zero")
        assert quick.get(lanes, asked(b"k", 1)) == found(b"k", b"one", number=1)

    run([open_served("%"), open_served("*")], work)


def test_where_nothing_expires_no_expiry_is_told(open_served: Callable[[str], ServedDatabase]) -> None:
    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        assert quick.put(lanes, given(b"k", b"v", 1), lambda outcome: None)
        await end_of_turn()
        assert quick.get(lanes, asked(b"k")) == found(b"k", b"v", NEVER_XT)

    run([open_served("%#ktopts=p")], work)


@pytest.mark.parametrize(
    "request_",
    [
        b"\xba",
        asked(b"k")[:-1],
        asked(b"k") + b"x",
        asked(b"k") * 2,
        asked(b"k", 1),
        asked(b"k", 65535),
        asked(b""),
        asked(b"\0k"),
        asked(LONGEST + b"k"),
        encode_request(GetBulk([])),
        encode_request(GetBulk([(0, b"a"), (0, b"b")])),
    ],
)
def test_whatever_else_is_asked_is_left_to_others(
    open_served: Callable[[str], ServedDatabase], request_: bytes
) -> None:
    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        assert quick.get(lanes, request_) is None
        assert counters == [0] * 8

    run([open_served("%")], work)


@pytest.mark.parametrize(
    "request_",
    [
        b"\xb8",
        given(b"k", b"v")[:-1],
        given(b"k", b"v") + b"x",
        given(b"k", b"v") * 2,
        given(b"k", b"v", number=1),
        given(b"", b"v"),
        given(b"\0k", b"v"),
        given(LONGEST + b"k", b"v"),
        encode_request(SetBulk([(0, b"k", b"v", 0)], no_reply=True)),
        encode_request(SetBulk([])),
        encode_request(SetBulk([(0, b"k", b"v", 0)] * 2)),
    ],
)
def test_whatever_else_is_given_is_left_to_others(
    open_served: Callable[[str], ServedDatabase], request_: bytes
) -> None:
    served = open_served("%")

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        assert not quick.put(lanes, request_, lambda outcome: None)
        await end_of_turn()
        assert served.database.count() == 0

    run([served], work)


def test_the_one_for_which_there_is_no_room_is_refused_alone(open_served: Callable[[str], ServedDatabase]) -> None:
    served = open_served("%#max_size=1m")

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        outcomes: dict[bytes, KTError | None] = {}
        for key, size in ((b"a", 10), (b"large", 500_000), (b"b", 10)):
            assert quick.put(lanes, given(key, b"x" * size), lambda outcome, key=key: outcomes.update({key: outcome}))
        for _ in range(4):
            await end_of_turn()
        assert (outcomes[b"a"], outcomes[b"b"]) == (None, None)
        assert isinstance(outcomes[b"large"], StoreFull)
        assert quick.get(lanes, asked(b"b")) == found(b"b", b"x" * 10)

    run([served], work)


def test_a_cache_knows_what_was_read_and_stored(open_served: Callable[[str], ServedDatabase], clock: Clock) -> None:
    served = open_served("*#capcnt=100")

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        assert quick.put(lanes, given(b"hot", b"v"), lambda outcome: None)
        await end_of_turn()
        for number in range(500):
            assert quick.put(lanes, given(b"k%d" % number, b"v"), lambda outcome: None)
            await end_of_turn()
            clock.advance(0.001)
            assert quick.get(lanes, asked(b"hot")) == found(b"hot", b"v")
            await end_of_turn()
        assert served.database.count() <= 106

    run([served], work)


def test_a_durable_database_acknowledges_what_is_on_the_disk(
    open_served: Callable[[str], ServedDatabase], tmp_path: Path
) -> None:
    served = open_served(f"{tmp_path}/x.kct")

    async def work(lanes: list[Lane], turn: Turn, counters: list[int]) -> None:
        stored = asyncio.get_running_loop().create_future()
        assert quick.put(lanes, given(b"k", b"v"), stored.set_result)
        assert await asyncio.wait_for(stored, 30) is None
        assert quick.get(lanes, asked(b"k")) == found(b"k", b"v")

    run([served], work)


CALL = PlayScript(b"name", [(b"key", b"value"), (b"", b"")])


def test_a_call_of_a_script_is_read_as_the_decoder_reads_it() -> None:
    for call in (CALL, PlayScript(b"", [])):
        decoded = RequestDecoder().feed(encode_request(call))
        assert isinstance(decoded, PlayScript)
        assert quick.call(encode_request(call)) == (decoded.name, decoded.records)


def test_what_is_not_one_short_call_is_left_to_the_decoder() -> None:
    whole = encode_request(CALL)
    for end in range(1, len(whole)):
        assert quick.call(whole[:end]) is None
    assert quick.call(whole + b"\0") is None
    assert quick.call(encode_request(CALL._replace(no_reply=True))) is None
    assert quick.call(encode_request(CALL._replace(records=[(b"k", b"v")] * 17))) is None
