"""The program: which one is meant, its flags, and that it serves and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kt_core.errors import Misconfigured
from kt_core.server.command import choose_program
from kt_core.server.flags import read, usage
from kt_core.server.tyrant.command import FLAGS, REFUSED, TYRANT
from kt_core.server.tyrant.masks import Mask, parse
from kt_core.wire import tt_messages as tt
from tests.server.program import program, run
from tests.server.tyrant.asking import Asker

FLAGS_OF_THE_ORIGINAL = """
-host -port -thnum -tout -dmn -pid -kl -log -ld -le -ulog -ulim -uas -sid -mhost -mport -rts -rcc -skel -mul -ext -extpc
-mask -unmask --version
"""


def test_every_flag_of_the_original_is_taken_or_refused_with_a_reason() -> None:
    assert {*FLAGS_OF_THE_ORIGINAL.split()} - {*FLAGS} == {*REFUSED}
    text = usage(TYRANT)
    assert all(f"  {name}" in text for name in FLAGS)
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("", {}),
        ("*#capnum=5", {"database": "*#capnum=5"}),
        ("-port 0 -thnum 3 -tout 2.5 x.tcb", {"port": 0, "threads": 3, "timeout": 2.5, "database": "x.tcb"}),
        ("-ext a.lua -extpc f 2 -extpc g 0.5", {"script": "a.lua", "periodic": (("f", 2.0), ("g", 0.5))}),
        ("-ulog d -ulim 5k -sid 3", {"log_directory": Path("d"), "log_limit": 5120, "sid": 3}),
        ("-mhost h -sid 3 -rts r -rcc", {"master": ("h", 1978), "sid": 3, "time_path": Path("r"), "checks": True}),
        ("-mport 7 -mhost h -sid 65535", {"master": ("h", 7), "sid": 65535}),
        ("-mask put,out -unmask out", {"mask": frozenset({"put"})}),
        ("-host /run/tt -port -1", {"sock": "/run/tt", "host": None, "port": None}),
        ("-sock /run/tt", {"sock": "/run/tt", "port": None}),
        ("-uas -le -- -", {"database": "-"}),
    ],
)
def test_what_a_line_says(line: str, options: dict[str, Any]) -> None:
    assert read(TYRANT, line.split()).options == options


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("-skel x", "plug-ins"),
        ("* +", "start another one"),
        ("-ulog d", "-sid"),
        ("-mhost h", "-sid"),
        ("-mport 5 -sid 1", "-mhost"),
        ("-sid 70000", "65535"),
        ("-ulim x -ulog d -sid 1", "-ulim x"),
        ("-extpc f", "FUNCTION SECONDS"),
        ("-extpc f 0", "-extpc f 0"),
        ("-mask putt", "'put'"),
        ("-exte x", "'-ext'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(line: str, hint: str) -> None:
    with pytest.raises(Misconfigured, match=hint):
        read(TYRANT, line.split())


def test_which_program_is_meant() -> None:
    assert choose_program("/usr/bin/ttserver", ["-port", "1"]) == (TYRANT, ["-port", "1"])
    assert choose_program("kt", ["--tyrant", "-port", "1"]) == (TYRANT, ["-port", "1"])
    assert choose_program("kt", ["-port", "1"])[0] is not TYRANT


def test_it_tells_about_itself() -> None:
    assert "Tokyo Tyrant 1.1.41" in run("--tyrant", "--version").stdout
    told = run("--tyrant", "--help").stdout
    assert "PATH.tct" in told
    assert "-extpc" in told


def test_it_serves_and_ends(tmp_path: Path) -> None:
    name = f"{tmp_path}/x.tcb"
    for number in range(2):
        with (
            program(name, flags=("--tyrant", "-port", "0", "-le", "-sid", "3")) as server,
            Asker(server.address) as asker,
        ):
            assert asker.ask_for(tt.RNum()) == number
            assert asker.call("putdup", b"k", b"v") == []
            assert server.end() == 0


@pytest.mark.parametrize("arguments", [["nothing"], ["-ext", "/nowhere.lua"], ["-ulog", "/dev/null", "-sid", "1"]])
def test_it_says_why_it_cannot_start(arguments: list[str]) -> None:
    done = run("--tyrant", "-port", "0", "-le", *arguments)
    assert done.returncode == 1
    assert "write" in done.stderr or "name" in done.stderr


def test_masks() -> None:
    assert Mask().forbids("put") is False
    assert Mask(parse("put")).forbids("put") is True
    assert Mask(parse("put")).forbids("putkeep") is False
    names = ("get", "put", "misc", "ext")
    assert [Mask(parse("allread")).forbids(name) for name in names] == [True, False, False, False]
    assert [Mask(parse("allwrite")).forbids(name) for name in names] == [False, True, True, False]
    assert [Mask(parse("allmc")).forbids("get", protocol) for protocol in ("allorg", "allmc", "allhttp")] == [
        False, True, False,
    ]  # fmt: skip
    assert all(Mask(parse("all")).forbids(name) for name in ("get", "repl", "slave"))
    assert Mask(parse("all") - parse("get,put")).forbids("get"), "the groups are forbidden yet"
