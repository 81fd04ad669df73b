"""Every extra by itself: what it promises can be used, and what is not installed is named with its extra."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.packaging.environments import Environment

DJANGO_CACHE = """
from django.conf import settings
settings.configure(SECRET_KEY="s", CACHES={"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": PLACE}})
import django
django.setup()
from django.core.cache import cache
cache.set("key", {"a": 1})
assert cache.get("key") == {"a": 1}
import kt_cache.django.sessions, kt_cache.django.testing
"""
FLASK_CACHE = """
from flask import Flask
from flask_caching import Cache
import kt_cache.flask.sessions
app = Flask("site")
app.config.update(CACHE_TYPE="kt_cache.flask.KTCache", CACHE_KT_LOCATION=PLACE)
cache = Cache(app)
with app.app_context():
    cache.set("key", 1)
    assert cache.get("key") == 1
"""
CORE = """
from kt_cache.options import Options
from kt_cache.stores import open_store
store = open_store(Options.parse(PLACE, {}, default_name="x"))
store.set(b"key", b"value", None)
assert store.get(b"key") is not None
from kt_core import KyotoTycoon, TokyoTyrant, EmbeddedServer
with EmbeddedServer() as server:
    server.client.set("key", "value")
    assert server.client.get("key") == "value"
"""
EVERY_MODULE = """
from importlib import import_module
from pkgutil import walk_packages

def missed(package):
    for module in walk_packages(import_module(package).__path__, package + ".", onerror=lambda name: None):
        try:
            if not module.name.endswith(".__main__"):
                import_module(module.name)
        except ModuleNotFoundError:
            yield module.name

assert list(missed("kt_core")) == []
of_extras = ["kt_cache.django", "kt_cache.flask", "kt_cache.prometheus", "kt_cache.stores.aerospike"]
assert list(missed("kt_cache")) == of_extras
"""
LUA = """
from lupa import lua51
from kt_core.server.interpreter import Interpreter
"""


_TRY = """
from importlib import import_module

def try_all(parts):
    for part in parts:
        try:
            import_module(part)
        except ModuleNotFoundError as error:
            print(error)
"""


class Extra(NamedTuple):
    """An extra: code that works where it alone is installed, and parts that name the extra they miss."""

    works: str
    missing: dict[str, str]  # part -> extra


DJANGO, FLASK = {"kt_cache.django": "django"}, {"kt_cache.flask": "flask"}
PROMETHEUS = {"kt_cache.prometheus": "prometheus"}
EXTRAS = {
    "": Extra(CORE + EVERY_MODULE, DJANGO | FLASK | PROMETHEUS),
    "django": Extra(DJANGO_CACHE, FLASK | PROMETHEUS | {"kt_cache.django.prometheus": "prometheus"}),
    "flask": Extra(FLASK_CACHE, DJANGO | PROMETHEUS),
    "aerospike": Extra("from kt_core import aerospike\nimport kt_cache.stores.aerospike", DJANGO | FLASK),
    "server": Extra("import uvloop\n" + CORE, DJANGO),
    "lua": Extra(LUA, DJANGO),
    "compression": Extra(
        "from kt_cache.compression import COMPRESSIONS\nfor each in COMPRESSIONS.values(): each.check()", DJANGO
    ),
    "prometheus": Extra("import kt_cache.prometheus", DJANGO | FLASK),
    "testing": Extra("import pytest, kt_cache.testing", FLASK),
}


@pytest.fixture(scope="module", params=EXTRAS, ids=lambda extra: extra or "none")
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Environment, Extra]:
    """One extra, and the package from its wheel."""
    folder = tmp_path_factory.mktemp("extra")
    requirement = f"kt-cache[{request.param}] @ {wheel.as_uri()}"
    return Environment.make(folder / "environment", requirement), EXTRAS[request.param]


def test_an_extra_alone_brings_what_it_promises(installed: tuple[Environment, Extra], tmp_path: Path) -> None:
    environment, extra = installed
    done = environment.run(f"PLACE = {f'embedded://{tmp_path}/db'!r}\n{extra.works}")
    assert done.returncode == 0, done.stderr


def test_what_is_missing_names_its_extra(installed: tuple[Environment, Extra]) -> None:
    environment, extra = installed
    said = environment.run(f"{_TRY}\ntry_all({list(extra.missing)!r})").stdout.splitlines()
    parts = zip(extra.missing.items(), said, strict=True)
    for (part, name), line in parts:
        assert line.startswith(f"{part} needs ")
        assert line.endswith(f": pip install 'kt-cache[{name}]'")


def test_the_command_line_is_installed(installed: tuple[Environment, Extra]) -> None:
    environment, _ = installed
    assert environment.program("kt", "--version").stdout.startswith("kt-cache ")


@pytest.fixture(scope="module")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment.make(tmp_path_factory.mktemp("alone") / "environment", str(wheel), "flask")


class TestNothingElse:
    """The package beside Flask, and none of its extras: what is asked for and is not there."""

    @pytest.mark.parametrize(
        ("code", "advice"),
        [
            (
                "from kt_cache.options import Options\nfrom kt_cache.stores import open_store\n"
                "open_store(Options.parse('aerospike://127.0.0.1/n/s', {}, default_name='x'))",
                "aerospike",
            ),
            ("from kt_cache.compression import COMPRESSIONS; COMPRESSIONS['zstd'].check()", "kt-cache[compression]"),
            ("from kt_cache.flask import KTCache", "kt-cache[flask]"),
        ],
    )
    def test_it_is_told_what_to_install(self, alone: Environment, code: str, advice: str) -> None:
        last = alone.run(code).stderr.strip().splitlines()[-1]
        assert "install " in last
        assert advice in last

    def test_scripts_say_that_they_need_lua(self, alone: Environment, tmp_path: Path) -> None:
        script = tmp_path / "a.lua"
        script.write_text("")
        done = alone.program("kt", "serve", "-port", "0", "-scr", str(script))
        assert done.stderr == "the server cannot start: scripts need Lua: pip install 'kt-cache[lua]'\n"
        assert done.returncode == 1

    def test_flask_and_its_sessions_work_without_flask_caching(self, alone: Environment) -> None:
        assert alone.run("import kt_cache.flask.sessions").returncode == 0
        done = alone.program("flask", "--help")
        assert "kt " in done.stdout
        assert "Traceback" not in done.stderr
