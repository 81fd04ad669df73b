"""Two servers that are asked the same."""

from __future__ import annotations

import re
import time

from tests.server.exchange import Wire, neutral

_LOCATION = re.compile(rb"^Location: http://localhost:\d+", re.MULTILINE)


def await_the_middle_of_a_second() -> None:
    """The two are asked one after the other, and the original's clock is a little late: no second may begin there."""
    fraction = time.time() % 1
    if fraction > 0.96 or fraction < 0.02:
        time.sleep((1.02 - fraction) % 1)


class Pair:
    """The original, and ours."""

    compared = 0

    def __init__(self, databases: tuple[str, str], addresses: list[tuple[str, int]]) -> None:
        self.databases = databases
        self._addresses = addresses
        self._wires: list[Wire] = []

    def begin(self) -> None:
        """Connect anew to both, with nothing in their databases."""
        self.reconnect()
        for wire in self._wires:
            for number in range(len(self.databases)):
                wire.call("clear", DB=number)

    def reconnect(self) -> None:
        """Connect anew to both."""
        self.end()
        self._wires = [Wire(address) for address in self._addresses]

    def end(self) -> None:
        """Hang up on both."""
        for wire in self._wires:
            wire.close()
        self._wires = []

    def ask(self, request: bytes) -> list[bytes]:
        """Return the replies of both, without what tells them apart."""
        await_the_middle_of_a_second()
        for wire in self._wires:
            wire.send(request)
        replies = [_LOCATION.sub(b"Location: ", neutral(wire.reply(request))) for wire in self._wires]
        Pair.compared += 1
        if any(reply in (b"", b"\xbf") for reply in replies):
            self.reconnect()
        return replies
