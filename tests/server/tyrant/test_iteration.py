"""The iterator: one for all, and unharmed by what happens around it."""

from __future__ import annotations

from kt_core.server.tyrant.server import TyrantServer
from kt_core.wire import tt_messages as tt
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving


def keys(asker: Asker) -> list[bytes]:
    found = []
    while (key := asker.ask_for(tt.IterNext())) is not None:
        found.append(key)
    return found


def test_clients_share_it_by_whatever_they_move_it(server: TyrantServer, asker: Asker) -> None:
    asker.call("putlist", b"a", b"1", b"b", b"2", b"c", b"3")
    with connect(server) as other:
        assert other.ask_for(tt.IterNext()) is None
        asker.tell(tt.IterInit())
        assert other.ask_for(tt.IterNext()) == b"a"
        assert asker.call("iternext") == [b"b", b"2"]
        assert other.ask_for(tt.IterNext()) == b"c"
        assert asker.ask_for(tt.IterNext()) is None


def test_what_is_removed_before_it_comes_is_passed_over(asker: Asker) -> None:
    asker.call("putlist", b"a", b"1", b"b", b"2", b"c", b"3", b"d", b"4")
    asker.tell(tt.IterInit())
    assert asker.ask_for(tt.IterNext()) == b"a"
    asker.call("outlist", b"b", b"c")
    assert keys(asker) == [b"d"]


def test_what_is_stored_behind_it_may_come(asker: Asker) -> None:
    asker.call("putlist", b"a", b"1", b"c", b"3")
    asker.tell(tt.IterInit())
    asker.tell(tt.Put(b"b", b"2"))
    assert keys(asker) == [b"a", b"b", b"c"]


def test_it_stands_nowhere_when_all_is_gone(asker: Asker) -> None:
    asker.tell(tt.Put(b"a", b"1"))
    asker.tell(tt.IterInit())
    asker.tell(tt.Vanish())
    asker.tell(tt.Put(b"a", b"1"))
    assert keys(asker) == []


def test_long_keys_and_many_records(asker: Asker) -> None:
    every = sorted([b"k%05d" % number for number in range(700)] + [b"x" * 600, b"", b"\0", b"\xff" * 520])
    for start in range(0, len(every), 100):
        asker.call("putlist", *[part for key in every[start : start + 100] for part in (key, b"v")])
    asker.tell(tt.IterInit())
    assert keys(asker) == every


def test_where_there_is_no_order_it_begins_at_a_key_that_is_there_only() -> None:
    with serving("*") as server, connect(server) as asker:
        asker.call("putlist", b"a", b"1", b"c", b"3")
        assert asker.call("iterinit", b"c") == []
        assert asker.call("iterinit", b"b") == []  # it stays where it is
        assert keys(asker) == [b"c"]
