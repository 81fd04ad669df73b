"""The commands that change single records, or remove them all."""

from __future__ import annotations

import json
import time

import pytest

from kt_core.commands.console import NEGATIVE, OK
from kt_core.errors import InvalidInput, NotACounter
from kt_core.terminal import CommandFailed
from tests.commands.desk import Desk

# -- set, incr ---------------------------------------------------------------------------------------------


def test_a_value_is_stored(desk: Desk) -> None:
    assert desk("set", "key", "wörld").facts == {"stored": 1, "size": 6}
    assert desk("get", "key", raw=True).out == "wörld".encode()


@pytest.mark.parametrize("words", [["key"], ["key", "-"]])
def test_a_value_comes_from_standard_input(desk: Desk, words: list[str]) -> None:
    desk("set", *words, stdin=b"\x00\n")
    assert desk("get", "key", raw=True).out == b"\x00\n"


def test_a_value_may_expire(expiring_url: str) -> None:
    desk = Desk(expiring_url)
    second = int(time.time()) + 3600
    desk("set", "until", "value", "--xt", second)
    assert desk("get", "until").facts["ttl"] == pytest.approx(second + 1 - time.time(), abs=2)
    desk("set", "over", "value", "--xt", second - 7200)
    assert desk("get", "over").status == NEGATIVE


def test_a_sum_is_told(desk: Desk) -> None:
    assert [desk("incr", "n").facts["value"], desk("incr", "n", 1000).facts["value"]] == [1, 1001]
    desk.watched = True
    assert desk("incr", "n").text == "1,002\n"
    desk("set", "text", "no number")
    with pytest.raises(NotACounter):
        desk("incr", "text")


def test_a_counter_begins_somewhere(expiring_url: str) -> None:
    desk = Desk(expiring_url)
    assert desk("incr", "n", -1, "--start", 10, "--ttl", "1h").facts == {"value": 9}
    assert desk("incr", "n", -1, "--start", 10).facts == {"value": 8}
    assert desk("get", "n").facts["ttl"] > 3590


# -- del, clear --------------------------------------------------------------------------------------------


def test_records_are_removed(desk: Desk) -> None:
    desk("set", "a", "1")
    desk("set", "b", "1")
    said = desk("del", "a", "absent")
    assert (said.status, said.facts) == (NEGATIVE, {"removed": 1})
    said = desk("del", "b")
    assert (said.status, said.facts) == (OK, {"removed": 1})


def test_what_keys_lists_is_removed(desk: Desk) -> None:
    for number in range(300):
        desk("set", "-e", rf"\xff:{number}", "value")
    desk("set", "other", "value")
    listed = b"".join(json.dumps(line).encode() + b"\n" for line in desk("keys").json if "key_base64" in line)
    assert desk("del", "-", stdin=listed + b"other\n").facts == {"removed": 301}
    assert desk("count").facts == {"count": 0}


@pytest.mark.parametrize("line", [b'{"ky": "a"}', b"{", b'{"key": 5}', b'{"key_base64": "?"}'])
def test_a_line_that_names_no_key_removes_nothing(own: Desk, line: bytes) -> None:
    own("set", "a", "1")
    with pytest.raises(InvalidInput, match="names no key: write"):
        own("del", "-", stdin=b"a\n" + line)
    assert own("count").facts == {"count": 1}


def test_keys_or_a_list_are_removed(own: Desk) -> None:
    with pytest.raises(InvalidInput, match="write the keys, or - alone"):
        own("del", "-", "a")


def test_a_database_is_cleared(desk: Desk) -> None:
    desk("set", "a", "1")
    with pytest.raises(CommandFailed, match=r"Remove all 1 records of .* write --yes to do it anyway"):
        desk("clear")
    desk.answer = "n"
    assert desk("clear").status == NEGATIVE
    assert desk("count").facts == {"count": 1}
    desk.answer = "y"
    said = desk("clear")
    assert said.facts == {"removed": 1}
    assert said.aside == f"Remove all 1 records of {desk.url}? [y/N] "
    desk.answer = None
    assert desk("clear", "--yes").facts == {"removed": 0}
