"""Test the archives in dist/ away from the checkout, with the newest requirements and with the oldest that are allowed.

``python -m tests.packaging [newest | oldest] [--python 3.13]``. The wheel is installed into an empty environment, and
the tests of the sdist are run there. The packages beside those tests are removed: the installed ones are tested.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.packaging.archives import Archives, requirements, unpack
from tests.packaging.environments import Environment
from tests.processes import ROOT

RESOLUTIONS: Final = {"newest": "highest", "oldest": "lowest-direct"}
# What an environment can spoil: what the requirements do, what is no Python, and programs; not what is pure Python.
SUITE: Final = (
    "tests/adapters/test_django_cache.py",
    "tests/adapters/test_django_commands.py",
    "tests/adapters/test_django_inspector.py",
    "tests/adapters/test_django_sessions.py",
    "tests/adapters/test_django_testing.py",
    "tests/adapters/test_django_toolbar.py",
    "tests/adapters/test_django_values.py",
    "tests/adapters/test_flask_cache.py",
    "tests/adapters/test_flask_commands.py",
    "tests/adapters/test_flask_sessions.py",
    "tests/aerospike/test_facade_records.py",
    "tests/aerospike/test_native.py",
    "tests/database/test_database.py",
    "tests/docs/test_pages.py::test_every_block_does_what_it_says[start]",
    "tests/inspector",
    "tests/kyoto/test_client.py",
    "tests/packaging/test_deploy.py",
    "tests/server/scripting",
    "tests/stores/test_embedded.py",
    "tests/stores/test_kyoto.py",
    "tests/test_cli.py",
    "tests/test_prometheus.py",
    "tests/values",
)
_WHERE = "import kt_core, kt_cache; print(kt_core.__file__, kt_cache.__file__)"


def main(arguments: Sequence[str]) -> int:
    """Test with the named requirements, or with each; return the first status of pytest that is not 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.packaging", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(RESOLUTIONS))
    parser.add_argument("--python", default=sys.executable, help="an interpreter, or a version to look for")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - RESOLUTIONS.keys():
        parser.error(f"there are no {' or '.join(unknown)} requirements: choose {' or '.join(RESOLUTIONS)}")
    archives = Archives.find(ROOT / "dist")
    return next(filter(None, (check(name, archives, asked.python) for name in asked.names or RESOLUTIONS)), 0)


def check(name: str, archives: Archives, python: str) -> int:
    """Run the suite with one kind of requirements."""
    with TemporaryDirectory(prefix="kt-dist-") as text:
        folder = Path(text)
        tree = unpack(archives.sdist, folder)
        for package in ("kt_core", "kt_cache"):
            shutil.rmtree(tree / package)
        # All by themselves: what the package requires would otherwise not be direct, and be installed at its newest.
        environment = Environment.make(
            folder / "environment",
            f"kt-cache @ {archives.wheel.as_uri()}",
            *requirements(archives.wheel, "dev"),
            options=("--resolution", RESOLUTIONS[name]),
            python=python,
        )
        for module in subprocess.check_output([environment.python, "-c", _WHERE], cwd=tree, text=True).split():
            assert Path(module).is_relative_to(environment.folder), f"{module} would be tested"
        # What old requirements deprecate since is not ours: their warnings are no errors.
        strict = () if name == "newest" else ("-W", "default")
        sys.stderr.write(f"{name} requirements: {', '.join(environment.installed())}\n")
        return subprocess.call([environment.python, "-m", "pytest", "-q", *strict, *SUITE], cwd=tree)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
