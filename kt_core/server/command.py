"""The command line of the server: `ktserver`'s flags, and a few of its own.

Source: the Kyoto Tycoon protocol reference, section 12.1.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from kt_core.errors import KTError, Misconfigured, choose
from kt_core.server import log
from kt_core.server.orphan import end_with
from kt_core.server.report import PROTOCOL
from kt_core.server.server import Server, ServerOptions

logger = logging.getLogger("kt_core.server")


@dataclass
class Settings:
    """What a command line says."""

    options: dict[str, Any] = field(default_factory=dict)
    """Those of `ServerOptions`."""
    level: int = log.SYSTEM
    log_path: str | None = None
    pid_path: str | None = None
    ready: int | None = None
    parent: int | None = None
    show: str | None = None


class Flag(NamedTuple):
    """A flag: whether an argument follows, what it does to the settings, and what its help says."""

    takes: str
    apply: Callable[[Settings, str], None]
    help: str


def _option(name: str, read: Callable[[str], Any] = str) -> Callable[[Settings, str], None]:
    def apply(settings: Settings, text: str) -> None:
        settings.options[name] = read(text)

    return apply


def _setting(name: str, read: Callable[[str], Any] = str) -> Callable[[Settings, str], None]:
    return lambda settings, text: setattr(settings, name, read(text))


def _ignore(settings: Settings, text: str) -> None:
    pass


def _level(level: int) -> Callable[[Settings, str], None]:
    return lambda settings, _: setattr(settings, "level", level)


def _microseconds(text: str) -> float:
    return float(text) / 1e6


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise ValueError
    return number


FLAGS: Final[dict[str, Flag]] = {
    "-host": Flag("ADDRESS", _option("host"), "where to listen (127.0.0.1; 0.0.0.0 for every interface)"),
    "-port": Flag("NUMBER", _option("port", int), "the TCP port (1978; 0 for a free one)"),
    "-sock": Flag("PATH", _option("sock"), "a unix socket to listen on; without -port, nothing else is listened on"),
    "-tout": Flag("NUMBER", _option("timeout", _positive), "the seconds that half a request is waited for (30)"),
    "-conn": Flag("NUMBER", _option("max_connections", int), "the most connections at a time (10000)"),
    "-spin": Flag("NUMBER", _option("spin", _microseconds), "the microseconds to look for more before sleeping (100)"),
    "-cmd": Flag("DIRECTORY", _option("command_directory", Path), "where the commands of `synchronize` are (.)"),
    "-log": Flag("FILE", _setting("log_path"), "where the log goes (standard output)"),
    "-li": Flag("", _level(logging.INFO), "log every request, too"),
    "-ls": Flag("", _level(log.SYSTEM), "log starts, stops and errors (the default)"),
    "-le": Flag("", _level(logging.ERROR), "log errors only"),
    "-lz": Flag("", _level(logging.CRITICAL + 1), "log nothing"),
    "-pid": Flag("FILE", _setting("pid_path"), "where to write the process id"),
    "-th": Flag("NUMBER", _ignore, "accepted; one thread serves every connection"),
    "-ready": Flag("DESCRIPTOR", _setting("ready", int), "where to say, as a line of JSON, that the server listens"),
    "-parent": Flag("PID", _setting("parent", int), "end when this process has ended"),
    "--version": Flag("", lambda settings, _: setattr(settings, "show", _version()), "print the version"),
    "--help": Flag("", lambda settings, _: setattr(settings, "show", usage()), "print this"),
}


# The original's flags that this server has not: what it says instead of starting without what was asked for.
REFUSED: Final = {
    **dict.fromkeys(("-scr",), "this server runs no scripts"),
    **dict.fromkeys(("-ulog", "-ulim", "-uasi", "-sid"), "this server keeps no update log"),
    **dict.fromkeys(("-mhost", "-mport", "-rts", "-riv"), "this server is no slave of another"),
    **dict.fromkeys(
        ("-ord", "-oat", "-onl", "-otl", "-onr"), "databases are opened to be read and written, and locked"
    ),
    **dict.fromkeys(("-oas", "-ash", "-asi"), "write PATH.kct for a database that is on the disk with every write"),
    **dict.fromkeys(("-bgs", "-bgsi", "-bgsc"), "write PATH.kct for a database that outlives the server"),
    **dict.fromkeys(("-plsv", "-plex", "-pldb"), "this server loads no plug-ins"),
    "-dmn": "start the server with systemd, or with nohup and &",
}


def parse(arguments: Sequence[str]) -> Settings:
    """Read a command line; `Misconfigured` if a flag is unknown, or lacks what must follow it."""
    settings = Settings()
    databases: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            databases += rest
        elif not argument.startswith("-") or argument == "-":
            databases.append(argument)
        elif argument in REFUSED:
            raise Misconfigured(f"{argument} is not for this server: {REFUSED[argument]}")
        else:
            flag = choose(FLAGS, argument, "flag")
            text = next(rest, None) if flag.takes else ""
            if text is None:
                raise Misconfigured(f"{argument} needs {flag.takes} behind it")
            try:
                flag.apply(settings, text)
            except ValueError:
                raise Misconfigured(f"{argument} {text}: write a {flag.takes.lower()} there") from None
    if databases:
        settings.options["databases"] = databases
    if "sock" in settings.options and not {"port", "host"} & set(settings.options):
        settings.options["port"] = None
    return settings


def usage() -> str:
    """Return the help text."""
    lines = [
        "usage: python -m kt_core.server [flags] [database ...]",
        "",
        "A server that speaks the protocol of Kyoto Tycoon. Databases are numbered in their order:",
        "  * + % - :              in memory; + and % keep their records in order. The default is :",
        "  PATH.kct, PATH.kch     kept on disk, in a directory of that name",
        "  embedded://NAME        the database that the embedded store of kt-cache has under that name",
        "each with options behind it, such as *#capsiz=64m or data.kct#durability=process",
        "",
    ]
    lines += [f"  {f'{name} {flag.takes}'.strip():<22} {flag.help}" for name, flag in FLAGS.items()]
    return "\n".join(lines)


def _version() -> str:
    from importlib.metadata import version

    return f"kt-cache {version('kt-cache')}, speaking Kyoto Tycoon {PROTOCOL}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is told to end; return its exit status."""
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
        if settings.show is not None:
            sys.stdout.write(settings.show + "\n")
            return 0
        log.configure(settings.level, settings.log_path)
        options = ServerOptions(**settings.options)
    except (Misconfigured, OSError) as error:
        sys.stderr.write(f"{error}\nTry --help.\n")
        return 1
    return _run(_serve(settings, options))


