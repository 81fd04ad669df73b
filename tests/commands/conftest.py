"""Places of every kind that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kt_core.commands.places import Place, open_place
from kt_core.database import Environment
from kt_core.transport import Address
from tests.commands.desk import Desk
from tests.fix_servers import KINDS, TYRANT_KINDS

EMBEDDED = "embedded"
EXPIRING = [EMBEDDED, *KINDS]
"""The kinds of places whose records may expire."""


@pytest.fixture
def embedded_url(tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database that is not there yet."""
    yield f"embedded://{tmp_path / 'database'}"
    Environment.close_below(tmp_path)


@pytest.fixture
def url_of(
    embedded_url: str, start_kyoto: Callable[[str], Address], start_tyrant: Callable[[str, str], Address]
) -> Callable[[str], str]:
    """Return a function that gives the URL of an empty place of a kind."""

    def url(kind: str) -> str:
        if kind == EMBEDDED:
            return embedded_url
        found = f"kt://{start_kyoto(kind)}/1" if kind in KINDS else f"tt://{start_tyrant(kind, '+')}"
        with closing(open_place(found)) as place:
            for each in place.databases():
                place.at(each["db"]).clear()
        return found

    return url


@pytest.fixture(params=[EMBEDDED, *KINDS, *TYRANT_KINDS])
def url(request: pytest.FixtureRequest, url_of: Callable[[str], str]) -> str:
    """Return the URL of an empty place, one of each kind."""
    return url_of(request.param)


@pytest.fixture(params=EXPIRING)
def expiring_url(request: pytest.FixtureRequest, url_of: Callable[[str], str]) -> str:
    """Return the URL of an empty place whose records may expire, one of each kind."""
    return url_of(request.param)


@pytest.fixture
def place(url: str) -> Iterator[Place]:
    """Return an empty place, one of each kind."""
    with closing(open_place(url, create=True)) as opened:
        yield opened


@pytest.fixture
def desk(url: str) -> Desk:
    """Return what runs commands on an empty place, one of each kind."""
    return Desk(url)


@pytest.fixture
def own(embedded_url: str) -> Desk:
    """Return what runs commands on an embedded database that is not there yet."""
    return Desk(embedded_url)
