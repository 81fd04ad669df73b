"""``kt``: the command line of the package; its first argument is a command, the rest is the command's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from kt_core.errors import Misconfigured, choose
from kt_core.server import command as server


class Command(NamedTuple):
    """A command: what runs it, and what the help says."""

    run: Callable[[Sequence[str]], int]
    help: str


COMMANDS: Final[Mapping[str, Command]] = {
    "serve": Command(server.main, "run a server for Kyoto Tycoon's clients, or Tokyo Tyrant's (kt serve --help)"),
}


def usage() -> str:
    """Return the help text."""
    commands = [f"  {name:<8} {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: kt COMMAND ...", "", *commands])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        sys.stdout.write(usage() + "\n")
        return 0
    try:
        return choose(COMMANDS, name, "command").run(rest)
    except Misconfigured as error:
        sys.stderr.write(f"{error}\n{usage()}\n")
        return 1