def _run(serving: Coroutine[Any, Any, int]) -> int:
    # What a request leaves behind holds no cycles: to look for them after every 700 objects is in vain.
    gc.freeze()
    gc.set_threshold(50_000)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(serving)
    return uvloop.run(serving)


async def _serve(settings: Settings, options: ServerOptions) -> int:
    server = Server(options)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    endings = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, endings)  # who started it may have blocked them for itself
    for number in endings:
        loop.add_signal_handler(number, ended.set)
    try:
        if settings.parent is not None:
            end_with(settings.parent, ended.set)
        await server.start()
    except (KTError, OSError) as error:
        sys.stderr.write(f"the server cannot start: {error}\n")
        return 1
    where = [f"{server.host}:{server.port}"] if server.port else []
    where += [server.sock] if server.sock else []
    logger.log(log.SYSTEM, "listening on %s, process %d", " and ".join(where), os.getpid())
    _announce(settings, server)
    await ended.wait()
    logger.log(log.SYSTEM, "ending")
    await server.stop()
    if settings.pid_path is not None:
        os.unlink(settings.pid_path)
    logger.log(log.SYSTEM, "ended")
    return 0


def _announce(settings: Settings, server: Server) -> None:
    if settings.pid_path is not None:
        Path(settings.pid_path).write_text(f"{os.getpid()}\n")
    if settings.ready is not None:
        facts = {"pid": os.getpid(), "host": server.host, "port": server.port, "sock": server.sock}
        with os.fdopen(settings.ready, "w") as stream:
            stream.write(json.dumps(facts) + "\n")
