"""The report on copies of a server: calls beside others', and how far a copy is behind."""

from __future__ import annotations

from bench.backends import KTCACHE, REDIS_CACHE, Entrant, Missing
from bench.replica import Lag, Results, report
from bench.report import Setting


def reported(results: Results) -> list[str]:
    return report(results, Setting("python -m bench replica")).text.splitlines()


def test_calls_stand_beside_those_of_a_database_here_and_of_a_server() -> None:
    entrants = [
        Entrant(KTCACHE.name, "here", False, {}),
        Entrant("replica", "a copy", False, {}),
        Entrant(REDIS_CACHE.name, "elsewhere", False, {}),
    ]
    samples = {"get": {KTCACHE.name: [2.0, 2.0], "replica": [2.5, 2.5], REDIS_CACHE.name: [100.0, 100.0]}}
    rows = reported(Results(entrants, samples=samples, lags=[Lag("master", [0.001, 0.002], 0)]))
    assert "| a copy | 2.50 |" in rows
    assert "| a copy | 1.25 |" in rows
    assert "| a copy | 0.025 |" in rows


def test_a_lag_is_told_in_milliseconds() -> None:
    lags = [Lag("master", [0.001] * 98 + [0.5, 0.5], 10_000.4)]
    rows = reported(Results(missing=[Missing("absent", "AbsentServer", "not on PATH")], lags=lags))
    assert "| master | 10,000 | 1.00 | 1.00 | 500 | 100 |" in rows
    assert "- Left out: AbsentServer: not on PATH" in rows
    assert "## Reading" not in rows
