"""Record what the original answers: ``python -m tests.server.tyrant.record``, with `ttserver` on the PATH.

The bundled server is compared with it in `test_recordings`, with or without an original at hand.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from kt_core.wire.tt_binary import RequestDecoder, encode_request
from tests.server.recorded import Step, write
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.original import original
from tests.server.tyrant.scenarios import SCENARIOS, Scenario

DIRECTORY: Final = Path(__file__).parent / "recordings"


class Player:
    """Sends what steps say to a server, and gives what comes back."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._asker = Asker(address)

    def close(self) -> None:
        """Hang up."""
        self._asker.close()

    def exchange(self, step: Step) -> bytes:
        """Send what a step says and return the reply: on the one connection, or on one of its own to its end."""
        if step.mark == ">":
            self._asker.send(step.data)
            request = RequestDecoder().feed(step.data)
            return self._asker.told(request)  # type: ignore[arg-type]
        with Asker(self._address) as asker:
            asker.send(step.data)
            asker.end()
            return asker.rest()


def steps(scenario: Scenario) -> list[Step]:
    """Return what is to be sent."""
    return [
        Step("|", request) if isinstance(request, bytes) else Step(">", encode_request(request))
        for request in scenario.requests
    ]


def main() -> None:
    """Record everything."""
    for name, scenario in SCENARIOS.items():
        with tempfile.TemporaryDirectory() as place, original(scenario.name.format(place), *scenario.flags) as address:
            player = Player(address)
            told = [(step, Step("<", player.exchange(step))) for step in steps(scenario)]
            player.close()
        write(name, [each for pair in told for each in pair], DIRECTORY)


if __name__ == "__main__":
    main()
