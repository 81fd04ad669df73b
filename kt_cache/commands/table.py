"""The table of the commands: what does each, what the help says, and which arguments it takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from kt_cache.commands.changing import clear, delete, serve, warm
from kt_cache.commands.looking import keys, ping, stats, ttl
from kt_cache.commands.target import Site, Target
from kt_core.commands.arguments import Argument, add_arguments, argument, positive
from kt_core.terminal import Terminal


class Command(NamedTuple):
    """A command: what does it, what the help says, and its own arguments."""

    run: Callable[[Site, Target, argparse.Namespace, Terminal], None]
    help: str
    arguments: Sequence[Argument] = ()


_CONFIRMED: Final = argument(
    "--noinput", "--no-input", "--yes", "-y", dest="noinput", action="store_true", help="do not ask"
)

COMMANDS: Final[dict[str, Command]] = {
    "ping": Command(
        ping,
        "tell whether the cache answers, and how fast; exit status 1 if it is out of order",
        [argument("--count", type=positive(int), default=100, help="how often to ask (%(default)s)")],
    ),
    "stats": Command(
        stats,
        "show entries, sizes and hits, over all processes that share the cache",
        [
            argument(
                "--watch", type=positive(float), nargs="?", const=2.0, metavar="SECONDS", help="again and again (2)"
            )
        ],
    ),
    "keys": Command(
        keys,
        "list keys",
        [
            argument("glob", nargs="?", default="*", help="what they look like: * ? [ab] [^a] [a-z] (all)"),
            argument("--limit", type=positive(int), help="no more than so many"),
            argument("--ttl", action="store_true", help="with the seconds they have left"),
            argument("--size", action="store_true", help="with the sizes of their values"),
        ],
    ),
    "ttl": Command(ttl, "tell how long keys have left", [argument("key", nargs="+")]),
    "delete": Command(
        delete,
        "delete keys, or all that fit a pattern",
        [argument("key", nargs="*"), argument("--pattern", metavar="GLOB", help="what they look like"), _CONFIRMED],
    ),
    "clear": Command(
        clear,
        "delete everything",
        [argument("--prefix", action="store_true", help="what is under this cache's own prefix only"), _CONFIRMED],
    ),
    "warm": Command(
        warm,
        "ask for the site's own pages, in this process, so that visitors find them in the cache",
        [
            argument("path", nargs="*", help="a path such as /about/, or the dotted path of a function to call"),
            argument("--from", dest="listed", metavar="FILE", help="a file with a path a line; - for standard input"),
            argument("--workers", type=positive(int), default=1, metavar="N", help="so many at a time (1)"),
            argument("--base", metavar="URL", help="the site's public address, since pages are kept by it"),
            argument(
                "--header",
                action="append",
                default=[],
                metavar="'NAME: VALUE'",
                help="a header that pages vary by, such as 'Accept-Encoding: gzip'; may be repeated",
            ),
        ],
    ),
    "serve": Command(
        serve,
        "let clients of Kyoto Tycoon look into this embedded cache, until it is interrupted",
        [
            argument("--port", type=int, help="the TCP port (1978, unless there is a socket)"),
            argument("--host", default="127.0.0.1", help="where to listen (%(default)s)"),
            argument("--sock", metavar="PATH", help="a unix socket to listen on"),
        ],
    ),
}


def add_commands(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Describe the commands to a parser; return the parsers that they have of their own."""
    commands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        own = commands.add_parser(name, help=command.help, description=command.help)
        own.add_argument("--alias", default="default", help="the cache, by its name in the settings (%(default)s)")
        own.add_argument("--json", action="store_true", help="tell it as JSON, one object a line")
        add_arguments(own, command.arguments)
    return list(commands.choices.values())


def run(given: argparse.Namespace, site: Site, terminal: Terminal) -> None:
    """Do the command that was parsed; `CommandFailed` or `KTError` if that is not possible."""
    COMMANDS[given.subcommand].run(site, site.target(given.alias), given, terminal)
