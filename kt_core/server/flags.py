"""Command lines of servers: what a flag is, those that every server has, and how a line is read.

Source: the Kyoto Tycoon protocol reference, section 12.1; the Tokyo Tyrant protocol reference, section 12.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from kt_core.errors import Misconfigured, choose
from kt_core.server import log
from kt_core.server.service import Service

PORT: Final = 1978
"""Of every server that says no other."""


@dataclass
class Settings:
    """What a command line says."""

    options: dict[str, Any] = field(default_factory=dict)
    """Those of the server's options class."""
    level: int = log.SYSTEM
    log_path: str | None = None
    pid_path: str | None = None
    ready: int | None = None
    parent: int | None = None
    daemon: bool = False
    show: str | None = None
    """What is to be printed instead of running: the help or the version."""


class Flag(NamedTuple):
    """A flag: the arguments that follow it, what they do to the settings, and what its help says."""

    takes: str
    apply: Callable[..., None]
    help: str


class Program(NamedTuple):
    """A server as a program: its flags, and what else its command line may hold."""

    flags: Mapping[str, Flag]
    refused: Mapping[str, str]
    """Flags of the original that this server has not, and what to write or to do instead."""
    about: Sequence[str]
    """The lines of the help before the flags."""
    version: str
    finish: Callable[[Settings, list[str]], None]
    """Takes what is no flag, and completes the settings."""
    make: Callable[[dict[str, Any]], Service]
    """Return the server with these options."""


def option(name: str, read: Callable[[str], Any] = str) -> Callable[[Settings, str], None]:
    """Return what sets an option of the server."""

    def apply(settings: Settings, text: str) -> None:
        settings.options[name] = read(text)

    return apply


def setting(name: str, read: Callable[[str], Any] = str) -> Callable[[Settings, str], None]:
    """Return what sets something else."""
    return lambda settings, text: setattr(settings, name, read(text))


def level(number: int) -> Callable[[Settings], None]:
    """Return what sets how much is logged."""
    return lambda settings: setattr(settings, "level", number)


def _ask(what: str) -> Callable[[Settings], None]:
    return lambda settings: setattr(settings, "show", what)


def ignore(settings: Settings, *texts: str) -> None:
    """Do nothing."""


def positive(text: str) -> float:
    """Return the number in a text; ValueError if it is not above 0."""
    number = float(text)
    if not number > 0:
        raise ValueError
    return number


def master(index: int, read: Callable[[str], Any] = str) -> Callable[[Settings, str], None]:
    """Return what sets the host or the port of the server to follow, its 0th or 1st part."""

    def apply(settings: Settings, text: str) -> None:
        both = list(settings.options.get("master", ("", PORT)))
        both[index] = read(text)
        settings.options["master"] = tuple(both)

    return apply


def _detach(settings: Settings) -> None:
    settings.daemon = True


def _microseconds(text: str) -> float:
    return float(text) / 1e6


SHARED: Final[Mapping[str, Flag]] = {
    "-host": Flag("ADDRESS", option("host"), "where to listen (127.0.0.1; 0.0.0.0 for every interface)"),
    "-port": Flag("NUMBER", option("port", int), "the TCP port (1978; 0 for a free one)"),
    "-sock": Flag("PATH", option("sock"), "a unix socket to listen on; without -port, nothing else is listened on"),
    "-tout": Flag("NUMBER", option("timeout", positive), "the seconds that half a request is waited for (30)"),
    "-conn": Flag("NUMBER", option("max_connections", int), "the most connections at a time (10000)"),
    "-spin": Flag("NUMBER", option("spin", _microseconds), "the microseconds to look for more before sleeping (100)"),
    "-log": Flag("FILE", setting("log_path"), "where the log goes (standard output)"),
    "-le": Flag("", level(logging.ERROR), "log errors only"),
    "-dmn": Flag("", _detach, "leave the terminal once it listens; SIGHUP is as SIGUSR1 then"),
    "-pid": Flag("FILE", setting("pid_path"), "where to write the process id"),
    "-ready": Flag("DESCRIPTOR", setting("ready", int), "where to say, as a line of JSON, that the server listens"),
    "-parent": Flag("PID", setting("parent", int), "end when this process has ended"),
    "--version": Flag("", _ask("version"), "print the version"),
    "--help": Flag("", _ask("help"), "print this"),
}
"""Flags of every server."""


def read(program: Program, arguments: Sequence[str]) -> Settings:
    """Read a command line; `Misconfigured` if a flag is unknown, or lacks what must follow it."""
    settings = Settings()
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            others += rest
        elif not argument.startswith("-") or argument == "-":
            others.append(argument)
        elif argument in program.refused:
            raise Misconfigured(f"{argument} is not for this server: {program.refused[argument]}")
        else:
            flag = choose(program.flags, argument, "flag")
            texts = [text for _, text in zip(flag.takes.split(), rest, strict=False)]
            if len(texts) < len(flag.takes.split()):
                raise Misconfigured(f"{argument} needs {flag.takes} behind it")
            try:
                flag.apply(settings, *texts)
            except ValueError:
                raise Misconfigured(f"{argument} {' '.join(texts)}: write a {flag.takes.lower()} there") from None
    if settings.show is not None:
        settings.show = usage(program) if settings.show == "help" else program.version
    program.finish(settings, others)
    if "sock" in settings.options and not {"port", "host"} & set(settings.options):
        settings.options["port"] = None
    return settings


def usage(program: Program) -> str:
    """Return the help text."""
    flags = [f"  {f'{name} {flag.takes}'.strip():<22} {flag.help}" for name, flag in program.flags.items()]
    return "\n".join([*program.about, "", *flags])
