"""Exchanges with the original, kept in files: what was sent in which second, and what came back.

A file is a sequence of lines. ``@ 1795295378`` says in which second the following was sent, ``> text`` what was sent,
``< text`` what came back; ``*`` begins with nothing in the databases and with a new connection. ``| text`` was sent on
a connection of its own, with its end behind it, and what came back then is all there was before the server hung up.
Bytes are escaped as in Python. Of the replies, the name of the server and its port are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.clock import Clock
from tests.server.exchange import Wire

DIRECTORY = Path(__file__).parent / "recordings"
_VARYING = re.compile(rb"^(Server: )[^\r]*|^(Location: http://localhost:)\d+", re.MULTILINE)


class Step(NamedTuple):
    """One line: its mark, and what is behind it."""

    mark: str
    data: bytes


def write(name: str, steps: Iterable[Step], directory: Path = DIRECTORY) -> None:
    """Write a file."""
    lines = [f"{step.mark} {_escape(step.data)}".rstrip(" ") + "\n" for step in steps]
    (directory / f"{name}.txt").write_text("".join(lines))


def read(name: str, directory: Path = DIRECTORY) -> Iterator[Step]:
    """Return the lines of a file."""
    for line in (directory / f"{name}.txt").read_text().splitlines():
        mark, _, text = line.partition(" ")
        yield Step(mark, _unescape(text))


def _escape(data: bytes) -> str:
    """Return bytes as text without a line break, and without a blank at its end."""
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text[:-1] + "\\x20" if text.endswith(" ") else text


def _unescape(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


class Player:
    """Sends what steps say to a server, and gives what comes back."""

    def __init__(self, address: tuple[str, int], databases: int) -> None:
        self._address = address
        self._databases = databases
        self._wire = Wire(address)

    def close(self) -> None:
        """Hang up."""
        self._wire.close()

    def begin(self) -> None:
        """Connect anew, with nothing in the databases."""
        self.close()
        self._wire = Wire(self._address)
        for number in range(self._databases):
            self._wire.call("clear", DB=number)

    def exchange(self, step: Step) -> bytes:
        """Send what a step says, and return the reply without what differs from server to server."""
        return _VARYING.sub(rb"\1\2", _EXCHANGES[step.mark](self, step.data))

    def _ask(self, data: bytes) -> bytes:
        reply = self._wire.ask(data)
        if reply in (b"", b"\xbf"):  # it may have hung up
            self._wire.close()
            self._wire = Wire(self._address)
        return reply

    def _ask_all(self, data: bytes) -> bytes:
        with Wire(self._address) as wire:
            wire.send(data)
            wire.end()
            return wire.rest()


_EXCHANGES: dict[str, Callable[[Player, bytes], bytes]] = {">": Player._ask, "|": Player._ask_all}


class Differing(NamedTuple):
    """What was answered otherwise than it is recorded."""

    asked: bytes
    replied: bytes
    recorded: bytes


def replay(player: Player, steps: Iterable[Step], clock: Clock) -> list[Differing]:
    """Send what was recorded, in the same second of the server's clock; return what is not answered to the byte."""
    differing = []
    asked, reply = Step("", b""), b""
    for step in steps:
        if step.mark == "*":
            player.begin()
        elif step.mark == "@":
            clock.seconds = int(step.data) + 0.5
        elif step.mark != "<":
            asked, reply = step, player.exchange(step)
        elif reply != step.data:
            differing.append(Differing(asked.data, reply, step.data))
    player.close()
    return differing
