"""The report on caches: a section for each part that ran, and a chart for each that can be drawn."""

from __future__ import annotations

from bench import growth, hit_ratio, load
from bench.backends import BASIS, Entrant, Missing
from bench.caches import PANELS, Results, report
from bench.report import Report, Setting


def results() -> Results:
    return Results(
        "a directory",
        entrants=[Entrant("other", "OtherCache", False, {}), Entrant(BASIS, "LocMemCache", True, {})],
        missing=[Missing("absent", "AbsentCache", "ModuleNotFoundError: No module named 'absent'")],
    )


def reported(run: Results) -> Report:
    return report(run, Setting("python -m bench"))


def test_a_report_names_the_place_and_what_is_left_out() -> None:
    told = reported(results())
    assert "- Files of every backend that has some: a directory;" in told.text
    assert "- Left out: AbsentCache: ModuleNotFoundError: No module named 'absent'" in told.text
    assert "## " not in told.text
    assert not told.charts


def test_calls_and_load_share_a_table() -> None:
    run = results()
    run.calls = {operation: {"other": [1.5, 1.5], BASIS: [3.0, 3.0]} for operation in PANELS}
    run.load = load.Result({"other": [5e5], BASIS: [2.5e5]}, {"other": 3, BASIS: 0}, {"other": 0, BASIS: 0})
    told = reported(run)
    assert "| OtherCache | 1.50 | 1.50 | 1.50 | 500,000 |" in told.text
    assert "| OtherCache | 0.50 | 0.50 | 0.50 | 2.00 |" in told.text
    assert "Under load OtherCache had lost 3 keys asked for and raised 0 errors." in told.text
    assert set(told.charts) == {"latency"}


def test_growth_tells_what_was_left_out() -> None:
    run = results()
    run.growth = growth.Result([growth.Row("OtherCache", 10_000, 1.5, 6.25, 180.4, 1e6)], ["Too large."])
    told = reported(run)
    assert "| OtherCache | 10,000 | 1.50 | 6.25 | 180 | 1,000,000 |" in told.text
    assert told.text.endswith("Too large.\n")
    assert set(told.charts) == {"growth"}


def test_hit_ratios_stand_beside_the_model() -> None:
    run = results()
    run.hit_ratio = [hit_ratio.Row("OtherCache", "shuffled", 9_990.6, 0.7512, 0.7534)]
    assert "| OtherCache | shuffled | 9,991 | 75.12% | 75.34% | -0.22 |" in reported(run).text
