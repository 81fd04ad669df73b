"""The benchmark's tables: numbers in three digits, ratios by round, a section for each part that ran."""

from __future__ import annotations

import pytest

from bench import growth, hit_ratio, load
from bench.backends import BASIS, Entrant, Missing
from bench.report import Results, figure, markdown, ratio, table


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.012"), (1.2345, "1.23"), (43.52, "43.5"), (372.4, "372"), (6948.2, "6,948"), (669000.0, "669,000")],
)
def test_figures_have_about_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_table_aligns_its_numbers_right() -> None:
    assert table(["", "get"], [["Cache", "1.70"]]) == "|  | get |\n| --- | ---: |\n| Cache | 1.70 |"


def test_the_ratio_is_taken_within_each_round() -> None:
    # The machine was three times slower in the second round, for both alike.
    assert ratio({BASIS: [2.0, 6.0, 2.0], "other": [1.0, 3.0, 1.0]}, "other") == 0.5


def results() -> Results:
    return Results(
        "python -m bench",
        "a directory",
        entrants=[Entrant("other", "OtherCache", False, {}), Entrant(BASIS, "LocMemCache", True, {})],
        missing=[Missing("absent", "AbsentCache", "ModuleNotFoundError: No module named 'absent'")],
    )


def test_a_report_names_the_command_and_what_is_left_out() -> None:
    text = markdown(results())
    assert "- Command: `python -m bench`" in text
    assert "- Left out: AbsentCache: ModuleNotFoundError: No module named 'absent'" in text
    assert "## " not in text


def test_calls_and_load_share_a_table() -> None:
    run = results()
    run.calls = {"get": {"other": [1.5, 1.5], BASIS: [3.0, 3.0]}}
    run.load = load.Result({"other": [5e5], BASIS: [2.5e5]}, {"other": 3, BASIS: 0}, {"other": 0, BASIS: 0})
    text = markdown(run)
    assert "| OtherCache | 1.50 | 500,000 |" in text
    assert "| OtherCache | 0.50 | 2.00 |" in text
    assert "Under load OtherCache had lost 3 keys asked for and raised 0 errors." in text


def test_growth_tells_what_was_left_out() -> None:
    run = results()
    run.growth = growth.Result([growth.Row("OtherCache", 10_000, 1.5, 6.25, 180.4, 1e6)], ["Too large."])
    text = markdown(run)
    assert "| OtherCache | 10,000 | 1.50 | 6.25 | 180 | 1,000,000 |" in text
    assert text.endswith("Too large.\n")


def test_hit_ratios_stand_beside_the_model() -> None:
    run = results()
    run.hit_ratio = [hit_ratio.Row("OtherCache", "shuffled", 9_990.6, 0.7512, 0.7534)]
    assert "| OtherCache | shuffled | 9,991 | 75.12% | 75.34% | -0.22 |" in markdown(run)
