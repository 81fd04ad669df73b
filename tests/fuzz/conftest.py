"""The servers that are fuzzed end with the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import servers


@pytest.fixture(autouse=True, scope="module")
def _servers() -> Iterator[None]:
    yield
    servers.stop()
