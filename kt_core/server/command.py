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
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from kt_core.errors import KTError, Misconfigured
from kt_core.server import log
from kt_core.server.daemon import detach, notify, pid_file
from kt_core.server.flags import SHARED, Flag, Program, Settings, ignore, level, master, option, positive, read
from kt_core.server.memcached import MemcachedOptions
from kt_core.server.orphan import end_with
from kt_core.server.report import PROTOCOL
from kt_core.server.server import Server, ServerOptions
from kt_core.server.service import Service
from kt_core.server.tyrant.command import TYRANT
from kt_core.server.updates import LARGEST_SID
from kt_core.sizes import parse_size

logger = logging.getLogger("kt_core.server")


def _memcached(settings: Settings, port: str) -> None:
    settings.options["memcached"] = MemcachedOptions(port=int(port), flags=True)


def _plug_in(settings: Settings, path: str) -> None:
    if not os.path.basename(path).startswith("ktplugservmemc"):
        raise Misconfigured(f"-plsv {path}: this server has one plug-in, and loads none: write ktplugservmemc.so")
    settings.options.setdefault("memcached", MemcachedOptions())


def _open_scripts(settings: Settings) -> None:
    settings.options["script_opened"] = True


def _at_least_one(text: str) -> int:
    return max(int(text), 1)


def _read_only(settings: Settings) -> None:
    settings.options["read_only"] = True


FLAGS: Final = {
    **SHARED,
    "-cmd": Flag("DIRECTORY", option("command_directory", Path), "where the commands of `synchronize` are (.)"),
    "-li": Flag("", level(logging.INFO), "log every request, too"),
    "-ls": Flag("", level(log.SYSTEM), "log starts, stops and errors (the default)"),
    "-lz": Flag("", level(logging.CRITICAL + 1), "log nothing"),
    "-ord": Flag("", _read_only, "let nobody change anything"),
    "-oat": Flag("", ignore, "accepted; every change is a transaction"),
    "-oas": Flag("", ignore, "accepted; PATH.kct has every change on the disk before it is acknowledged"),
    "-onl": Flag("", ignore, "accepted; several processes may have a database open in any case"),
    "-otl": Flag("", ignore, "accepted, for the same reason"),
    "-onr": Flag("", ignore, "accepted; a database that is damaged is refused, not repaired"),
    "-asi": Flag(
        "NUMBER", option("synchronize_interval", float), "the seconds between writing what is not on the disk yet (0)"
    ),
    "-ash": Flag("", ignore, "accepted; it is always written through to the disk"),
    "-bgs": Flag("DIRECTORY", option("snapshot_directory", Path), "where snapshots are written, and read at the start"),
    "-bgsi": Flag("NUMBER", option("snapshot_interval", positive), "the seconds between them (180)"),
    "--memcached": Flag("PORT", _memcached, "serve clients of memcached there, their flags kept"),
    "-plsv": Flag("PATH", _plug_in, "accepted for ktplugservmemc.so: serve clients of memcached, as -plex says"),
    "-plex": Flag("TEXT", option("memcached", MemcachedOptions.parse), "how: host=...#port=11211#opts=fqr#qtout=10"),
    "-scr": Flag("FILE", option("script"), "the Lua script whose procedures clients may call"),
    "-scrtime": Flag("NUMBER", option("script_patience", positive), "the seconds that a call of it may take (10)"),
    "-scrmem": Flag("SIZE", option("script_memory", parse_size), "the memory of each of its interpreters (256m)"),
    "-scropen": Flag("", _open_scripts, "let it use the whole library of Lua: files, programs, other modules"),
    "-ulog": Flag("DIRECTORY", option("log_directory", Path), "where the update log is; it needs -sid"),
    "-ulim": Flag("SIZE", option("log_limit", parse_size), "the bytes after which another file of it is begun (256m)"),
    "-uasi": Flag("NUMBER", option("log_interval", float), "the seconds between the times it is synchronized (never)"),
    "-sid": Flag("NUMBER", option("sid", int), "the number of this server among those that replicate"),
    "-mhost": Flag("ADDRESS", master(0), "the master to follow; it needs -sid and -rts"),
    "-mport": Flag("NUMBER", master(1, int), "its port (1978)"),
    "-rts": Flag("FILE", option("time_path", Path), "where to remember how far it was followed"),
    "-riv": Flag("NUMBER", option("follow_interval", float), "the milliseconds to take over each of its changes (0)"),
    "-th": Flag("NUMBER", option("threads", _at_least_one), "the threads for scripts that take long (16)"),
}


# The original's flags that this server has not: what it says instead of starting without what was asked for.
REFUSED: Final = {
    "-bgsc": "snapshots are written as they are; compress those that are kept by a tool for that",
    "-pldb": "this server loads no plug-ins; write one of the databases that --help names",
}


def _finish(settings: Settings, databases: list[str]) -> None:
    options = settings.options
    if databases:
        options["databases"] = databases
    if not 0 <= options.get("sid", 0) <= LARGEST_SID:
        raise Misconfigured(f"-sid {options['sid']}: write a number up to {LARGEST_SID}")
    if {"log_directory", "time_path", "master"} & options.keys() and "sid" not in options:
        raise Misconfigured("-ulog, -mhost and -rts need -sid: write a number that no other server has")
    if "master" in options and "time_path" not in options:
        raise Misconfigured("-mhost and -mport need -rts: write the path of a file that remembers how far")
    if options.get("read_only") and "time_path" in options:
        raise Misconfigured("-ord: who follows a master has to change its databases: leave it off, or -rts")


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
        detached = detach() if settings.daemon else None
        logged = log.configure(settings.level, settings.log_path)
        server = program.make(settings.options)
    except (Misconfigured, OSError) as error:
        sys.stderr.write(f"{error}\nTry --help.\n")
        return 1
    return _run(_serve(settings, server, logged, detached))


def _run(serving: Coroutine[Any, Any, int]) -> int:
    # What a request leaves behind holds no cycles: to look for them after every 700 objects is in vain.
    gc.freeze()
    gc.set_threshold(50_000)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(serving)
    return uvloop.run(serving)


async def _serve(
    settings: Settings, server: Service, logged: logging.Handler, detached: Callable[[], None] | None
) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def reload() -> None:
        if isinstance(logged, log.LogFile):
            logged.reopen()
        logger.log(log.SYSTEM, "reloading")
        server.reload()

    answers = {
        signal.SIGTERM: ended.set,
        signal.SIGINT: ended.set,
        signal.SIGHUP: reload if settings.daemon else ended.set,
        signal.SIGUSR1: reload,
    }
    signal.pthread_sigmask(signal.SIG_UNBLOCK, answers)  # who started it may have blocked them for itself
    for number, answer in answers.items():
        loop.add_signal_handler(number, answer)
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
    with ExitStack() as files:
        try:
            if settings.pid_path is not None:
                files.enter_context(pid_file(Path(settings.pid_path)))
        except OSError as error:
            sys.stderr.write(f"the server cannot write where its process id is to be: {error}\n")
            await server.stop()
            return 1
        if settings.ready is not None:
            _announce(settings.ready, server)
        if detached is not None:
            detached()
        notify("READY=1")
        await ended.wait()
        notify("STOPPING=1")
        logger.log(log.SYSTEM, "ending")
        await server.stop()
    logger.log(log.SYSTEM, "ended")
    return 0


def _announce(descriptor: int, server: Service) -> None:
    facts = {"pid": os.getpid(), **server.whereabouts()}
    with os.fdopen(descriptor, "w") as stream:
        stream.write(json.dumps(facts) + "\n")
