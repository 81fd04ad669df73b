"""The table of the commands: what does each, what the help says, which arguments it takes, and an example."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

from kt_core.commands.arguments import Argument, add_arguments, argument, positive
from kt_core.commands.console import Console
from kt_core.commands.forms import parse_duration
from kt_core.sizes import parse_size

DEFAULT_URL: Final = "kt://127.0.0.1:1978"
URL_VARIABLE: Final = "KT_URL"
SERVE: Final = "serve"
"""The one command with a command line of its own, that of a server."""
SERVE_HELP: Final = "run a server for Kyoto Tycoon's clients, or Tokyo Tyrant's (kt serve --help)"

SHELLS: Final = ("bash", "zsh", "fish")

EXITS: Final = """\
exit status: 0 done; 1 not found, or the answer is no, or it failed; 2 the command line makes no sense;
             3 the server cannot be reached; 130 interrupted"""


class Command(NamedTuple):
    """A command: the function that does it, what the help says, its own arguments, and examples of it."""

    run: str
    """A module of this package, a dot, and a function there: only that of the one command is imported."""
    help: str
    arguments: Sequence[Argument]
    examples: Sequence[str]


def _whole(text: str) -> int:
    return int(text)


_whole.__name__ = "number"


def _size(text: str) -> Any:
    return parse_size(text)


_positive: Final = positive(int)
_seconds: Final = positive(parse_duration, "time")

_YES: Final = argument("--yes", "-y", action="store_true", help="do not ask")
_ESCAPED: Final = argument(
    "--escaped", "-e", action="store_true", help=r"keys and values have escapes: \xNN, \n, \r, \t, \\"
)
_TTL: Final = argument("--ttl", type=_seconds, metavar="TIME", help="how long it is kept: 90, 15m, 1.5h, 7d")
_XT: Final = argument("--xt", type=_positive, metavar="SECOND", help="the second since 1970 in which it expires")
_FORCE: Final = argument("--force", action="store_true", help="write over a file that is there")
_FOREVER: Final = argument(
    "--forever", action="store_true", help="store what expires without its expiry, where nothing can expire"
)
_FILE: Final = argument("file", help="the file; - for standard input or output")

COMMON: Final = (
    argument("--at", metavar="URL", help=f"where the records are ({URL_VARIABLE}, or else {DEFAULT_URL})"),
    argument("--json", action="store_true", help="tell it as JSON, one object a line, as in pipes and files"),
    argument("--table", action="store_true", help="tell it as on a terminal, also in pipes and files"),
)
"""What every command takes, before its name or after it."""

COMMANDS: Final[dict[str, Command]] = {
    "ping": Command(
        "looking.ping",
        "measure round trips",
        [
            argument("--count", "-c", type=_positive, default=5, metavar="N", help="how many (%(default)s)"),
            argument("--interval", "-i", type=_seconds, default=0.2, metavar="TIME", help="between them (%(default)s)"),
        ],
        ["kt ping", "kt ping --at tt://localhost:1979 -c 100 -i 0.01"],
    ),
    "status": Command(
        "looking.status",
        "show what is there, and its databases",
        [argument("--details", action="store_true", help="all that is known of the one database of the URL")],
        ["kt status", "kt status --at embedded://site --details"],
    ),
    "report": Command(
        "looking.report",
        "show all that a server tells of itself",
        [argument("field", nargs="*", help="the fields to show (all)")],
        ["kt report", "kt report cnt_get cnt_get_misses"],
    ),
    "get": Command(
        "looking.get",
        "show values; a single one goes to a pipe or a file as its bytes",
        [
            argument("key", nargs="+"),
            argument("--int", action="store_true", help="values are counters: show their numbers"),
            _ESCAPED,
        ],
        ["kt get greeting", "kt get picture > picture.png", "kt get --int visits"],
    ),
    "set": Command(
        "changing.set_",
        "store a value, from the command line or from standard input",
        [
            argument("key"),
            argument("value", nargs="?", help="the value; - or nothing for standard input"),
            _TTL,
            _XT,
            _ESCAPED,
        ],
        ["kt set greeting hello --ttl 15m", "kt set picture < picture.png"],
    ),
    "incr": Command(
        "changing.incr",
        "add to a counter, and show the sum",
        [
            argument("key"),
            argument("number", nargs="?", type=_whole, default=1, help="what to add (%(default)s)"),
            argument("--start", type=_whole, default=0, metavar="N", help="where a new one begins (%(default)s)"),
            _TTL,
            _XT,
            _ESCAPED,
        ],
        ["kt incr visits", "kt incr stock -3 --start 100"],
    ),
    "del": Command(
        "changing.delete",
        "remove records",
        [argument("key", nargs="+", help="the keys; - alone for those that kt keys writes"), _ESCAPED],
        ["kt del greeting", "kt keys --prefix user: | kt del -"],
    ),
    "keys": Command(
        "looking.keys",
        "list keys",
        [
            argument("--prefix", default="", metavar="TEXT", help="what they begin with"),
            argument("--regex", metavar="PATTERN", help="a POSIX extended expression that is found in them"),
            argument("--limit", type=_positive, metavar="N", help="no more than so many"),
            argument("--long", "-l", action="store_true", help="with the time that they have left, and their sizes"),
            _ESCAPED,
        ],
        ["kt keys --prefix user: --limit 10", "kt keys --regex '^user:[0-9]+$' --long"],
    ),
    "count": Command("looking.count", "show the number of records", [], ["kt count"]),
    "clear": Command("changing.clear", "remove every record of a database", [_YES], ["kt clear --yes"]),
    "dump": Command(
        "moving.dump",
        "write the records of a database to a file",
        [
            _FILE,
            _FORCE,
            argument("--resume", action="store_true", help="go on with a file that was cut off"),
            argument("--tsv", action="store_true", help="as ktremotemgr import reads it: no expiry, no tabs, no lines"),
        ],
        ["kt dump site.ktdump", "kt dump - | gzip > site.ktdump.gz"],
    ),
    "load": Command(
        "moving.load",
        "store what a dump holds, or a file of keys, tabs and values",
        [
            _FILE,
            argument("--skip", type=_whole, default=0, metavar="N", help="leave out the first so many records"),
            _FOREVER,
        ],
        ["kt load site.ktdump", "zcat site.ktdump.gz | kt load -"],
    ),
    "copy": Command(
        "moving.copy",
        "copy the records of one place to another",
        [
            argument("source", metavar="SOURCE", help="the URL of the records"),
            argument("target", metavar="TARGET", help="the URL of the place that gets them, too"),
            argument("--verify", action="store_true", help="read every record again, and compare"),
            _FOREVER,
        ],
        ["kt copy embedded://site kt://cache.example.org/0 --verify"],
    ),
    "backup": Command(
        "moving.backup",
        "write all databases to a file, an embedded one as it is at one moment",
        [_FILE, _FORCE],
        ["kt backup --at embedded://sessions sessions.ktdump"],
    ),
    "restore": Command(
        "moving.restore",
        "replace what is in the databases by what a backup holds",
        [_FILE, _YES, _FOREVER],
        ["kt restore --at embedded://sessions sessions.ktdump --yes"],
    ),
    "replicate": Command(
        "replicate.replicate",
        "keep a copy of a database of a Kyoto Tycoon server up to date, by the server's update log",
        [
            argument("source", metavar="MASTER", help="the URL of the database that is followed"),
            argument("target", metavar="TARGET", help="the URL of the place that becomes its copy"),
            argument("--state", metavar="FILE", help="where to note how far it is, to go on from there next time"),
            argument("--once", action="store_true", help="end as soon as there is nothing more to be followed"),
            _YES,
            _FOREVER,
        ],
        ["kt replicate kt://db1:1978/0 embedded://copy --state copy.json --yes"],
    ),
    "monitor": Command(
        "monitor.monitor",
        "watch operations, hit ratio, round trips and sizes",
        [
            argument("--interval", "-i", type=_seconds, default=1.0, metavar="TIME", help="between (%(default)s)"),
            argument("--count", "-c", type=_positive, metavar="N", help="how many looks (until it is interrupted)"),
            argument("--once", action="store_true", help="look once, over one interval"),
        ],
        ["kt monitor", "kt monitor --once --json"],
    ),
    "bench": Command(
        "bench.bench",
        "load a place with gets and sets, or compare two that take turns",
        [
            argument("url", nargs="*", metavar="URL", help="one or more places, instead of --at"),
            argument("--seconds", type=_seconds, default=3.0, metavar="TIME", help="for each of them (%(default)s)"),
            argument("--connections", type=_positive, default=4, metavar="N", help="so many at a time (%(default)s)"),
            argument("--get", type=float, default=90.0, metavar="PERCENT", help="gets; the rest sets (%(default)s)"),
            argument("--size", type=_size, default=100, metavar="BYTES", help="of a value (%(default)s)"),
            argument("--keys", type=_positive, default=1000, metavar="N", help="different keys (%(default)s)"),
        ],
        ["kt bench embedded://site kt://127.0.0.1:1978", "kt bench --connections 16 --size 4k"],
    ),
    "completion": Command(
        "completion.completion",
        "write what makes a shell complete the command line of kt",
        [argument("shell", choices=SHELLS)],
        ['eval "$(kt completion bash)"', "kt completion fish > ~/.config/fish/completions/kt.fish"],
    ),
}


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return what reads the arguments of a command."""
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"kt {name}",
        description=f"{command.help[0].upper()}{command.help[1:]}.",
        epilog="\n".join(["examples:", *(f"  {example}" for example in command.examples), "", EXITS]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_arguments(parser, command.arguments)
    add_arguments(parser, COMMON)
    return parser


def function_of(name: str) -> Callable[[argparse.Namespace, Console], int]:
    """Return what does a command: given its arguments and where results go, it returns the exit status."""
    module, _, function = COMMANDS[name].run.partition(".")
    done: Callable[[argparse.Namespace, Console], int] = getattr(import_module(f"kt_core.commands.{module}"), function)
    return done
