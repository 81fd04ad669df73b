"""The command line of the server: which program is run, `ktserver`'s flags, and running it.

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
from collections.abc import Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from kt_core.errors import KTError, Misconfigured
from kt_core.server import log
from kt_core.server.flags import SHARED, Flag, Program, Settings, ignore, level, option, read
from kt_core.server.orphan import end_with
from kt_core.server.report import PROTOCOL
from kt_core.server.server import Server, ServerOptions
from kt_core.server.service import Service
from kt_core.server.tyrant.command import TYRANT

logger = logging.getLogger("kt_core.server")

FLAGS: Final = {
    **SHARED,
    "-cmd": Flag("DIRECTORY", option("command_directory", Path), "where the commands of `synchronize` are (.)"),
    "-li": Flag("", level(logging.INFO), "log every request, too"),
    "-ls": Flag("", level(log.SYSTEM), "log starts, stops and errors (the default)"),
    "-lz": Flag("", level(logging.CRITICAL + 1), "log nothing"),
    "-th": Flag("NUMBER", ignore, "accepted; one thread serves every connection"),
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


def _finish(settings: Settings, databases: list[str]) -> None:
    if databases:
        settings.options["databases"] = databases


KYOTO: Final = Program(
    FLAGS,
    REFUSED,
    (
        "usage: python -m kt_core.server [flags] [database ...]",
        "       python -m kt_core.server --tyrant [flags] [database]",
        "",
        "A server that speaks the protocol of Kyoto Tycoon, or with --tyrant as the first flag, or under the name of",
        "ttserver, that of Tokyo Tyrant: --tyrant --help tells more. Databases are numbered in their order:",
        "  * + % - :              in memory; + and % keep their records in order. The default is :",
        "  PATH.kct, PATH.kch     kept on disk, in a directory of that name",
        "  embedded://NAME        the database that the embedded store of kt-cache has under that name",
        "each with options behind it, such as *#capsiz=64m or data.kct#durability=process",
    ),
    f"kt-cache {version('kt-cache')}, speaking Kyoto Tycoon {PROTOCOL}",
    _finish,
    lambda options: Server(ServerOptions(**options)),
)


def choose_program(name: str, arguments: Sequence[str]) -> tuple[Program, Sequence[str]]:
    """Return the program that is meant by its name and its first flag, and the arguments that are its own."""
    if arguments[:1] == ["--tyrant"]:
        return TYRANT, arguments[1:]
    return (TYRANT if os.path.basename(name) == "ttserver" else KYOTO), arguments


def parse(arguments: Sequence[str]) -> Settings:
    """Read a command line of Kyoto Tycoon's server; `Misconfigured` if it makes no sense."""
    return read(KYOTO, arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server until it is told to end; return its exit status."""
    program, own = choose_program(sys.argv[0], sys.argv[1:] if arguments is None else list(arguments))
    try:
        settings = read(program, own)
        if settings.show is not None:
            sys.stdout.write(settings.show + "\n")
            return 0
        log.configure(settings.level, settings.log_path)
        server = program.make(settings.options)
    except (Misconfigured, OSError) as error:
        sys.stderr.write(f"{error}\nTry --help.\n")
        return 1
    return _run(_serve(settings, server))


def _run(serving: Coroutine[Any, Any, int]) -> int:
    # What a request leaves behind holds no cycles: to look for them after every 700 objects is in vain.
    gc.freeze()
    gc.set_threshold(50_000)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(serving)
    return uvloop.run(serving)


async def _serve(settings: Settings, server: Service) -> int:
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


def _announce(settings: Settings, server: Service) -> None:
    if settings.pid_path is not None:
        Path(settings.pid_path).write_text(f"{os.getpid()}\n")
    if settings.ready is not None:
        facts = {"pid": os.getpid(), "host": server.host, "port": server.port, "sock": server.sock}
        with os.fdopen(settings.ready, "w") as stream:
            stream.write(json.dumps(facts) + "\n")
