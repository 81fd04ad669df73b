"""The command line of Tokyo Tyrant's server: `ttserver`'s flags.

Source: the Tokyo Tyrant protocol reference, section 12.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from pathlib import Path
from typing import Final

from kt_core.errors import Misconfigured
from kt_core.server.flags import SHARED, Flag, Program, Settings, ignore, level, master, option, positive
from kt_core.server.specs import KINDS, Spec
from kt_core.server.tyrant.masks import parse
from kt_core.server.tyrant.server import TyrantOptions, TyrantServer
from kt_core.server.tyrant.stat import VERSION
from kt_core.server.tyrant.updates import LARGEST_SID


def _mask(settings: Settings, text: str) -> None:
    settings.options["mask"] = settings.options.get("mask", frozenset()) | parse(text)


def _unmask(settings: Settings, text: str) -> None:
    settings.options["mask"] = settings.options.get("mask", frozenset()) - parse(text)


def _call_regularly(settings: Settings, function: str, seconds: str) -> None:
    settings.options["periodic"] = (*settings.options.get("periodic", ()), (function, positive(seconds)))


def _size(text: str) -> int:
    size = Spec("", KINDS["*"], {"size": text}).number("size")
    if size <= 0:
        raise ValueError
    return size


def _check(settings: Settings) -> None:
    settings.options["checks"] = True


FLAGS: Final = {
    **SHARED,
    "-thnum": Flag("NUMBER", option("threads", int), "how many calls of the script run at a time (8)"),
    "-ext": Flag("SCRIPT", option("script"), "the path of a Lua script, or @ and a script"),
    "-extpc": Flag("FUNCTION SECONDS", _call_regularly, "a function of the script to be called every so many seconds"),
    "-ld": Flag("", level(logging.DEBUG), "log everything"),
    "-sid": Flag("NUMBER", option("sid", int), "the number of this server among those that replicate"),
    "-ulog": Flag("DIRECTORY", option("log_directory", Path), "where the update log is; it needs -sid"),
    "-ulim": Flag("BYTES", option("log_limit", _size), "the bytes after which another file of it is begun (1g)"),
    "-uas": Flag("", ignore, "accepted; the log is written as the system sees fit"),
    "-mhost": Flag("ADDRESS", master(0), "the master to follow; it needs -sid"),
    "-mport": Flag("NUMBER", master(1, int), "its port (1978)"),
    "-rts": Flag("FILE", option("time_path", Path), "where to remember how far it was followed (ttserver.rts)"),
    "-rcc": Flag("", _check, "follow it no more where a change has another outcome here"),
    "-cmd": Flag("DIRECTORY", option("command_directory", Path), "where the commands of `copy @...` are (.)"),
    "-mask": Flag("NAMES", _mask, "the commands that are forbidden, with commas between them"),
    "-unmask": Flag("NAMES", _unmask, "those that are not, after all"),
}

REFUSED: Final = {
    **dict.fromkeys(("-skel", "-mul"), "this server loads no plug-ins and splits no databases"),
    "-kl": "end the other server by the process id in its -pid file",
}


def _finish(settings: Settings, databases: list[str]) -> None:
    if len(databases) > 1:
        raise Misconfigured(f"{databases[1]!r}: this server has one database: start another one for that")
    if databases:
        settings.options["database"] = databases[0]
    options = settings.options
    if options.get("master", (" ",))[0] == "":
        raise Misconfigured("-mport needs -mhost: write the address of the master")
    if not 0 <= options.get("sid", 0) <= LARGEST_SID:
        raise Misconfigured(f"-sid {options['sid']}: write a number from 1 to {LARGEST_SID}")
    if {"log_directory", "master"} & options.keys() and not options.get("sid"):
        raise Misconfigured("-ulog and -mhost need -sid: write a number from 1 on that no other server has")
    host = options.get("host", "")
    if "/" in host and options.get("port", 1) <= 0:  # as the original has it
        options |= {"sock": host, "host": None, "port": None}


TYRANT: Final = Program(
    FLAGS,
    REFUSED,
    (
        "usage: python -m kt_core.server --tyrant [flags] [database]",
        "",
        "A server that speaks the protocol of Tokyo Tyrant. Its database is one of",
        "  * +                    in memory; + keeps its records in order. The default is *",
        "  PATH.tch               records, kept on disk in a directory of that name",
        "  PATH.tcb               records in order, with several values under a key",
        "  PATH.tcf               records under numbers",
        "  PATH.tct               rows of columns, which can be searched",
        "with options behind it, such as *#capnum=100000 or data.tch#durability=process",
    ),
    f"kt-cache {version('kt-cache')}, speaking Tokyo Tyrant {VERSION}",
    _finish,
    lambda options: TyrantServer(TyrantOptions(**options)),
)
