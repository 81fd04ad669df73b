"""What servers say, as figures."""

from __future__ import annotations

import pytest

from kt_core.errors import ProtocolError
from kt_core.kyoto import DatabaseReport, Report, Status


@pytest.mark.parametrize(
    ("said", "figure"),
    [(b"12", 12), (b"-1", -1), (b"1.500000", 1.5), (b"-0.5", -0.5), (b"", ""), (b"1.2.76", "1.2.76"), (b"%", "%")],
)
def test_what_reads_as_a_number_is_one(said: bytes, figure: object) -> None:
    assert Status({b"name": said}) == {"name": figure}
    assert type(Status({b"name": said})["name"]) is type(figure)


def test_a_status() -> None:
    status = Status({b"count": b"3", b"size": b"99", b"path": b"/a b/c.kct", b"type": b"49"})
    assert (status.count, status.size, status.path, status.type) == (3, 99, "/a b/c.kct", 49)


def test_what_is_not_said_is_nothing() -> None:
    status = Status({})
    assert (status.count, status.size, status.path, status.type) == (0, 0, "", 0)
    report = Report({})
    assert (report.databases, report.counters, report.memory, report.version) == ([], {}, {}, "")
    assert (report.current_time, report.running_time, report.process_id, report.connections) == (0, 0, 0, 0)


def test_a_path_may_be_a_number_or_no_text() -> None:
    assert Status({b"path": b"12"}).path == "12"
    assert Status({b"path": b"\xff"}).path == "\udcff"


def test_a_report() -> None:
    report = Report(
        {
            b"db_10": b"count=1 size=2 path=last",
            b"db_2": b"count=3 size=-4 path=with blank count=5",
            b"db_total_count": b"4",
            b"db_x": b"count=1 size=2 path=none",
            b"cnt_get": b"7",
            b"cnt_get_misses": b"8",
            b"sys_mem_rss": b"1024",
            b"sys_ru_stime": b"1.5",
            b"serv_current_time": b"1795509387.605221",
            b"serv_running_term": b"698.5",
            b"serv_proc_id": b"12",
            b"serv_conn_count": b"3",
            b"conf_kt_version": b"0.9.56b (2.19)",
        }
    )
    assert report.databases == [DatabaseReport(3, -4, "with blank count=5"), DatabaseReport(1, 2, "last")]
    assert report.counters == {"get": 7, "get_misses": 8}
    assert report.memory == {"rss": 1024}
    assert report.current_time == 1795509387.605221
    assert report.running_time == 698.5
    assert (report.process_id, report.connections, report.version) == (12, 3, "0.9.56b (2.19)")
    assert report["sys_ru_stime"] == 1.5


@pytest.mark.parametrize("said", [b"many", b"9" * 5000, b"1e5", b"\xff", b"9" * 400 + b".5"])
def test_what_is_no_number_is_told_as_such(said: bytes) -> None:
    status = Status({b"count": said})
    assert isinstance(status["count"], str)
    with pytest.raises(ProtocolError, match="count is"):
        _ = status.count
    assert Report({b"db_0": b"count=%b size=1 path=x" % said}).databases == []
