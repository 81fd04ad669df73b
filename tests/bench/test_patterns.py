"""The report on deleting by pattern: a row for each way, beside the first; and what goes into it."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from bench.backends import Entrant, Missing
from bench.patterns import LOOK_EVERY, ONE_IN, PATTERN, Results, Turn, Watch, Way, name_of, report
from bench.report import Setting

ENTRANT = Entrant("ours", "OurCache", False, {})


def results() -> Results:
    return Results(
        1_000,
        [Way("ours", "OurCache", ENTRANT), Way("other", "OtherCache", ENTRANT, 10_000)],
        {
            "ours": [Turn(0.5, 10, 1 << 20), Turn(1.0, 10, 2 << 20)],
            "other": [Turn(2.0, 10, 0), Turn(3.0, 9, 0)],
        },
        [Missing("absent", "AbsentCache", "not installed")],
    )


def test_a_row_for_each_way() -> None:
    rows = report(results(), Setting("python -m bench patterns")).text.splitlines()
    assert "| OurCache | 0.75 | 1,333 | 1.00 | 2.00 |" in rows
    assert "| OtherCache | 2.50 | 400 | 3.50 | 0.000 |" in rows
    assert "- Left out: AbsentCache: not installed" in rows


def test_a_wrong_count_is_told() -> None:
    assert report(results(), Setting("")).text.endswith("OtherCache said 9 instead of 10.\n")


def test_some_keys_fit_wherever_they_are() -> None:
    names = [name_of(number) for number in range(5 * ONE_IN)]
    fitting = [name for name in sorted(names) if fnmatchcase(name, PATTERN)]
    assert len(set(names)) == len(names)
    assert len(fitting) == 5
    assert fitting != sorted(names)[:5]


def test_memory_is_watched_at_its_highest() -> None:
    size = 32 << 20
    # Pages of its own, fresh from the system: what the interpreter's allocator has kept would be no growth.
    with Watch() as watch, mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS) as held:
        held.write(b"x" * size)
        deadline = time.monotonic() + 10
        while watch.growth <= size // 2 and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
    assert watch.growth > size // 2
