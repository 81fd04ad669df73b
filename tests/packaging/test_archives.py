"""The sdist and the wheel: what is in them, and that two builds give the same bytes."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

from tests.packaging.archives import Archives, build, unpack
from tests.processes import ROOT

PACKAGES = ("kt_core", "kt_cache")


def sources() -> set[str]:
    """Return the files of both packages, as git would take them."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    try:
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout but an unpacked sdist
        every = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
        names = [str(path.relative_to(ROOT)) for path in every if path.suffix != ".pyc"]
    return {name for name in names if (ROOT / name).is_file()}


def in_wheel(archives: Archives) -> set[str]:
    return set(zipfile.ZipFile(archives.wheel).namelist())


def in_sdist(archives: Archives) -> set[str]:
    with tarfile.open(archives.sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wheel_has_both_packages_and_nothing_else(archives: Archives) -> None:
    modules = {name for name in in_wheel(archives) if ".dist-info/" not in name}
    assert modules == sources()


def test_the_wheel_has_what_is_no_python(archives: Archives) -> None:
    assert {
        "kt_core/py.typed",
        "kt_cache/py.typed",
        "kt_cache/stores/tyrant.lua",
        "kt_core/server/scripting/environment.lua",
        "kt_cache/inspector/static/inspector.js",
        "kt_cache/inspector/static/inspector.css",
        "kt_cache/inspector/static/page.html",
    } <= in_wheel(archives)


def test_the_sdist_has_all_that_the_tests_and_the_docs_need(archives: Archives) -> None:
    names = in_sdist(archives)
    assert sources() <= names
    assert {
        "LICENSE",
        "Makefile",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "bench/__main__.py",
        "docs/django.md",
        "docs/deploy/kt.service",
        "docs/deploy/Containerfile",
        "example_project/demo.py",
        "tests/conftest.py",
    } <= names


def test_the_sdist_has_nothing_that_is_made_here(archives: Archives) -> None:
    made = ("dist/", ".venv/", ".build/", ".ci/", ".git/", ".hypothesis/", ".mypy_cache/", ".ruff_cache/")
    assert [name for name in in_sdist(archives) if name.startswith(made) or "__pycache__" in name] == []


def test_two_builds_give_the_same_bytes(archives: Archives, tmp_path: Path) -> None:
    # From copies: whoever works in the checkout meanwhile changes neither.
    one, other = (rebuilt(archives.sdist, tmp_path / name) for name in ("one", "other"))
    assert digest(one.sdist) == digest(other.sdist)
    assert digest(one.wheel) == digest(other.wheel)


def rebuilt(sdist: Path, folder: Path) -> Archives:
    return build(unpack(sdist, folder), folder / "dist")


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
