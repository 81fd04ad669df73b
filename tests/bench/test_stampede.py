"""The report on a stampede: how often the value was computed, and what its callers waited."""

from __future__ import annotations

from bench.backends import Entrant, Missing
from bench.report import Setting
from bench.stampede import Results, Turn, report


def test_a_row_for_each_cache() -> None:
    results = Results(
        [Entrant("ours", "OurCache", False, {}), Entrant("other", "OtherCache", True, {})],
        {
            "ours": [[Turn(0.21, 1), Turn(0.22, 0), Turn(0.24, 0)]] * 2,
            "other": [[Turn(0.2, 1)] * 3, [Turn(0.3, 1), Turn(0.2, 1), Turn(0.4, 0)]],
        },
        [Missing("absent", "AbsentCache", "not installed")],
    )
    rows = report(results, Setting("python -m bench stampede")).text.splitlines()
    assert "| OurCache | 1 | 240 | 220 |" in rows
    assert "| OtherCache | 2 | 300 | 250 |" in rows
    assert "- Left out: AbsentCache: not installed" in rows
