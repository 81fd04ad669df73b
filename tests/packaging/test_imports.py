"""What importing an adapter brings with it: a worker pays for its own part alone, in time and in memory."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from tests.processes import python

SERVERS = {
    "kt_core.server.server",
    "kt_core.server.service",
    "kt_core.server.tyrant.server",
    "kt_core.embedded.manager",
    "kt_core.cli",
    "kt_core.commands.table",
}
CLIENTS = {
    "kt_core.kyoto",
    "kt_core.tyrant",
    "kt_core.transport",
    "kt_core.pool",
    "kt_core.aio",
    "kt_core.wire",
    "kt_cache.options.servers",
    "kt_cache.options.aerospike",
    "kt_cache.stores.served",
    "kt_cache.stores.hosts",
}
SELDOM = {"kt_core.database.cursor", "kt_core.database.posix", "kt_cache.locks", "kt_cache.limits", "msgpack"}
OPTIONAL = {"aerospike", "uvloop", "lupa", "lz4", "zstandard", "brotli", "prometheus_client", "pytest"}
FLASK, DJANGO = {"flask", "werkzeug", "flask_caching"}, {"django"}
LARGE = {"multiprocessing", "fractions"}
LARGE_BUT_DJANGOS = {"asyncio", "subprocess"}
"""Django imports them itself."""

NEVER = SERVERS | CLIENTS | SELDOM | OPTIONAL | LARGE
CASES = {
    "kt_core": NEVER | FLASK | DJANGO | LARGE_BUT_DJANGOS | {"lmdb", "ssl"},
    "kt_core.database": NEVER | FLASK | DJANGO | LARGE_BUT_DJANGOS | {"ssl"},
    "kt_cache.stores": NEVER | FLASK | DJANGO | LARGE_BUT_DJANGOS | {"ssl"},
    "kt_cache.django": NEVER | FLASK | {"kt_cache.inspector", "kt_cache.commands"},
    "kt_cache.flask": NEVER | DJANGO | LARGE_BUT_DJANGOS | {"flask_caching", "kt_cache.inspector"},
    "kt_cache.flask.cache": NEVER | DJANGO | LARGE_BUT_DJANGOS | {"kt_cache.inspector", "kt_cache.commands"},
}

_LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"
_USED = """
from kt_cache.flask.cache import KTCache
cache = KTCache("embedded://{place}?max_size=2m")
assert cache.set("key", ["value"]) and cache.get("key") == ["value"]
"""


def loaded_by(code: str) -> set[str]:
    """Return the modules that a process has after running some code."""
    return set(json.loads(python("-c", f"{code}\n{_LOADED}")))


@pytest.mark.parametrize("module", CASES)
def test_importing_it_does_not_import(module: str) -> None:
    assert loaded_by(f"import {module}") & CASES[module] == set()


def test_using_an_embedded_cache_imports_no_more(tmp_path: Path) -> None:
    assert loaded_by(_USED.format(place=tmp_path / "place")) & CASES["kt_cache.flask.cache"] == set()


@pytest.mark.parametrize("package", ["kt_core", "kt_core.database", "kt_cache.options"])
def test_what_a_package_imports_when_it_is_asked_for_is_there(package: str) -> None:
    module = import_module(package)
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        module.Nothing  # noqa: B018 - asked for
