"""The sdist and the wheel: what is in them, and that two builds give the same bytes."""

from __future__ import annotations

import os
import subprocess
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

from tests.packaging.archives import Archives, build, metadata, unpack
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


def test_the_wheel_has_both_packages_and_the_unit_of_systemd_and_nothing_else(archives: Archives) -> None:
    installed = {name for name in in_wheel(archives) if ".dist-info/" not in name}
    unit = {name for name in installed if name.endswith(".data/data/share/kt-cache/kt.service")}
    assert len(unit) == 1
    assert installed - unit == sources()


def test_what_the_wheel_says_of_itself(archives: Archives) -> None:
    said = metadata(archives.wheel)
    assert said.metadata["Description-Content-Type"] == "text/markdown"
    assert said.metadata.get_payload() == (ROOT / "README.md").read_text()  # type: ignore[attr-defined]
    assert said.metadata["License-Expression"] == "MIT"
    assert [(point.group, point.name) for point in said.entry_points] == [
        ("console_scripts", "kt"),
        ("flask.commands", "kt"),
    ]


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
    # The second from what the first is made of: in the checkout itself somebody may have gone on working.
    tree = unpack(archives.sdist, tmp_path)
    for path in tree.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1e9, 1e9))
    other = build(tree, tmp_path / "dist")
    assert digest(archives.sdist) == digest(other.sdist)
    assert digest(archives.wheel) == digest(other.wheel)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
