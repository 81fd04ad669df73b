"""A CACHES entry for `KTCache`: the default place, and mistakes told as `ImproperlyConfigured`."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from kt_cache.django import KTCache
from tests.adapters.conftest import MakeCache

ROOT = Path(__file__).parents[2]
NOBODY = 65534

# Makes a cache for each pair of settings and LOCATION read from stdin, and prints where it is or what was wrong;
# as nobody, if that is asked for: root may write everywhere.
_CONFIGURE = f"""
import json, os, sys
from contextlib import nullcontext

import django
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from kt_cache.django import KTCache

django.setup()
unprivileged, cases = json.load(sys.stdin)
if unprivileged and os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
results = []
for settings, location in cases:
    with override_settings(**settings) if settings else nullcontext():
        try:
            results.append(KTCache(location, {{"OPTIONS": {{"max_size": "2m"}}}}).stats().location)
        except ImproperlyConfigured as error:
            results.append(str(error))
print(json.dumps(results))
"""


def configure(runtime: Path, *cases: tuple[dict[str, Any], str], unprivileged: bool = False) -> list[str]:
    """Make caches in another process that has its own runtime directory."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", _CONFIGURE],
        cwd=ROOT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime), "DJANGO_SETTINGS_MODULE": "tests.settings"},
        input=json.dumps([unprivileged, cases]),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""
    results: list[str] = json.loads(done.stdout)
    return results


# -- the default place -------------------------------------------------------------------------------------


def test_an_empty_location_is_the_projects_own(tmp_path: Path) -> None:
    plain, one, two, again, named = configure(
        tmp_path,
        ({}, ""),
        ({"BASE_DIR": "/srv/one"}, ""),
        ({"BASE_DIR": "/srv/two"}, ""),
        ({"BASE_DIR": "/srv/one"}, ""),
        ({}, "embedded://shared"),
    )
    assert plain.startswith(f"{tmp_path}/kt-cache/tests.settings-")
    assert len({plain, one, two}) == 3
    assert one == again
    assert {Path(place).parent for place in (one, two)} == {tmp_path / "kt-cache"}
    assert named == f"{tmp_path}/kt-cache/shared"


def test_any_settings_module_has_a_default_place(tmp_path: Path) -> None:
    modules = ["_private.settings", "x" * 200, "ünïcode", "-"]
    places = configure(tmp_path, *(({"SETTINGS_MODULE": module}, "") for module in modules))
    assert {Path(place).parent for place in places} == {tmp_path / "kt-cache"}
    assert len(set(places)) == len(modules)


def test_the_place_is_private(make_embedded_cache: MakeCache, tmp_path: Path) -> None:
    make_embedded_cache("own")
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "own").iterdir()} == {0o600}


# -- mistakes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "options", "message"),
    [
        ("embedded://here", {"max_sise": 1}, "there is no option 'max_sise': did you mean 'max_size'"),
        ("embedded://here", {"MAX_ENTRYS": 1}, "there is no option 'max_entrys'"),
        ("embedded://here", {"max_size": "64k"}, "max_size is 65536 bytes: write at least"),
        ("embedded://here", {"max_size": "lots"}, "'lots' is not a size"),
        ("embedded://here", {"serializer": "pickel"}, "did you mean 'pickle'"),
        ("embedded://here", {"serializer": "no.such"}, "cannot be loaded"),
        ("embedded://here", {"compression": "zib"}, "did you mean 'zlib'"),
        ("embedded://here", {"accept": "yaml"}, "there is no serializer 'yaml'"),
        ("embedded://here?sing=1", {}, "did you mean 'sign'"),
        ("here", {}, "write embedded://here"),
        ("embedded://a/b", {}, "write embedded:///a/b"),
        ("embedded://a b", {}, "cannot name a database"),
        ("embedded:///", {}, "other files|belongs to"),
        ("redis://localhost", {}, "write kt://localhost:1978 for one, or embedded://NAME"),
    ],
)
def test_a_mistake_is_improper_configuration(location: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=message) as caught:
        KTCache(location, {"OPTIONS": options})
    assert f"CACHES entry with LOCATION {location!r}" in str(caught.value)


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ImproperlyConfigured, match=f"symbolic link.*{tmp_path}/real"):
        KTCache(f"embedded://{tmp_path}/link", {})


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ImproperlyConfigured, match="not a directory"):
        KTCache(f"embedded://{tmp_path}/file", {})
    with pytest.raises(ImproperlyConfigured, match="cannot be made"):
        KTCache(f"embedded://{tmp_path}/file/below", {})


def test_a_directory_of_other_things_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ImproperlyConfigured, match=f"other files.*{tmp_path}/kt-cache"):
        KTCache(f"embedded://{tmp_path}", {})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_no_place(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    with pytest.raises(ImproperlyConfigured, match=f"belongs to user {NOBODY}, not to this one"):
        KTCache(f"embedded://{tmp_path}", {})


@pytest.fixture
def locked() -> Iterator[Path]:
    """Return a directory that everybody may enter, with one in it that nobody may write and one nobody may enter."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "readable").mkdir(mode=0o555)
        (directory / "closed").mkdir(mode=0o000)
        yield directory


def test_a_place_that_cannot_be_written_is_improper_configuration(locked: Path) -> None:
    below_readable, closed, below_closed, roots = configure(
        locked,
        ({}, f"embedded://{locked}/readable/place"),
        ({}, f"embedded://{locked}/closed"),
        ({}, f"embedded://{locked}/closed/below/place"),
        ({}, "embedded:///usr"),
        unprivileged=True,
    )
    assert "cannot be made (Permission denied)" in below_readable
    assert "belongs to user" in closed or "may not be written" in closed
    assert "Permission denied" in below_closed
    assert "/usr belongs to user 0" in roots


def test_a_runtime_directory_that_cannot_be_entered_is_improper_configuration(locked: Path) -> None:
    (locked / "runtime").mkdir()
    (locked / "runtime").chmod(0o777)
    (locked / "runtime" / "kt-cache").mkdir(mode=0o000)
    (result,) = configure(locked / "runtime", ({}, "embedded://of-a-test"), unprivileged=True)
    assert str(locked) in result
    assert "Permission denied" in result or "may not be written" in result or "belongs to user" in result


# -- several aliases ---------------------------------------------------------------------------------------


def test_aliases_of_one_database_have_one_size(make_embedded_cache: MakeCache, tmp_path: Path) -> None:
    make_embedded_cache()
    with pytest.raises(ImproperlyConfigured, match=r"other options: max_size=.*give every alias"):
        KTCache(f"embedded://{tmp_path}/place", {"OPTIONS": {"max_size": "8m"}})


def test_aliases_of_one_database_have_one_policy(make_embedded_cache: MakeCache, tmp_path: Path) -> None:
    make_embedded_cache()
    with pytest.raises(ImproperlyConfigured, match=r"eviction='none'.*durability|durability.*eviction='none'"):
        KTCache(f"embedded://{tmp_path}/place?max_size=4m&durability=commit&eviction=none", {})


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
def test_aliases_may_share_a_place_by_logical_databases(
    make_embedded_cache: MakeCache, numbers: tuple[int, int]
) -> None:
    first, second = (make_embedded_cache(OPTIONS={"database": number}) for number in numbers)
    first.set("k", "first")
    second.set("k", "second")
    second.clear()
    assert first.get("k") == "first"
