"""What is imported is what is declared: nothing comes in by the way, and nothing is asked for that is not used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"kt_core", "kt_cache"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Imported by name only where it is wanted, or used without being imported.
BY_NAME = {"aerospike", "lupa", "lz4", "zstandard", "brotli", "pytest-django"}


def distribution(requirement: str) -> str:
    return re.split(r"[\[<>=~! ]", requirement)[0].lower().replace("_", "-")


def declared() -> set[str]:
    extras = PROJECT["optional-dependencies"]
    every = [
        *PROJECT["dependencies"],
        *(each for name in extras if name not in ("all", "dev") for each in extras[name]),
    ]
    return set(map(distribution, every))


def imported() -> dict[str, str]:
    """Return the modules from elsewhere that the packages import, each with a file that does."""
    found = {}
    for package in sorted(OURS):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                found.update({name.partition(".")[0]: str(path) for name in names})
    return {name: path for name, path in found.items() if name not in OURS | sys.stdlib_module_names}


# What the frameworks are made of, and bring with them.
BROUGHT = dict.fromkeys(("werkzeug", "jinja2", "markupsafe", "click", "itsdangerous"), "flask") | {
    "cachelib": "flask-caching",
    "asgiref": "django",
}


def test_what_is_imported_is_declared() -> None:
    known = packages_distributions()
    for module, path in imported().items():
        names = {BROUGHT.get(module, name.lower().replace("_", "-")) for name in known.get(module, [module])}
        assert names & declared(), f"{path} imports {module}, which no dependency or extra names"


def test_what_is_declared_is_imported() -> None:
    known = packages_distributions()
    used = {
        BROUGHT.get(each, name.lower().replace("_", "-")) for each in imported() for name in known.get(each, [each])
    }
    assert declared() - used - BY_NAME == set()


@pytest.mark.parametrize("name", ["dependencies", "optional-dependencies"])
def test_every_dependency_has_a_lower_bound(name: str) -> None:
    found = PROJECT[name]
    groups = [found] if isinstance(found, list) else [group for key, group in found.items() if key != "all"]
    for requirement in (each for group in groups for each in group):
        assert ">=" in requirement or requirement.startswith("kt-cache[") or "==" in requirement, requirement
