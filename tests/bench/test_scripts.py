"""The report on calls of a script: the servers found side by side, and what went wrong."""

from __future__ import annotations

from bench.generator import Turn
from bench.report import Setting
from bench.scripts import CONNECTIONS, PROCEDURES, SERVERS, Result, report
from bench.servers import BUNDLED, KTSERVER

SETTING = Setting("python -m bench scripts")
RIGHT, WRONG = Turn(100, 1.0, 1, 2, 3, 0, 0), Turn(100, 1.0, 1, 2, 3, 4, 5)
SAMPLES = {
    (connections, procedure): {BUNDLED.name: [22.0, 21.0, 44.0], KTSERVER.name: [20.0, 20.0, 40.0]}
    for connections in CONNECTIONS
    for procedure in PROCEDURES
}


def test_medians_and_ratios_of_both_servers() -> None:
    rows = report(Result(SAMPLES, {BUNDLED.name: [RIGHT], KTSERVER.name: [WRONG]}), SETTING, []).text.splitlines()
    assert rows.count("| 1 connection | get | increment | echo | accept |") == 1
    assert rows.count("| 50 connections | get | increment | echo | accept |") == 1
    assert rows.count("| bundled server | 22.0 | 22.0 | 22.0 | 22.0 |") == 2
    assert rows.count("| bundled server / ktserver | 1.10 | 1.10 | 1.10 | 1.10 |") == 2
    assert "- Under load ktserver had lost 4 keys asked for and failed 5 connections." in rows


def test_one_server_alone_has_no_ratios() -> None:
    text = report(Result(SAMPLES, {BUNDLED.name: [RIGHT]}), SETTING, ["Left out: ktserver: why"]).text
    assert "- Left out: ktserver: why" in text
    assert "bundled server |" in text
    assert "bundled server /" not in text


def test_without_a_server_there_are_only_notes() -> None:
    assert "##" not in report(Result(), SETTING, []).text


def test_the_servers_run_the_script_that_the_generator_knows() -> None:
    for server in SERVERS:
        flag, script, database = server.command[-3:]
        assert (flag, database) == ("-scr", "*")
        assert script.endswith("scripts.lua")
