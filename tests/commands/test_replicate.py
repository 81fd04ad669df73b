"""``kt replicate``: with whatever server here keeps an update log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kt_core.commands.console import NEGATIVE, OK
from kt_core.commands.places import Row, open_place
from kt_core.errors import ConnectionFailed, Misconfigured, NotSupported
from kt_core.terminal import CommandFailed
from tests.commands.desk import Desk
from tests.fix_servers import KINDS, running


@pytest.fixture(params=KINDS)
def master(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """Return what runs commands on the second database of a master."""
    (tmp_path / "log").mkdir()
    with running(request.param, "-ulog", str(tmp_path / "log"), "-sid", "1") as address:
        yield Desk(f"kt://{address}/1")


def rows_at(url: str) -> dict[bytes, Row]:
    with closing(open_place(url)) as place:
        return {row.key: row for batch in place.rows() for row in batch}


def test_a_copy_follows_its_master(master: Desk, own: Desk, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    words = ["replicate", master.url, own.url, "--once", "--state", state]
    own("set", "stale", "value")
    for key in ("a", "b", "gone"):
        master("set", key, "value", "--ttl", "1h")
    master.answer = own.answer = "y"
    copied, applied = own(*words).json
    assert copied == {"copied": 3}
    assert json.loads(state.read_text())["position"] == applied["position"]
    assert rows_at(own.url) == rows_at(master.url)

    own.answer = None
    master("del", "gone")
    master("incr", "n", 5)
    master("set", "b", "changed")
    Desk(master.url.removesuffix("1") + "0")("set", "elsewhere", "value")
    facts = own(*words).facts
    assert facts["applied"] == 3
    assert rows_at(own.url) == rows_at(master.url)
    assert set(rows_at(own.url)) == {b"a", b"b", b"n"}

    master("clear")
    master("set", "last", "value")
    assert own(*words).status == OK
    assert set(rows_at(own.url)) == {b"last"}


def test_what_is_there_is_not_lost_unasked(master: Desk, own: Desk) -> None:
    own("set", "precious", "value")
    with pytest.raises(CommandFailed, match=r"Replace the 1 records at .* write --yes"):
        own("replicate", master.url, own.url, "--once")
    own.answer = "n"
    assert own("replicate", master.url, own.url, "--once").status == NEGATIVE
    assert set(rows_at(own.url)) == {b"precious"}


def test_it_is_told_when_nobody_watches(master: Desk, own: Desk) -> None:
    own.watched = True
    assert own("replicate", master.url, own.url, "--once").text.splitlines()[0] == "0 records copied"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"source": "a", "target": "b", "position": "x"}'])
def test_a_state_that_says_nothing_is_not_followed(own: Desk, tmp_path: Path, text: str) -> None:
    state = tmp_path / "state.json"
    state.write_text(text)
    with pytest.raises(CommandFailed, match="does not tell how far it was: remove it to begin anew"):
        own("replicate", "kt://127.0.0.1:1", own.url, "--state", state)


def test_a_state_is_that_of_two_places(own: Desk, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"source": "kt://a", "target": "kt://b", "position": 1}))
    with pytest.raises(CommandFailed, match="is about kt://a and kt://b: write another --state"):
        own("replicate", "kt://127.0.0.1:1", own.url, "--state", state)


def test_only_a_server_with_a_log_is_followed(own: Desk, expiring_url: str, tmp_path: Path) -> None:
    target = f"embedded://{tmp_path / 'target'}"
    Desk(expiring_url)("set", "key", "value")
    with pytest.raises((Misconfigured, NotSupported, ConnectionFailed), match=r"no changes to follow|log|ended"):
        own("replicate", expiring_url, target, "--once")
