"""What importing an adapter brings with it: a worker pays for its own part alone, in time and in memory."""

from __future__ import annotations

import json

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
CLIENTS = {"kt_core.kyoto", "kt_core.tyrant", "kt_cache.stores.kyoto", "kt_cache.stores.tyrant"}
OPTIONAL = {"aerospike", "uvloop", "lupa", "lz4", "zstandard", "brotli", "prometheus_client", "pytest"}
FLASK, DJANGO = {"flask", "werkzeug", "flask_caching"}, {"django"}

CASES = {
    "kt_core": SERVERS | CLIENTS | OPTIONAL | FLASK | DJANGO | {"asyncio", "lmdb", "msgpack"},
    "kt_core.database": SERVERS | CLIENTS | OPTIONAL | FLASK | DJANGO | {"asyncio", "msgpack"},
    "kt_cache.stores": SERVERS | CLIENTS | OPTIONAL | FLASK | DJANGO,
    "kt_cache.django": SERVERS | CLIENTS | OPTIONAL | FLASK | {"kt_cache.inspector", "kt_cache.commands"},
    "kt_cache.flask": SERVERS | CLIENTS | OPTIONAL | DJANGO | {"flask_caching", "kt_cache.inspector"},
    "kt_cache.flask.cache": SERVERS | CLIENTS | OPTIONAL | DJANGO | {"kt_cache.inspector", "kt_cache.commands"},
}


@pytest.mark.parametrize("module", CASES)
def test_importing_it_does_not_import(module: str) -> None:
    loaded = set(json.loads(python("-c", f"import {module}, sys, json; print(json.dumps(sorted(sys.modules)))")))
    assert loaded & CASES[module] == set()
