"""Gets and puts of one record, which go a way of their own."""

from __future__ import annotations

import pytest

from kt_core.server.tyrant.server import TyrantServer
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_binary import encode_request
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving


@pytest.mark.parametrize("key", [b"k", b"", b"\0", b"k" * 510, b"k" * 511, b"\xff"])
@pytest.mark.parametrize("value", [b"", b"v", b"v" * 70_000])
def test_a_record_is_stored_and_fetched(asker: Asker, key: bytes, value: bytes) -> None:
    assert asker.tell(tt.Get(key)) == b"\1"
    assert asker.tell(tt.Put(key, value)) == b"\0"
    assert asker.tell(tt.Get(key)) == b"\0" + len(value).to_bytes(4, "big") + value


def test_what_it_does_not_take_is_done_all_the_same(server: TyrantServer) -> None:
    one, two = encode_request(tt.Put(b"k", b"v")), encode_request(tt.Get(b"k"))
    for pieces in ([one + two], [one[:5], one[5:] + two[:3], two[3:]], [one + two[:-1], two[-1:]]):
        with connect(server) as asker:
            asker.send(*pieces)
            assert asker.read(7) == b"\0\0\0\0\0\1v"


def test_many_at_once_go_together(server: TyrantServer) -> None:
    askers = [connect(server) for _ in range(100)]
    for number, asker in enumerate(askers):
        asker.send(encode_request(tt.Put(b"k%d" % number, b"v%d" % number)))
    assert all(asker.read(1) == b"\0" for asker in askers)
    for number, asker in enumerate(askers):
        asker.send(encode_request(tt.Get(b"k%d" % number)))
    assert all(asker.read(7)[5:] == b"v%d" % number for number, asker in enumerate(askers[:10]))
    for asker in askers:
        asker.close()


def test_a_record_that_does_not_fit_is_refused_and_the_others_are_stored() -> None:
    with serving("*#max_size=2m") as server:
        askers = [connect(server) for _ in range(3)]
        for number, asker in enumerate(askers):
            asker.send(encode_request(tt.Put(b"k%d" % number, b"v" * (4 << 20 if number == 1 else 10))))
        assert [asker.read(1) for asker in askers] == [b"\0", b"\1", b"\0"]
        assert askers[1].ask_for(tt.RNum()) == 2
        for asker in askers:
            asker.close()


def test_only_records_that_are_stored_as_they_are_go_that_way(tmp_path: object) -> None:
    for name in ("tcb", "tcf", "tct"):
        with serving(f"{tmp_path}/x.{name}#durability=process") as server:
            assert server.lane is None
    with serving("*", mask=frozenset({"get"})) as server:
        assert server.lane is None
