"""The report on keys on disk: one row for each number of keys, beside the smallest."""

from __future__ import annotations

from bench.disk import Results, report
from bench.generator import Turn
from bench.report import Setting


def turn(operations: int, seconds: float = 1.0, p99: int = 20) -> Turn:
    return Turn(operations, seconds, 10, p99, 30, 0, 0)


RESULTS = Results(
    filling={10: [turn(10, 0.5)], 40: [turn(30, 0.5), turn(10, 1.5)]},
    turns={
        10: {90: [turn(400), turn(200), turn(300)], 50: [turn(200)] * 3},
        40: {90: [turn(200), turn(100), turn(150)], 50: [turn(190)] * 3},
    },
    bytes={10: 4_000, 40: 12_000},
)


def test_a_row_for_each_number_of_keys() -> None:
    rows = report("disk", RESULTS, "a disk", Setting("python -m bench disk")).text.splitlines()
    assert "- Files: a disk" in rows
    assert "| 10 | 20.0 | 400 | 300 | 20.0 | 1.00 | 200 | 20.0 | 1.00 |" in rows
    assert "| 40 | 20.0 | 300 | 150 | 20.0 | 0.50 | 190 | 20.0 | 0.95 |" in rows


def test_curves_show_the_largest_being_filled() -> None:
    assert RESULTS.curves() == {
        "storing keys once": [(30, 60.0), (40, 10 / 1.5)],
        "90 % get, 10 % set": [(10, 300), (40, 150)],
        "50 % get, 50 % set": [(10, 200), (40, 190)],
    }
