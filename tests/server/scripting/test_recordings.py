"""What the original's scripts answered once, ours answer to the byte, in the same second of the clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kt_core.server import Server
from tests.clock import Clock
from tests.server.recorded import Player, read, replay
from tests.server.running import serving
from tests.server.scripting.record import DATABASES, DIRECTORY, SCRIPT

NAMES = sorted(path.stem for path in DIRECTORY.glob("*.txt"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[Server]:
    """A server with the procedures that were recorded."""
    with serving(*DATABASES, clock=clock, script=str(SCRIPT)) as server:
        yield server


@pytest.mark.parametrize("name", NAMES)
def test_every_reply_is_the_same(server: Server, clock: Clock, name: str) -> None:
    player = Player(("127.0.0.1", server.port), len(DATABASES))
    assert replay(player, read(name, DIRECTORY), clock) == []


def test_the_recordings_are_there() -> None:
    assert sum(step.mark == "<" for name in NAMES for step in read(name, DIRECTORY)) > 2000
