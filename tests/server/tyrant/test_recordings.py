"""What the original answered once, our server answers to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from kt_core.server.tyrant.functions import FUNCTIONS
from kt_core.server.tyrant.masks import parse
from kt_core.wire.tt_binary import COMMANDS
from tests.server.recorded import Step, read
from tests.server.tyrant.record import DIRECTORY, Player
from tests.server.tyrant.running import serving
from tests.server.tyrant.scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_reply_is_the_same(tmp_path: Path, name: str) -> None:
    scenario = SCENARIOS[name]
    database = scenario.name.format(tmp_path) + ("" if scenario.name in "*+" else "#durability=process")
    flags = dict(zip(scenario.flags[::2], scenario.flags[1::2], strict=True))
    mask, unmask = (parse(flags[name]) if name in flags else frozenset() for name in ("-mask", "-unmask"))
    differing, asked, reply = [], Step("", b""), b""
    with serving(database, mask=mask - unmask, script=flags.get("-ext")) as server:
        player = Player(("127.0.0.1", server.port))
        for step in read(name, DIRECTORY):
            if step.mark != "<":
                asked, reply = step, player.exchange(step)
            elif reply != step.data:
                differing.append((asked.data, reply, step.data))
        player.close()
    assert differing == []


def test_the_recordings_cover_every_command_and_function() -> None:
    sent = [step.data for name in SCENARIOS for step in read(name, DIRECTORY) if step.mark == ">"]
    assert len(sent) > 1800
    assert {data[1] for data in sent} >= COMMANDS.keys() - {0x88, 0xA0}  # a state, and a stream without end
    assert all(any(name in data for data in sent) for name in FUNCTIONS.keys() - {b"error"})
