"""The cache panel of the Django debug toolbar sees the calls of a `KTCache`, and changes none of their answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.transport import Address
from tests.fix_servers import KINDS, PATIENTLY
from tests.processes import ROOT


@pytest.fixture(scope="module", params=["embedded", *KINDS])
def report(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, start_kyoto: Callable[[str], Address]
) -> dict[str, Any]:
    """Return what the site printed, for each kind of store."""
    if request.param == "embedded":
        location = f"embedded://{tmp_path_factory.mktemp('cache')}/place?max_size=4m"
    else:
        location = f"kt://{start_kyoto(request.param)}/1{PATIENTLY}"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.adapters.toolbar_site", location],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_panel_sees_every_call_and_changes_no_answer(report: dict[str, Any]) -> None:
    assert report["answers"] == [
        True, False, "v", "default", [], {"a": 1, "b": 2}, 6, 5, "value", False, True, True, 30, {"n": 6}, "v",
        False, None, {},
    ]  # fmt: skip
    backend = "default (KTCache)"
    assert report["calls"] == [
        ["set", "k", {}, backend],
        ["set", "k", {"nx": True}, backend],
        ["get", "k", {}, backend],
        ["get", "none", {}, backend],
        ["set_many", {"a": 1, "b": 2}, {"tags": ["tag"]}, backend],
        ["get_many", ["a", "b", "none"], {}, backend],
        ["incr", "n", {"initial": 5}, backend],
        ["decr", "n", {}, backend],
        ["get_or_set", "computed", {}, backend],
        ["add", "k", {}, backend],
        ["touch", "k", {}, backend],
        ["has_key", "k", {}, backend],
        ["delete", "k", {}, backend],
        ["get_many", ["a"], {}, backend],
    ]
    assert (report["hits"], report["misses"]) == (4, 3)


def test_the_panel_shows_the_calls(report: dict[str, Any]) -> None:
    assert "default (KTCache)" in report["shown"]
    assert report["shown"].count("toolbar_site.py") >= 14
