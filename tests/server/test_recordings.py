"""What the original answered once, our server answers to the byte, in the same second of its clock."""

from __future__ import annotations

import re

import pytest

from kt_core.server import Server
from kt_core.server.procedures import PROCEDURES
from tests.clock import Clock
from tests.server.conftest import DATABASES
from tests.server.recorded import DIRECTORY, Player, read, replay

NAMES = sorted(path.stem for path in DIRECTORY.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_every_reply_is_the_same(server: Server, clock: Clock, name: str) -> None:
    player = Player(("127.0.0.1", server.port), len(DATABASES))
    assert replay(player, read(name), clock) == []


def test_the_recordings_are_there_and_cover_every_procedure() -> None:
    steps = [step for name in NAMES for step in read(name)]
    assert sum(step.mark == "<" for step in steps) > 900
    sent = b"".join(step.data for step in steps if step.mark in ">|")
    called = {match[1].decode() for match in re.finditer(rb"/rpc/(\w+)", sent)}
    assert PROCEDURES.keys() - called == {"report", "status"}
