"""The update log, and servers that follow each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kt_core.errors import Misconfigured
from kt_core.server.tyrant.server import TyrantOptions, TyrantServer
from kt_core.server.tyrant.updates import Origin, Reader, UpdateLog
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA
from kt_core.wire.tt_binary import encode_request
from kt_core.wire.tt_log import Change, KeepAlive, StreamDecoder, StreamRecord
from tests.clock import Clock
from tests.server.running import running_service
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving
from tests.server.tyrant.test_scripts import SCRIPT

CHANGES = [
    tt.Put(b"k", b"v"),
    tt.PutKeep(b"k", b"w"),
    tt.PutCat(b"k", b"+"),
    tt.PutShl(b"k", b"abc", 3),
    tt.Out(b"none"),
    tt.AddInt(b"n", 5),
    tt.AddDouble.of(b"d", 1.5),
    tt.Misc(b"putlist", 0, [b"a", b"1", b"b", b"2"]),
    tt.Out(b"a"),
    tt.Sync(),
    tt.Optimize(b""),
]


def await_(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def logged(directory: Path, since: int = 0) -> list[tuple[int, int, Change]]:
    return [(record.sid, record.mid, record.change) for record in Reader(directory, since).read()]


def everything(asker: Asker) -> dict[bytes, bytes]:
    keys = asker.ask_for(tt.FwmKeys(b"", -1))
    return {key: asker.ask_for(tt.Get(key)) for key in keys}


def following(master: TyrantServer, place: Path, sid: int = 8, **options: Any) -> Any:
    return serving(
        "+",
        sid=sid,
        log_directory=place / f"log{sid}",
        time_path=place / f"rts{sid}",
        **{"master": ("127.0.0.1", master.port), **options},
    )


def test_every_change_is_logged_with_its_outcome_and_nothing_else(tmp_path: Path) -> None:
    with serving("+", sid=7, log_directory=tmp_path, script=SCRIPT) as server, connect(server) as asker:
        for request in CHANGES:
            asker.tell(request)
        before = len(logged(tmp_path))
        quiet = [
            tt.Get(b"k"),
            tt.AddInt(b"n", 0),
            tt.AddDouble.of(b"d", 0),
            tt.Misc(b"out", tt.NO_UPDATE_LOG, [b"b"]),
            tt.RNum(),
        ]
        for request in quiet:
            asker.tell(request)
        assert len(logged(tmp_path)) == before
        asker.tell(tt.PutNr(b"nr", b"v"))
        asker.send(b"set m 0 0 1\r\n1\r\nincr m 2\r\ndelete none\r\nflush_all\r\n")
        asker.read(len(b"STORED\r\n3\r\nNOT_FOUND\r\nOK\r\n"))
        asker.tell(tt.Ext(b"tick", 0, b"", b""))
        told = logged(tmp_path)
    begun = (7, 0, Change(tt.Put(b"begun", b"yes")))
    assert begun in told
    told.remove(begun)
    outcomes = [not isinstance(request, tt.PutKeep) and request != tt.Out(b"none") for request in CHANGES]
    expected = [Change(request, ok) for request, ok in zip(CHANGES, outcomes, strict=True)]
    expected += [Change(tt.Put(b"nr", b"v")), Change(tt.Put(b"m", b"1")), Change(tt.Put(b"m", b"3"))]
    expected += [Change(tt.Out(b"none"), False), Change(tt.Vanish()), Change(tt.AddInt(b"ticks", 1))]
    assert told == [(7, 0, change) for change in expected]


def test_what_was_made_for_a_client_that_has_gone_is_logged(tmp_path: Path) -> None:
    with serving("+", sid=7, log_directory=tmp_path / "log") as server:
        for number in range(20):
            with connect(server) as asker:
                asker.send(encode_request(tt.Misc(b"put", 0, [b"%d" % number, b"v"])))
        with connect(server) as asker:
            await_(lambda: asker.ask_for(tt.RNum()) == len(logged(tmp_path / "log")))
    assert len(logged(tmp_path / "log")) > 0


def test_a_log_goes_on_in_another_file_and_is_read_from_any_time(tmp_path: Path) -> None:
    clock = Clock()
    log = UpdateLog(tmp_path, 100, clock)
    for number in range(20):
        log.write(tt.Put(b"%d" % number, b"v" * 20), True, Origin(1))
        clock.advance(number % 2)
    log.close()
    assert len(list(tmp_path.glob("*.ulog"))) > 5
    log = UpdateLog(tmp_path, 100, clock)
    log.write(tt.Put(b"20", b"v"), True, Origin(1, 2))
    log.close()
    times = [record.time for record in Reader(tmp_path, 0).read()]
    assert len(times) == 21
    assert times == sorted(set(times)), "two changes at one time: the second would be missed"
    for at in (0, 7, 20):
        assert [record.time for record in Reader(tmp_path, times[at]).read()] == times[at:]
    assert list(Reader(tmp_path, times[-1] + 1).read()) == []


def test_a_reader_goes_on_where_it_stopped(tmp_path: Path) -> None:
    log = UpdateLog(tmp_path, 60, Clock())
    reader = Reader(tmp_path, 0)
    for number in range(5):
        assert list(reader.read()) == []
        log.write(tt.Out(b"%d" % number), True, Origin(1))
        assert [record.change.request for record in reader.read()] == [tt.Out(b"%d" % number)]
    log.close()


def test_a_slave_makes_what_its_master_made_and_goes_on_with_it(tmp_path: Path) -> None:
    with serving("+", sid=7, log_directory=tmp_path / "log") as master, connect(master) as asker:
        for request in CHANGES:
            asker.tell(request)
        with following(master, tmp_path) as slave, connect(slave) as other:
            await_(lambda: everything(other) == everything(asker))
            asker.tell(tt.Put(b"later", b"v"))
            await_(lambda: other.ask_for(tt.Get(b"later")) == b"v")
            told = dict(line.split(b"\t") for line in other.ask_for(tt.Stat()).splitlines())
            assert (told[b"mhost"], told[b"mport"]) == (b"127.0.0.1", b"%d" % master.port)
        assert (7, 7, Change(tt.Put(b"later", b"v"))) in logged(tmp_path / "log8")
        asker.tell(tt.Put(b"meanwhile", b"v"))
        asker.tell(tt.AddInt(b"n", 1))
        with following(master, tmp_path) as slave, connect(slave) as other:
            await_(lambda: other.ask_for(tt.Get(b"meanwhile")) == b"v")
            assert other.ask_for(tt.Get(b"k")) is None, "what it had made before is made again"


def test_two_that_follow_each_other_do_not_go_round_for_ever(tmp_path: Path) -> None:
    with (
        serving("+", sid=7, log_directory=tmp_path / "log7", time_path=tmp_path / "rts7") as one,
        connect(one) as asker,
        following(one, tmp_path) as two,
        connect(two) as other,
    ):
        asker.tell(tt.SetMst(b"127.0.0.1", two.port, 0, 0))
        asker.tell(tt.AddInt(b"n", 1))
        await_(lambda: other.ask_for(tt.Get(b"n")) == b"\1\0\0\0")
        other.tell(tt.AddInt(b"n", 1))
        await_(lambda: asker.ask_for(tt.Get(b"n")) == b"\2\0\0\0")
        other.tell(tt.Put(b"end", b""))
        await_(lambda: asker.ask_for(tt.Get(b"end")) == b"")
        assert [each.ask_for(tt.Get(b"n")) for each in (asker, other)] == [b"\2\0\0\0"] * 2
        asker.tell(tt.SetMst(b"", 0, 0, 0))


def test_a_slave_that_checks_stops_where_the_master_had_another_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serving("+", sid=7, log_directory=tmp_path / "log") as master,
        connect(master) as asker,
        following(master, tmp_path, checks=True) as slave,
        connect(slave) as other,
    ):
        other.tell(tt.Put(b"k", b"mine"))
        asker.tell(tt.PutKeep(b"k", b"v"))
        asker.tell(tt.Put(b"later", b"v"))
        await_(lambda: "is followed no more" in caplog.text)
        assert other.ask_for(tt.Get(b"later")) is None


class Faulty(TyrantServer):
    """A server with a fault, which shows when it is to note its first change."""

    is_mended = False

    def note(self, request: tt.Request, done: bool) -> None:
        if not self.is_mended:
            self.is_mended = True
            raise LookupError("a fault of ours")
        super().note(request, done)


def test_a_fault_of_the_slave_does_not_end_it_for_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving("+", sid=7, log_directory=tmp_path / "log") as master, connect(master) as asker:
        asker.tell(tt.Put(b"k", b"v"))
        asker.tell(tt.Put(b"later", b"v"))
        options = TyrantOptions(
            "127.0.0.1", 0, database="+", sid=8, time_path=tmp_path / "rts", master=("127.0.0.1", master.port)
        )
        slave = Faulty(options)
        with running_service(slave), connect(slave) as other:
            await_(lambda: bool(other.ask_for(tt.Get(b"later"))))
            assert other.ask_for(tt.Get(b"k")) == b"v"
    assert "a fault of ours" in caplog.text


@pytest.mark.parametrize("request_", [tt.Repl(0, 5), tt.Repl(1, 0), tt.Repl(1, 7)])
def test_who_may_not_follow_is_hung_up_on(tmp_path: Path, request_: tt.Repl) -> None:
    with serving("*", sid=7, log_directory=tmp_path) as server, connect(server) as asker:
        assert asker.tell(request_) == b""


def test_a_master_without_a_log_says_its_number_and_hangs_up() -> None:
    with serving("*") as server, connect(server) as asker:
        asker.send(encode_request(tt.Repl(1, 5)))
        assert asker.rest() == bytes(4)


def test_the_stream_keeps_itself_alive_and_leaves_out_what_the_slave_began(tmp_path: Path) -> None:
    log = UpdateLog(tmp_path, 1 << 20, time.time)
    for origin in (Origin(7), Origin(5), Origin(9, 5), Origin(9)):
        log.write(tt.Put(b"%d" % origin.sid, b""), True, origin)
    log.close()
    with serving("*", sid=7, log_directory=tmp_path) as server, connect(server) as asker:
        asker.send(encode_request(tt.Repl(1, 5)))
        assert asker.read(4) == b"\0\0\0\7"
        decoder, found = StreamDecoder(), []
        while not any(isinstance(each, KeepAlive) for each in found):
            record = decoder.feed(asker.read(1))
            if record is not NEED_DATA:
                found.append(record)
        assert [each.sid for each in found if isinstance(each, StreamRecord)] == [7, 9]


def test_a_log_is_restored_from_a_time_on(tmp_path: Path) -> None:
    with serving("+", sid=7, log_directory=tmp_path / "log") as server, connect(server) as asker:
        for request in CHANGES:
            asker.tell(request)
        expected = everything(asker)
        last = [record.time for record in Reader(tmp_path / "log", 0).read()][-5]
    path = str(tmp_path / "log").encode()
    with serving("+") as server, connect(server) as asker:
        assert asker.ask_for(tt.Restore(path, 0, tt.CHECK_CONSISTENCY))
        assert everything(asker) == expected
        asker.tell(tt.Vanish())
        assert asker.ask_for(tt.Restore(path, 1 << 60, 0))
        assert asker.ask_for(tt.RNum()) == 0
        assert asker.ask_for(tt.Restore(path, last, 0))
        assert everything(asker).keys() == {b"d", b"b"}
        asker.tell(tt.Put(b"none", b"which there was not"))
        assert asker.ask_for(tt.Restore(path, 0, tt.CHECK_CONSISTENCY)) is None
        assert asker.ask_for(tt.Restore(b"/nowhere", 0, 0)) is None
    with serving("+", sid=7, log_directory=tmp_path / "log") as server, connect(server) as asker:
        assert asker.ask_for(tt.Restore(path, 0, 0)), "its own log grows meanwhile"


def test_a_log_that_is_damaged_is_restored_up_to_there(tmp_path: Path) -> None:
    log = UpdateLog(tmp_path, 1 << 20, time.time)
    log.write(tt.Put(b"k", b"v"), True, Origin(1))
    log.close()
    with (tmp_path / "00000001.ulog").open("ab") as file:
        file.write(b"nonsense")
    with serving("+") as server, connect(server) as asker:
        assert asker.ask_for(tt.Restore(str(tmp_path).encode(), 0, 0)) is None
        assert everything(asker) == {b"k": b"v"}


def test_a_log_needs_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="name a directory"), serving("*", sid=1, log_directory=tmp_path / "file"):
        pass
