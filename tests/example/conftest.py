"""The example site in its own processes, one for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from example_project.demo import connected
from example_project.server import serve


@pytest.fixture(scope="package")
def workers() -> Iterator[list[HTTPConnection]]:
    """One connection to each worker process."""
    with serve() as site, connected(site) as connections:
        yield connections
