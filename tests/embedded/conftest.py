from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kt_core.embedded.manager import Manager
from tests.embedded.kinds import KINDS, STAND_INS, Kind
from tests.embedded.watching import children, descriptors, supervisors


def watched(kind: Kind) -> Iterator[Kind]:
    """Stop the managers that a test makes, and see whether anything is left of them."""
    made: list[Manager[Any]] = []

    def make(**settings: object) -> Manager[Any]:
        made.append(kind.make(**settings))
        return made[-1]

    gc.collect()
    before, open_before = children(), descriptors()
    yield replace(kind, make=make)
    for manager in made:
        manager.stop()
    gc.collect()
    assert (children(), supervisors()) == (before, 0)
    assert descriptors() <= open_before


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    yield from watched(KINDS[request.param])


@pytest.fixture(params=STAND_INS)
def stand_in(request: pytest.FixtureRequest) -> Iterator[Kind]:
    yield from watched(STAND_INS[request.param])


@pytest.fixture
def bundled() -> Iterator[Kind]:
    """A stand-in for the bundled server."""
    yield from watched(STAND_INS["stand-in"])


@pytest.fixture
def foreign() -> Iterator[Kind]:
    """A stand-in for any other server."""
    yield from watched(STAND_INS["foreign stand-in"])
