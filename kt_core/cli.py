"""``kt``: the command line of the package: what every command takes, where its results go, and its exit status."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import BinaryIO, Final, TextIO

from kt_core.commands.console import BROKEN_PIPE, INTERRUPTED, NEGATIVE, OK, UNREACHABLE, USAGE, Console
from kt_core.commands.table import (
    COMMANDS,
    COMMON,
    DEFAULT_URL,
    EXITS,
    SERVE,
    SERVE_HELP,
    URL_VARIABLE,
    function_of,
    parser_of,
)
from kt_core.errors import ConnectionFailed, InvalidInput, KTError, Misconfigured, NotACounter, Timeout, choose
from kt_core.terminal import CommandFailed, Style, Terminal

_COLOURS: Final = {"good": "32", "bad": "31", "dim": "2"}

# The exit status of an error is that of the first class that it is of.
_STATUSES: Final[Sequence[tuple[type[Exception], int]]] = (
    (NotACounter, NEGATIVE),
    (Misconfigured, USAGE),
    (InvalidInput, USAGE),
    (ConnectionFailed, UNREACHABLE),
    (Timeout, UNREACHABLE),
)


def usage() -> str:
    """Return the help text."""
    commands = {SERVE: SERVE_HELP, **{name: command.help for name, command in COMMANDS.items()}}
    return "\n".join(
        [
            "usage: kt [--at URL] [--json | --table] COMMAND ...",
            "",
            *(f"  {name:<10} {text}" for name, text in commands.items()),
            "",
            "  --at URL   where the records are: kt://host:port/0, kt+unix:///path, tt://host:port, tt+unix:///path,",
            f"             embedded://NAME, embedded:///path; without it {URL_VARIABLE}, or else {DEFAULT_URL}",
            "  --json     tell it as JSON, one object a line, as in pipes and files",
            "  --table    tell it as on a terminal, also in pipes and files",
            "  --version  print the version",
            "",
            "kt COMMAND --help tells more of each.",
            "",
            EXITS,
        ]
    )


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run a command; return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = "kt"
    try:
        before, name, rest = _split(given)
        if name == SERVE:
            from kt_core.server import command as server

            return server.main(rest)
        if not name:
            sys.stdout.write((f"kt-cache {version('kt-cache')}" if "--version" in before else usage()) + "\n")
            return OK
        return _run(name, [*before, *rest], environ)
    except BrokenPipeError:
        # Whoever read it has seen enough; the interpreter would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        sys.stderr.write("\n" if sys.stderr.isatty() else "")
        return INTERRUPTED
    except (CommandFailed, KTError) as error:
        sys.stderr.write(f"kt {name}: {error}\n" if name in COMMANDS else f"{error}\nTry kt --help.\n")
        return next((status for kind, status in _STATUSES if isinstance(error, kind)), NEGATIVE)


def _split(given: list[str]) -> tuple[list[str], str, list[str]]:
    """Return what stands before the name of the command, the name, and what is behind it."""
    names = {name: each for each in COMMON for name in each.names}
    at = 0
    while at < len(given) and given[at].startswith("-"):
        each = names.get(given[at])
        at += 2 if each is not None and "action" not in each.options else 1
    before, name = given[:at], given[at] if at < len(given) else ""
    for word in before:
        if word.startswith("-"):
            choose({**names, "--help": None, "-h": None, "--version": None}, word.partition("=")[0], "option")
    if name:
        choose({**COMMANDS, SERVE: None}, name, "command")
    return before, name, given[at + 1 :]


def _run(name: str, rest: list[str], environ: Mapping[str, str]) -> int:
    given = parser_of(name).parse_args(rest)
    given.at = given.at or environ.get(URL_VARIABLE) or DEFAULT_URL
    console = _console(given, environ)
    try:
        return function_of(name)(given, console)
    finally:
        console.end()
        console.stdout.flush()


def _console(given: argparse.Namespace, environ: Mapping[str, str]) -> Console:
    if given.json and given.table:
        raise Misconfigured("--json and --table exclude each other: write one of them")
    watched = sys.stdout.isatty()
    return Console(
        _terminal(sys.stdout, environ),
        _terminal(sys.stderr, environ),
        as_json=given.json or not (watched or given.table),
        raw=not (watched or given.json or given.table),
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
    )


def _terminal(stream: TextIO, environ: Mapping[str, str]) -> Terminal:
    watched = stream.isatty()
    is_plain = not watched or "NO_COLOR" in environ or environ.get("TERM") == "dumb"
    return Terminal(
        _writer(stream.buffer, watched),
        interactive=watched,
        styles={} if is_plain else {name: _style(code) for name, code in _COLOURS.items()},
        ask=_asker(stream) if sys.stdin.isatty() else None,
        width=shutil.get_terminal_size().columns,
    )


def _writer(stream: BinaryIO, watched: bool) -> Callable[[str], None]:
    def write(text: str) -> None:
        stream.write(text.encode("utf-8", "backslashreplace"))
        if watched:
            stream.flush()

    return write


def _style(code: str) -> Style:
    return lambda text: f"\x1b[{code}m{text}\x1b[0m"


def _asker(stream: TextIO) -> Callable[[str], str]:
    def ask(question: str) -> str:
        stream.write(question)
        stream.flush()
        return sys.stdin.readline()

    return ask
