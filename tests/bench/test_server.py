"""The report on servers: requests a second, latency, and ratios taken within each round."""

from __future__ import annotations

from bench.generator import Turn
from bench.report import Report, Setting
from bench.server import LOADS, Turns, report


def turn(rate: int, p99: int, errors: int = 0) -> Turn:
    return Turn(rate, 1.0, p99 // 2, p99, 2 * p99, 0, errors)


def reported(turns: dict[str, list[Turn]]) -> Report:
    every: Turns = dict.fromkeys(LOADS, turns)
    return report("server", every, 1_000, Setting("python -m bench server"), ["Left out: one"])


def test_loads_are_named_by_connections_and_mix() -> None:
    assert [kind.title for kind in LOADS[:3]] == ["1 connection, 90/10", "1 connection, 50/50", "50 connections, 90/10"]


def test_medians_stand_beside_each_other() -> None:
    told = reported({"bundled": [turn(90_000, 40), turn(30_000, 400), turn(60_000, 100)], "redis": [turn(5, 10)] * 3})
    rows = told.text.splitlines()
    assert f"| bundled server |{' 60,000 |' * len(LOADS)}" in rows
    assert f"| redis-server |{' 5.00 |' * len(LOADS)}" in rows
    assert f"| bundled server |{' 50.0 / 100 / 200 |' * len(LOADS)}" in rows
    assert "- Left out: one" in rows
    assert set(told.charts) == {"server"}


def test_ratios_are_those_within_each_round() -> None:
    told = reported(
        {
            "bundled": [turn(300, 10), turn(100, 30), turn(200, 20)],
            "ktserver": [turn(150, 20), turn(50, 60), turn(100, 40)],
        }
    )
    rows = told.text.splitlines()
    assert f"| requests a second, to ktserver |{' 2.00 |' * len(LOADS)}" in rows
    assert f"| 99th percentile, to ktserver |{' 0.50 |' * len(LOADS)}" in rows


def test_without_a_server_to_compare_with_there_are_no_ratios() -> None:
    assert "ratio" not in reported({"bundled": [turn(300, 10)]}).text
    assert "ratio" not in reported({"ktserver": [turn(300, 10)], "redis": [turn(300, 10)]}).text


def test_failures_are_told() -> None:
    told = reported({"bundled": [turn(300, 10, errors=1)]})
    assert f"Under load bundled server had lost 0 keys asked for and failed {len(LOADS)} connections." in told.text
