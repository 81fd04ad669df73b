"""The commands that look."""

from __future__ import annotations

from base64 import b64encode
from itertools import count

import pytest

from kt_core.commands.console import NEGATIVE, OK
from kt_core.errors import ConnectionFailed, NotACounter
from tests.commands.desk import Desk

# -- ping --------------------------------------------------------------------------------------------------


def test_round_trips_are_measured(desk: Desk) -> None:
    desk("set", "any", "thing")
    ticks = count()
    desk.timer = lambda: next(ticks) / 1000  # a millisecond from one look to the next
    said = desk("ping", "--count", 3)
    assert said.status == OK
    assert said.facts == {
        "url": desk.url, "count": 3, "connect_ms": 1.0, "min_ms": 1.0, "median_ms": 1.0, "max_ms": 1.0,
    }  # fmt: skip


def test_round_trips_are_lines_on_a_terminal(own: Desk) -> None:
    own("set", "any", "thing")
    own.watched = True
    pauses: list[float] = []
    own.pause = pauses.append
    *lines, summary = own("ping", "-c", 2, "-i", "1.5").text.splitlines()
    assert [line.rpartition(" in ")[0] for line in lines] == [f"{own.url} answers: {number}" for number in (1, 2)]
    assert summary.startswith("2 round trips: min ")
    assert pauses == [1.5]


def test_a_server_that_is_not_there_does_not_answer() -> None:
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1 cannot be reached"):
        Desk("kt://127.0.0.1:1")("ping")


# -- status, report ----------------------------------------------------------------------------------------


def test_the_status_tells_of_every_database(desk: Desk) -> None:
    desk("set", "key", "value")
    facts = desk("status").facts
    assert facts["url"] == desk.url
    assert facts["databases"][-1]["records"] == 1
    desk.watched, desk.width = True, 300
    about, databases = desk("status").text.split("\n\n")
    assert about.startswith("url ")
    heads, *rows = databases.splitlines()
    assert heads.split() == ["db", "records", "size", "path"]
    assert len(rows) == len(facts["databases"])
    assert rows[-1].split()[1] == "1"


def test_the_status_tells_more_of_one_database(desk: Desk) -> None:
    desk("set", "key", "value")
    assert "path" in desk("status", "--details").facts


def test_a_report_may_be_of_some_fields(own: Desk) -> None:
    own("set", "key", "value")
    assert own("report", "eviction", "hits").facts == {"eviction": "lru", "hits": 0}
    said = own("report", "hits", "hts")
    assert (said.status, said.facts) == (NEGATIVE, {"hits": 0})
    assert "tells no hts" in said.aside
    assert {"path", "misses"} <= set(own("report").facts)


# -- get ---------------------------------------------------------------------------------------------------


def test_a_value_goes_to_a_pipe_as_its_bytes(desk: Desk) -> None:
    desk("set", "key", stdin=b"\x00\xffbytes\n")
    assert desk("get", "key", raw=True).out == b"\x00\xffbytes\n"
    absent = desk("get", "absent", raw=True)
    assert (absent.status, absent.out) == (NEGATIVE, b"")


def test_values_are_quoted_on_a_terminal(desk: Desk) -> None:
    desk("set", "key", stdin="\x1b[2Jä\\".encode() + b"\xff")
    desk.watched = True
    assert desk("get", "key").text == "\\x1b[2Jä\\\\\\xff\n"
    said = desk("get", "key", "absent", "key")
    assert said.text == "key  \\x1b[2Jä\\\\\\xff\n" * 2
    assert (said.status, said.aside) == (NEGATIVE, "absent is not there\n")


def test_values_are_told_as_json(expiring_url: str) -> None:
    desk = Desk(expiring_url)
    desk("set", "text", "ä", "--ttl", "1h")
    desk("set", "bytes", stdin=b"\xff")
    text, binary = desk("get", "text", "bytes").json
    assert text | {"ttl": 0} == {"key": "text", "value": "ä", "ttl": 0}
    assert 3590 < text["ttl"] <= 3601
    assert binary == {"key": "bytes", "value_base64": b64encode(b"\xff").decode(), "ttl": None}


def test_a_counter_may_be_shown_as_its_number(desk: Desk) -> None:
    desk("incr", "n", -1234)
    assert desk("get", "n", "--int").facts["value"] == -1234
    desk.watched = True
    assert desk("get", "n", "--int").text == "-1,234\n"
    desk("set", "text", "no number")
    with pytest.raises(NotACounter):
        desk("get", "text", "--int")


def test_keys_may_have_escapes(desk: Desk) -> None:
    desk("set", "-e", r"\x00\xff", r"\t\\")
    assert desk("get", "-e", r"\x00\xff", raw=True).out == b"\t\\"


# -- keys, count -------------------------------------------------------------------------------------------


def test_keys_are_listed(desk: Desk) -> None:
    for key in ("user:1", "user:2", "page:1"):
        desk("set", key, "value")
    desk("set", "-e", r"\xff", "value")
    assert sorted(line.get("key", line.get("key_base64")) for line in desk("keys").json) == [
        "/w==", "page:1", "user:1", "user:2",
    ]  # fmt: skip
    assert len(desk("keys", "--prefix", "user:").json) == 2
    assert desk("keys", "--regex", "^[up]", "--prefix", "page", "--limit", 1).json == [{"key": "page:1"}]
    assert desk("keys", "--prefix", "none").status == NEGATIVE
    desk.watched = True
    assert sorted(desk("keys").text.split()) == [r"\xff", "page:1", "user:1", "user:2"]


def test_keys_are_listed_with_what_is_known(expiring_url: str) -> None:
    desk = Desk(expiring_url)
    desk("set", "ever", "value")
    desk("set", "soon", "v" * 2048, "--ttl", "5m")
    told = {line["key"]: line for line in desk("keys", "--long").json}
    assert told["ever"] == {"key": "ever", "ttl": None, "size": 5}
    assert told["soon"]["ttl"] > 290
    desk.watched = True
    lines = sorted(desk("keys", "--long").text.splitlines(), key=lambda line: line[-4:])
    assert lines[0] == "    never       5 B  ever"
    assert lines[1].split()[1:] == ["min", "2.0", "KiB", "soon"]


def test_records_are_counted(desk: Desk) -> None:
    for number in range(3):
        desk("set", number, "value")
    assert desk("count").facts == {"count": 3}
    desk.watched = True
    assert desk("count").text == "3\n"
