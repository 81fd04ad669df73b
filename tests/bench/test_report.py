"""The benchmark's tables: numbers in three digits, medians, ratios by round."""

from __future__ import annotations

import pytest

from bench.report import Report, Setting, figure, left_out, medians, ratio, ratios, table


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
    assert ratio({"basis": [2.0, 6.0, 2.0], "other": [1.0, 3.0, 1.0]}, "other", "basis") == 0.5


def test_a_row_has_a_cell_for_each_column() -> None:
    columns = [{"one": [1.0, 9.0, 3.0], "two": [2.0, 18.0, 12.0]}, {"one": [50.0] * 3, "two": [25.0] * 3}]
    assert medians("One", columns, "one") == ["One", "3.00", "50.0"]
    assert ratios("One to two", columns, "one", "two") == ["One to two", "0.50", "2.00"]


def test_the_setting_names_the_command_and_what_is_left_out() -> None:
    section = Setting("python -m bench", busy=0.25).section(left_out("AbsentCache", "No module named 'absent'"))
    assert section.startswith("- Command: `python -m bench`\n- Date: ")
    assert "; load average before the run 0.2\n" in section
    assert section.endswith("\n- Left out: AbsentCache: No module named 'absent'")


def test_a_report_has_a_heading_and_no_empty_sections() -> None:
    assert Report("name", ["one", "", "two"]).text == "# Benchmark results\n\none\n\ntwo\n"
