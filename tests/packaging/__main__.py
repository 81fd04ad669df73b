"""Test the archives in dist/ away from the checkout, with the newest requirements and with the oldest that are allowed.

``python -m tests.packaging [newest | oldest]``. The wheel is installed into an empty environment, and the tests of
the sdist are run there; the packages beside those tests are removed, so that the installed ones are tested.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.packaging.archives import unpack
from tests.packaging.environments import Environment
from tests.processes import ROOT

RESOLUTIONS: Final = {"newest": "highest", "oldest": "lowest-direct"}
SUITE: Final = (
    "tests/wire",
    "tests/values",
    "tests/database/test_database.py",
    "tests/stores/test_embedded.py",
    "tests/stores/test_kyoto.py",
    "tests/kyoto/test_client.py",
    "tests/server/scripting",
    "tests/inspector",
    "tests/adapters/test_django_cache.py",
    "tests/adapters/test_django_sessions.py",
    "tests/adapters/test_flask_cache.py",
    "tests/adapters/test_flask_sessions.py",
    "tests/test_prometheus.py",
)
_WHERE = "import kt_core, kt_cache; print(kt_core.__file__, kt_cache.__file__)"


def main(names: list[str]) -> int:
    """Test with the named requirements, or with each; return the first status of pytest that is not 0."""
    (sdist,), (wheel,) = (ROOT / "dist").glob("*.tar.gz"), (ROOT / "dist").glob("*.whl")
    return next(filter(None, (check(name, sdist, wheel) for name in names or RESOLUTIONS)), 0)


def check(name: str, sdist: Path, wheel: Path) -> int:
    """Run the suite with one kind of requirements."""
    with TemporaryDirectory(prefix="kt-dist-") as text:
        folder = Path(text)
        tree = unpack(sdist, folder)
        for package in ("kt_core", "kt_cache"):
            shutil.rmtree(tree / package)
        environment = Environment.make(
            folder / "environment",
            f"kt-cache[dev] @ {wheel.as_uri()}",
            options=("--resolution", RESOLUTIONS[name]),
        )
        for module in subprocess.check_output([environment.python, "-c", _WHERE], cwd=tree, text=True).split():
            assert Path(module).is_relative_to(environment.folder), f"{module} would be tested"
        # What old requirements deprecate since is not ours: their warnings are no errors.
        strict = () if name == "newest" else ("-W", "default")
        sys.stderr.write(f"{name} requirements\n")
        return subprocess.call([environment.python, "-m", "pytest", "-q", *strict, *SUITE], cwd=tree)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
