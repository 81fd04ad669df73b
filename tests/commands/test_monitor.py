"""``kt monitor``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count

import pytest

from kt_core.commands.console import OK, UNREACHABLE
from kt_core.commands.monitor import sparkline
from kt_core.commands.places import open_place
from tests.commands.desk import Desk
from tests.fix_servers import running


@pytest.fixture
def watched(own: Desk) -> Desk:
    """Return what watches a database, in which a second passes from one look to the next."""
    own("set", "key", "value")
    ticks = count()
    own.timer = lambda: float(next(ticks))
    return own


def test_one_look_tells_what_was_done_meanwhile(desk: Desk) -> None:
    desk("set", "key", "value")
    ticks = count()
    desk.timer = lambda: next(ticks) / 11  # two for each of five round trips: a second from one sample to the next

    place = open_place(desk.url)

    def work(seconds: float) -> None:
        for key in (b"key", b"key", b"key", b"absent"):
            place.get(key)

    desk.pause = work
    facts = desk("monitor", "--once").facts
    assert facts["get/s"] == pytest.approx(4)
    assert facts["hit_ratio"] == 0.75
    assert facts["ping_ms"] == pytest.approx(1000 / 11, abs=0.001)
    assert facts["records"] >= 1
    assert facts["users"] >= 1
    assert facts["size"] > 0


def test_lines_come_until_it_is_enough(watched: Desk) -> None:
    pauses: list[float] = []
    watched.pause = pauses.append
    assert len(watched("monitor", "--count", 3, "--interval", "2").json) == 3
    assert pauses == [2.0] * 3
    lines = watched("monitor", "--count", 2, "--table").text.splitlines()
    assert len(lines) == 2
    assert "hit ratio -" in lines[0]
    assert "records 1" in lines[0]


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_is_drawn_again_and_again(watched: Desk, width: int) -> None:
    watched.watched, watched.width = True, width
    watched.pause = _interrupting_after(60)
    said = watched("monitor")
    assert said.status == OK
    screens = said.text.split("\x1b[H\x1b[2J")
    assert len(screens) == 61
    lines = screens[-1].splitlines()
    assert lines[0] == watched.url[:width]
    assert {line.split()[0] for line in lines[1:-1]} == {
        "get/s", "evictions/s", "expirations/s", "hit", "ping", "users", "records", "size",
    }  # fmt: skip
    assert max(map(len, lines)) <= width
    assert max(map(len, lines[1:])) >= width - 5


def test_one_look_at_a_terminal_clears_nothing(watched: Desk) -> None:
    watched.watched = True
    said = watched("monitor", "--once")
    assert "\x1b" not in said.text
    assert "records" in said.text


def test_a_server_may_go_and_come_back(watched: Desk) -> None:
    with ExitStack() as servers:
        address = servers.enter_context(running("bundled"))
        watched.url = f"kt://{address}"
        events = iter([lambda: None, servers.close, lambda: servers.enter_context(running("bundled", address=address))])
        watched.pause = lambda seconds: next(events)()
        said = watched("monitor", "--count", 3)
    assert ["error" in line for line in said.json] == [False, True, False]
    assert said.status == OK


def test_a_server_that_is_gone_at_the_end(watched: Desk) -> None:
    with ExitStack() as servers:
        watched.url = f"kt://{servers.enter_context(running('bundled'))}"
        watched.pause = lambda seconds: servers.close()
        said = watched("monitor", "--once", "--table")
    assert said.status == UNREACHABLE
    assert "cannot be reached" in said.text


def test_json_lines_reach_who_reads_them_at_once(watched: Desk) -> None:
    seen: list[int] = []
    watched.pause = lambda seconds: seen.append(1)
    said = watched("monitor", "-c", 2)
    assert [json.loads(line)["url"] for line in said.text.splitlines()] == [watched.url] * 2


def _interrupting_after(times: int) -> Callable[[float], None]:
    left = count(times, -1)

    def pause(seconds: float) -> None:
        if not next(left):
            raise KeyboardInterrupt

    return pause


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([0, 0], "▁▁"), ([1, 2, 4, 8], "▂▃▅█"), ([5], "█"), ([-1, 3], "▁█")],
)
def test_figures_are_bars(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars
