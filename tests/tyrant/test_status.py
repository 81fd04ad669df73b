"""What servers say, as figures."""

from __future__ import annotations

from kt_core.tyrant import Status


def test_a_status() -> None:
    said = {
        b"version": b"1.1.41",
        b"protver": b"0.91",
        b"time": b"1795523396.023020",
        b"pid": b"77",
        b"sid": b"3",
        b"type": b"B+ tree",
        b"path": b"/a b.tcb",
        b"rnum": b"2",
        b"size": b"528800",
        b"bigend": b"1",
        b"mhost": b"other",
        b"mport": b"1979",
        b"delay": b"0.5",
        b"memrss": b"4243456",
        b"ru_real": b"189.5",
        b"cnt_put": b"4",
        b"cnt_put_miss": b"1",
    }
    status = Status(said)
    assert (status.version, status.type, status.path) == ("1.1.41", "B+ tree", "/a b.tcb")
    assert (status.count, status.size, status.memory, status.process_id, status.server_id) == (
        2,
        528800,
        4243456,
        77,
        3,
    )
    assert (status.current_time, status.running_time, status.delay) == (1795523396.02302, 189.5, 0.5)
    assert (status.master, status.big_endian) == (("other", 1979), True)
    assert status.counters == {"put": 4, "put_miss": 1}
    assert status["protver"] == 0.91


def test_what_is_not_said_is_nothing() -> None:
    status = Status({})
    assert (status.type, status.path, status.count, status.size, status.version) == ("", "", 0, 0, "")
    assert (status.master, status.counters, status.big_endian, status.delay) == (None, {}, False, 0.0)
    assert (status.process_id, status.server_id, status.memory, status.current_time, status.running_time) == (0,) * 5
