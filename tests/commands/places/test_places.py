"""What every kind of place does alike, and how a URL names one."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from kt_core.commands.places import Place, Row, open_place
from kt_core.commands.places.base import BATCH
from kt_core.database import NEVER, DatabaseOptions, Environment
from kt_core.errors import ConnectionFailed, InvalidInput, Misconfigured, NotACounter, NotSupported, ServerError
from tests.processes import python

HOUR = 3600


def rows_of(place: Place, after: bytes | None = None) -> list[Row]:
    return [row for batch in place.rows(after) for row in batch]


def test_records_are_put_and_got(place: Place) -> None:
    rows = [Row(b"a", b"1"), Row(b"\xff\x00", b""), Row(b"c", b"v" * 100_000)]
    place.put(rows)
    assert [place.get(row.key) for row in rows] == rows
    assert sorted(place.get_all([b"c", b"absent", b"a"])) == sorted([rows[0], rows[2]])
    assert place.get(b"absent") is None


def test_records_are_removed_and_counted(place: Place) -> None:
    place.put([Row(b"%d" % number, b"") for number in range(10)])
    assert place.remove([b"1", b"2", b"absent"]) == 2
    assert place.count() == 8
    place.clear()
    assert place.count() == 0


def test_all_records_come_in_batches(place: Place) -> None:
    rows = [Row(b"%04d" % number, b"value") for number in range(2 * BATCH + 1)]
    for at in range(0, len(rows), BATCH):
        place.put(rows[at : at + BATCH])
    assert sorted(rows_of(place)) == rows
    assert max(map(len, place.rows())) <= BATCH


def test_records_go_on_behind_a_key(place: Place) -> None:
    rows = [Row(b"%04d" % number, b"value") for number in range(300)]
    place.put(rows)
    every = rows_of(place)
    assert rows_of(place, every[99].key) == every[100:]
    assert rows_of(place, every[-1].key) == []


def test_an_empty_place_has_no_rows(place: Place) -> None:
    assert rows_of(place) == []


def test_nothing_goes_on_behind_a_key_that_is_gone(place: Place) -> None:
    if place.url.startswith("embedded:"):
        assert rows_of(place, b"absent") == []
    else:
        with pytest.raises((ServerError, InvalidInput), match="is not there any more: begin anew"):
            rows_of(place, b"absent")


def test_keys_are_chosen_by_prefix_and_expression(place: Place) -> None:
    place.put([Row(key, b"") for key in (b"user:1", b"user:22", b"page:1", b"\xfe")])
    assert sorted(place.keys(b"", None, None)) == [b"page:1", b"user:1", b"user:22", b"\xfe"]
    assert sorted(place.keys(b"user:", None, None)) == [b"user:1", b"user:22"]
    assert sorted(place.keys(b"", b":[0-9]$", None)) == [b"page:1", b"user:1"]
    assert list(place.keys(b"user:", b":[0-9]$", 5)) == [b"user:1"]
    assert [len(list(place.keys(prefix, None, 1))) for prefix in (b"", b"user:")] == [1, 1]
    assert len(list(place.keys(b"", b"1", 1))) == 1


def test_counters_count(place: Place) -> None:
    assert [place.increment(b"n", 5, 0, None), place.increment(b"n", -2, 0, None)] == [5, 3]
    place.put([Row(b"text", b"no number")])
    with pytest.raises(NotACounter):
        place.increment(b"text", 1, 0, None)


def test_databases_are_told(place: Place) -> None:
    place.put([Row(b"a", b"1")])
    databases = place.databases()
    assert [each["db"] for each in databases] == list(range(len(databases)))
    assert sum(each["count"] for each in databases) >= 1
    assert databases[-1]["size"] > 0
    assert place.status()["path"] == databases[-1]["path"]


def test_reads_are_sampled(place: Place) -> None:
    place.put([Row(b"a", b"1")])
    before = place.sample()
    for key in (b"a", b"a", b"absent"):
        place.get(key)
    place.ping()
    after = place.sample()
    assert (after.hits - before.hits, after.misses - before.misses) == (2, 1)
    assert after.operations["get"] - before.operations["get"] == 3
    assert after.connections >= 1
    assert after.records >= 1
    assert after.bytes > 0


def test_a_report_tells_something(place: Place) -> None:
    assert len(place.report()) > 5


# -- expiry ------------------------------------------------------------------------------------------------


def test_an_expiry_is_kept(expiring_url: str) -> None:
    with closing(open_place(expiring_url, create=True)) as place:
        expiry = (int(time.time()) + HOUR) * 1000
        place.put([Row(b"soon", b"1", expiry), Row(b"gone", b"1", 5000), Row(b"ever", b"1")])
        assert place.get(b"soon") == Row(b"soon", b"1", expiry)
        assert place.get(b"gone") is None
        assert place.get(b"ever") == Row(b"ever", b"1", NEVER)
        assert sorted(rows_of(place)) == [Row(b"ever", b"1", NEVER), Row(b"soon", b"1", expiry)]


def test_a_counter_begins_somewhere_and_keeps_its_expiry(expiring_url: str) -> None:
    with closing(open_place(expiring_url, create=True)) as place:
        expiry = (int(time.time()) + HOUR) * 1000
        assert place.increment(b"n", 1, 10, expiry) == 11
        assert place.increment(b"n", 1, 10, None) == 12
        found = place.get(b"n")
        assert found is not None
        assert found.expiry == expiry


def test_what_cannot_expire_is_refused(url: str) -> None:
    if not url.startswith("tt:"):
        return
    with closing(open_place(url)) as place:
        with pytest.raises(NotSupported, match="b'soon' expires, and records at tt://"):
            place.put([Row(b"soon", b"1", 5000)])
        with pytest.raises(NotSupported, match="begins at 0 and does not expire"):
            place.increment(b"n", 1, 10, None)
        assert place.count() == 0
        assert place.at(0) is place
        with pytest.raises(NotSupported, match="has one database"):
            place.at(1)


# -- other databases, and URLs -----------------------------------------------------------------------------


def test_databases_are_apart(expiring_url: str) -> None:
    with closing(open_place(expiring_url, create=True)) as place:
        place.put([Row(b"a", b"1")])
        other = place.at(0 if expiring_url.startswith("kt:") else 1)
        other.clear()
        other.put([Row(b"b", b"2")])
        assert (place.get(b"b"), other.get(b"a"), other.count()) == (None, None, 1)


def test_a_database_is_opened_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "d"
    url = f"embedded://{path}"
    with closing(open_place(f"{url}?max_size=8MiB&eviction=none&durability=commit", create=True)) as place:
        place.put([Row(b"a", b"1")])
    for again in (url, f"{url}?max_size=2MiB"):
        with closing(open_place(again, create=True)) as place:
            assert place.get(b"a") == Row(b"a", b"1")
            report = place.report()
            assert (report["max_size"], report["eviction"], report["durability"]) == (8 << 20, "none", "commit")


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, (9 << 20) + 4095, 123456789, 256 << 20])
@pytest.mark.parametrize("eviction", ["lru", "none"])
def test_any_size_is_left_as_it_is(tmp_path: Path, size: int, eviction: str) -> None:
    environment = Environment.open(tmp_path / "d", DatabaseOptions(size, eviction=eviction))
    made = environment.files.settings
    environment.close()
    with closing(open_place(f"embedded://{tmp_path / 'd'}")) as place:
        assert place.environment.files.settings == made


@pytest.mark.parametrize("kind", ["kyoto", "tyrant", "embedded"])
def test_a_place_needs_no_server_in_this_process(kind: str) -> None:
    code = f"import kt_core.commands.places.{kind}, sys; print('kt_core.server.server' in sys.modules)"
    assert python("-c", code) == "False\n"


def test_looking_makes_nothing(embedded_url: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="there is no database at embedded://"):
        open_place(embedded_url)
    assert list(tmp_path.iterdir()) == []
    with closing(open_place(embedded_url, create=True)):
        pass
    with pytest.raises(Misconfigured, match=r"there is no database 3 at .*: there are 1, numbered from 0"):
        open_place(f"{embedded_url}?database=3")
    with closing(open_place(f"{embedded_url}?database=3", create=True)) as place:
        assert [each["db"] for each in place.databases()] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("kt://a,b", "kt://a,b names 2 servers: write one of them"),
        ("kt://a?tmeout=3", "there is no option of kt:// that kt knows, 'tmeout': did you mean 'timeout'"),
        ("kt://a?timeout=soon", "timeout=soon in kt://a.*: write a number there"),
        ("tt://a?database=0", "there is no option of tt:// that kt knows"),
        ("embedded:///a?max_size=many", "is not a size"),
        ("redis://a", "is not that of a Kyoto Tycoon server"),
    ],
)
def test_a_url_that_names_no_place_is_refused(url: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        open_place(url)


@pytest.mark.parametrize("scheme", ["kt", "tt"])
def test_a_server_may_listen_at_a_socket(scheme: str, tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match=str(tmp_path)):
        open_place(f"{scheme}+unix://{tmp_path}/none?connect_timeout=1").ping()
