"""The report on the client of Tokyo Tyrant: its calls beside those of a bare socket on the same server."""

from __future__ import annotations

from bench.report import Setting
from bench.tyrant import report

SAMPLES = {
    "get": {"TokyoTyrant on ttserver": [22.0, 21.0, 44.0], "bare socket on ttserver": [20.0, 20.0, 40.0]},
    "set": {"TokyoTyrant on ttserver": [30.0, 30.0, 30.0], "bare socket on ttserver": [30.0, 30.0, 60.0]},
}
SETTING = Setting("python -m bench tyrant")


def test_medians_and_ratios_of_the_servers_found() -> None:
    rows = report(SAMPLES, SETTING, ["Left out: bundled server: why"]).text.splitlines()
    assert "- Left out: bundled server: why" in rows
    assert "| TokyoTyrant on ttserver | 22.0 | 30.0 |" in rows
    assert "| bare socket on ttserver | 20.0 | 30.0 |" in rows
    assert "| TokyoTyrant on ttserver / bare socket on ttserver | 1.10 | 1.00 |" in rows
    assert not any("bundled server /" in row for row in rows)


def test_without_a_server_there_are_only_notes() -> None:
    assert "##" not in report({}, SETTING, []).text
