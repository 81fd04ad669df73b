"""What the operations send, without a server: above all whether it is written to the server's update log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from kt_core.errors import Misconfigured, ProtocolError, ServerError
from kt_core.serializers import KT_BINARY
from kt_core.tyrant import operations as ops
from kt_core.tyrant.calls import Calls
from kt_core.tyrant.constants import IOP_KEEP, OP_STR_EQ
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, Op
from kt_core.wire.tt_binary import RequestDecoder, encode_reply

CALLS = Calls(KT_BINARY, decode_keys=True)


def sent(op: Op[Any]) -> Any:
    """Return the request of an exchange."""
    decoder = RequestDecoder()
    request = decoder.feed(op.payload)
    assert decoder.rest == b""
    return request


def answered(op: Op[Any], reply: tt.Reply) -> Any:
    """Return what a reply means to the caller."""
    assert op.decoder is not None
    found = op.decoder.feed(encode_reply(reply))
    assert found is not NEED_DATA
    return op.finish(found)


def drive(flow: Any, *replies: tt.Reply) -> list[Any]:
    """Return the requests of a flow that is given these replies."""
    requests, op = [], next(flow)
    for reply in replies:
        requests.append(sent(op))
        try:
            op = flow.send(answered(op, reply))
        except StopIteration:
            return requests
    return [*requests, sent(op)]


LOGGED: dict[str, Op[Any]] = {
    "misc": CALLS.misc("put", ["k", "v"], None, True, False),
    "remove_bulk": CALLS.remove_bulk(["k"]),
    "setdup": CALLS.set_duplicate("k", "v", last=True),
    "defragment": CALLS.defragment(3),
    "set_index": CALLS.set_index("c", 0, False),
    "genuid": CALLS.genuid(),
    "removal": CALLS.search([("addcond", "c", OP_STR_EQ, "v")], "out"),
}
UNLOGGED: dict[str, Op[Any]] = {
    "misc": CALLS.misc("get", ["k"], None, False, False),
    "get_part": CALLS.get_part("k", None, None),
    "match_regex": CALLS.match_regex("k", None),
    "clear_cache": CALLS.clear_cache(),
    "error": CALLS.error(),
    "search": CALLS.search([("addcond", "c", OP_STR_EQ, "v")], "get"),
}


@pytest.mark.parametrize("op", LOGGED.values(), ids=LOGGED)
def test_what_changes_something_is_written_to_the_update_log(op: Op[Any]) -> None:
    assert sent(op).options == 0
    assert op.idempotent is False


@pytest.mark.parametrize("op", UNLOGGED.values(), ids=UNLOGGED)
def test_what_reads_is_not(op: Op[Any]) -> None:
    assert sent(op).options == tt.NO_UPDATE_LOG


def test_many_records_are_stored_by_one_call_or_where_that_makes_duplicates_one_by_one() -> None:
    told = tt.Value(b"type\thash\n")
    first, stored = drive(Calls(KT_BINARY, True).set_bulk({"a": 1, "b": 2}, False), told, tt.Elements([]))
    assert first == tt.Stat()
    assert stored == tt.Misc(b"putlist", 0, [b"a", b"1", b"b", b"2"])
    tree = Calls(KT_BINARY, True)
    flow = tree.set_bulk({"a": 1, "b": 2}, False)
    flow_op = flow.send(answered(next(flow), tt.Value(b"type\tB+ tree\n")))
    assert flow_op.payload == b"".join([ops.put(b"a", b"1").payload, ops.put(b"b", b"2").payload])
    replies = flow_op.decoder.feed(encode_reply(tt.Done()) + encode_reply(tt.Failed()))
    with pytest.raises(StopIteration) as ended:
        flow.send(flow_op.finish(replies))
    assert ended.value.value is False
    again = tree.set_bulk({"c": 3}, False)
    assert sent(next(again)) == tt.Put(b"c", b"3")  # what kind of database it is was asked before


TIMES: dict[str, tuple[Any, int]] = {
    "microseconds": (1_500_000, 1_500_000),
    "a datetime": (datetime(1970, 1, 1, 0, 0, 2, 5, tzinfo=UTC), 2_000_005),
    "a datetime elsewhere": (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
    "a local datetime": (datetime.fromtimestamp(1e9 + 0.25), 10**15 + 250_000),
}


@pytest.mark.parametrize(("when", "time"), TIMES.values(), ids=TIMES)
def test_a_time_is_sent_in_microseconds(when: Any, time: int) -> None:
    assert sent(CALLS.restore("/x", when, 1)) == tt.Restore(b"/x", time, 1)
    assert sent(CALLS.set_master("h", 5, when, 0)) == tt.SetMst(b"h", 5, time, 0)


def test_no_master_has_no_name() -> None:
    assert sent(CALLS.set_master(None, 1978, 0, 0)) == tt.SetMst(b"", 1978, 0, 0)


def test_an_index_that_is_there_may_be_left_alone() -> None:
    assert sent(CALLS.set_index("", 1, True)).arguments == [b"", b"%d" % (IOP_KEEP | 1)]


def test_every_item_is_there_once() -> None:
    assert answered(ops.stat(), tt.Value(b"a\t1\nno figure\nb\tx\ty\n")) == {b"a": b"1", b"b": b"x\ty"}


TOLD = [ops.rnum(), ops.size(), ops.stat()]


@pytest.mark.parametrize("op", TOLD, ids=lambda op: type(sent(op)).__name__)
def test_a_server_that_tells_nothing_is_an_error(op: Op[Any]) -> None:
    with pytest.raises(ServerError, match="refused to tell"):
        answered(op, tt.Failed())


def test_who_did_not_remove_a_record_has_not_seized_it() -> None:
    op = ops.seize(b"k")
    assert op.payload == ops.get(b"k").payload + ops.out(b"k").payload
    for removed, value in ((tt.Done(), b"v"), (tt.Failed(), None)):
        again = ops.seize(b"k")
        assert again.decoder is not None
        data = encode_reply(tt.Value(b"v")) + encode_reply(removed)
        for size in (1, len(data)):
            decoder = ops.seize(b"k").decoder
            assert decoder is not None
            pieces = [data[start : start + size] for start in range(0, len(data), size)]
            assert [decoder.feed(piece) for piece in pieces[:-1]] == [NEED_DATA] * (len(pieces) - 1)
            assert again.finish(decoder.feed(pieces[-1])) == value
            assert decoder.rest == b""


def test_what_comes_behind_the_last_reply_is_kept() -> None:
    decoder = ops.together([ops.rnum()]).decoder
    assert decoder is not None
    decoder.feed(encode_reply(tt.Long(1)) + b"more")
    assert decoder.rest == b"more"


SAFE: dict[str, tuple[Callable[[], Op[Any]], bool]] = {
    "get": (lambda: ops.get(b"k"), True),
    "put": (lambda: ops.put(b"k", b"v"), True),
    "putkeep": (lambda: ops.put_keep(b"k", b"v"), False),
    "putcat": (lambda: ops.put_cat(b"k", b"v"), False),
    "out": (lambda: ops.out(b"k"), False),
    "addint": (lambda: ops.add_int(b"k", 1), False),
    "seize": (lambda: ops.seize(b"k"), False),
    "ext": (lambda: ops.ext(b"f", b"", b""), False),
    "misc get": (lambda: ops.misc(b"get", [b"k"]), True),
    "misc iternext": (lambda: ops.misc(b"iternext"), False),
    "misc put": (lambda: ops.misc(b"put", [b"k", b"v"], log=True), False),
}


@pytest.mark.parametrize(("make", "safe"), SAFE.values(), ids=SAFE)
def test_what_may_be_sent_twice(make: Callable[[], Op[Any]], safe: bool) -> None:
    assert make().idempotent is safe


def test_a_serializer_has_a_name() -> None:
    with pytest.raises(Misconfigured, match="did you mean 'table'"):
        Calls("tabel", True)


def test_a_number_of_rows_is_one() -> None:
    op = CALLS.search([], "count")
    assert answered(op, tt.Elements([b"12"])) == 12
    with pytest.raises(ProtocolError, match="a number of rows"):
        answered(CALLS.search([], "count"), tt.Elements([b"x"]))
    with pytest.raises(ProtocolError, match="does not begin with its key"):
        answered(CALLS.search([], "get"), tt.Elements([b"name\0value"]))
