"""The archives of this checkout, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.archives import Archives, build
from tests.processes import ROOT


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    return build(ROOT, tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="session")
def wheel(archives: Archives) -> Path:
    return archives.wheel
