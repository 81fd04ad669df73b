"""The names that projects filter by: those that are told, and no others; and what a record says besides its text."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

import kt_cache
from kt_cache.options import Options
from kt_cache.stores import open_store
from kt_cache.stores.hosts import Breaker
from kt_core.database import Environment
from kt_core.errors import ConnectionFailed

ROOT = Path(__file__).parents[1]
USES = re.compile(r"""getLogger\(\s*["']([\w.]+)["']\s*\)""")


def test_the_loggers_are_those_that_are_told() -> None:
    told = set(re.findall(r"``((?:kt_|django\.)[\w.]+)``", kt_cache.__doc__ or "")) - {"kt_location"}
    used = {
        name
        for package in ("kt_cache", "kt_core")
        for path in (ROOT / package).rglob("*.py")
        for name in USES.findall(path.read_text())
    }
    assert used - {"kt_core"} == told  # the server's command line configures all of its package


def test_an_outage_has_the_server_as_an_attribute(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("host:1978", rest=0.0)
    with pytest.raises(ConnectionFailed), breaker:
        raise ConnectionFailed("refused")
    with breaker:
        pass
    assert [(each.name, each.kt_location) for each in caplog.records] == [("kt_cache.stores", "host:1978")] * 2  # type: ignore[attr-defined]


def test_a_value_without_room_has_the_directory_as_an_attribute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(Options.parse(f"embedded://{tmp_path}/place?max_size=1MiB", {}, default_name=""))
    with caplog.at_level(logging.WARNING, "kt_cache"):
        assert not store.set(b"a secret key", b"a secret value" * 100_000, None)
    Environment.close_below(tmp_path)
    (record,) = caplog.records
    assert (record.name, record.kt_location) == ("kt_cache.stores", f"{tmp_path}/place")  # type: ignore[attr-defined]
    assert "secret" not in record.getMessage()
