"""Dependencies point down: what each layer may not import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The packages that the modules below a directory may not import, those below an exception aside.
RULES: list[tuple[str, str | None, set[str]]] = [
    ("kt_core", None, {"django", "flask", "kt_cache", "asgiref", "tests"}),
    ("kt_core/database", None, {"asyncio", "socket", "select", "selectors", "socketserver", "http", "ssl"}),
    ("kt_core/database", None, {"kt_core.server", "kt_core.wire", "kt_core.client", "kt_core.transport"}),
    ("kt_core/database", None, {"kt_core.commands", "kt_core.terminal"}),
    ("kt_core/server", None, {"kt_core.commands", "kt_core.terminal"}),
    ("kt_core/wire", None, {"asyncio", "socket", "select", "selectors", "time", "threading", "kt_core.database"}),
    ("kt_cache", None, {"tests", "example_project", "bench"}),
    ("kt_cache", "kt_cache/django", {"django", "asgiref", "kt_cache.django"}),
    ("kt_cache", "kt_cache/flask", {"flask", "werkzeug", "cachelib", "flask_caching", "kt_cache.flask"}),
    ("kt_cache", "kt_cache/stores", {"lmdb"}),
]


def modules(directory: str, exception: str | None) -> list[Path]:
    """Return the paths of a directory's modules, relative to the project."""
    found = (path.relative_to(ROOT) for path in (ROOT / directory).rglob("*.py"))
    return sorted(path for path in found if exception is None or not path.is_relative_to(exception))


def imports(source: str, package: str) -> Iterator[str]:
    """Yield the dotted names of all that a module of a package imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*outer, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def forbidden(source: str, package: str, names: set[str]) -> list[str]:
    """Return what a module imports of the given packages and of those below them."""
    return [
        imported
        for imported in imports(source, package)
        if any(f"{imported}.".startswith(f"{name}.") for name in names)
    ]


CASES = [(path, names) for directory, exception, names in RULES for path in modules(directory, exception)]


@pytest.mark.parametrize(("path", "names"), CASES, ids=str)
def test_a_module_imports_nothing_from_above(path: Path, names: set[str]) -> None:
    assert forbidden((ROOT / path).read_text(), ".".join(path.parent.parts), names) == []


def test_every_package_is_looked_at() -> None:
    looked_at = {path.parts[0] for path, _ in CASES}
    assert looked_at == {"kt_core", "kt_cache"}
    assert Path("kt_cache/django/cache.py") in {path for path, _ in CASES}


@pytest.mark.parametrize(
    "source",
    [
        "import flask",
        "import flask.views as views",
        "from flask import Flask",
        "from flask.views import View",
        "def f():\n    import flask",
        "if TYPE_CHECKING:\n    from flask import Flask",
        "from kt_cache import flask",
        "from kt_cache.flask import cache",
        "from . import flask",
        "from .flask import cache",
    ],
)
def test_an_import_from_above_is_found(source: str) -> None:
    assert forbidden(source, "kt_cache", {"flask", "kt_cache.flask"}) != []


@pytest.mark.parametrize(
    "source", ["import flasks", "from kt_cache import flasks", "from . import values", "flask = 1"]
)
def test_other_imports_are_none(source: str) -> None:
    assert forbidden(source, "kt_cache", {"flask", "kt_cache.flask"}) == []
