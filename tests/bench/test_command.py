"""The command line: a subject with options of its own, caches when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import caches, disk, server
from bench.__main__ import SUBJECTS, parse


def test_caches_are_the_subject_when_none_is_named() -> None:
    options = parse(["--quick", "--only", "ktcache,redis"])
    assert options.measure is caches.measure
    assert options.only == {"ktcache", "redis"}
    assert options.setting.command == "python -m bench --quick --only ktcache,redis"


def test_a_subject_has_options_of_its_own() -> None:
    assert parse(["server", "--sockets"]).measure is server.measure
    assert parse(["disk", "--keys", "5000", "--place", "/somewhere"]).keys == 5000
    assert parse(["disk", "--keys", "5000", "--place", "/somewhere"]).place == Path("/somewhere")
    assert parse(["disk"]).measure is disk.measure
    with pytest.raises(SystemExit):
        parse(["server", "--keys", "5000"])


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_has_a_place_and_a_report(subject: str) -> None:
    options = parse([subject])
    assert options.place.is_dir()
    assert options.out.name == "results"
    assert not options.quick


def test_an_unknown_backend_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["caches", "--only", "ktcache,reddis"])
    assert "reddis is none of ktcache" in capsys.readouterr().err


@pytest.mark.parametrize("keys", ["0", "-5", "many"])
def test_keys_are_counted_from_one(keys: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["disk", f"--keys={keys}"])
    assert f"'{keys}' is no number of keys: write 1 or more" in capsys.readouterr().err
