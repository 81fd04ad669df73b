"""Django's session engines on a disk: microseconds to load, save, refresh and create a session."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from bench import calls, charts
from bench.backends import KTCACHE, KTCACHE_SOCKET, NOWHERE, REDIS_CACHE, Peer
from bench.calls import Batch, Operation, Samples
from bench.client import FULL, QUICK
from bench.disk import LASTING_TEMPORARY
from bench.report import Report, Setting, left_out, medians, ratios, table

RESIDENT = 500
# What a user's session holds: what Django's login writes, and five items of the project's.
DATA: dict[str, Any] = {
    "_auth_user_id": "48213",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": "5f" * 32,
    "_csrftoken": "Zk" * 16,
    "_language": "en",
    "cart": [{"id": 1741, "count": 2}, {"id": 1813, "count": 1}],
    "last_search": "caches without a server",
    "seen": 0,
    "theme": "dark",
}


@dataclass(frozen=True)
class Engine:
    """A session engine, with the cache that it uses."""

    name: str  # of the cache's alias, too
    title: str
    module: str
    peer: Peer | None = None
    options: tuple[tuple[str, Any], ...] = ()


OURS, DJANGO = "kt_cache.django.sessions", "django.contrib.sessions.backends"
BASIS = "db"
ENGINES = (
    Engine("process", "kt_cache, durability process", OURS, KTCACHE, (("durability", "process"),)),
    Engine("commit", "kt_cache, durability commit", OURS, KTCACHE),
    Engine("server", "kt_cache on the bundled server", OURS, KTCACHE_SOCKET),
    Engine("redis", "cache on RedisCache", f"{DJANGO}.cache", REDIS_CACHE),
    Engine(BASIS, "db on SQLite", f"{DJANGO}.db"),
)


class Sessions:
    """Sessions of one engine, by number: their keys, and as a request has them."""

    def __init__(self, engine: Engine) -> None:
        self._alias = engine.name
        self._kind = import_module(engine.module).SessionStore
        self.created: list[Any] = []
        self.requests = [self.create() for _ in range(RESIDENT)]
        self.created.clear()
        self.keys = [session.session_key for session in self.requests]

    def begin(self) -> Callable[..., Any]:
        """Return what opens a session of this engine, until another one begins."""
        settings.SESSION_CACHE_ALIAS = self._alias
        return self._kind

    def create(self) -> Any:
        session = self.begin()()
        session.update(DATA)
        session.save()
        self.created.append(session)
        return session

    def delete_created(self, numbers: Sequence[int]) -> None:
        for session in self.created:
            session.delete()
        self.created.clear()


def _load(sessions: Sessions, numbers: Iterable[int]) -> None:
    open_session, keys = sessions.begin(), sessions.keys
    for number in numbers:
        assert open_session(keys[number])["seen"] is not None


def _save(sessions: Sessions, numbers: Iterable[int]) -> None:
    for number in numbers:
        session = sessions.requests[number]
        session["seen"] += 1
        session.save()


def _refresh(sessions: Sessions, numbers: Iterable[int]) -> None:
    for number in numbers:
        sessions.requests[number].save()


def _create(sessions: Sessions, numbers: Iterable[int]) -> None:
    for _ in numbers:
        sessions.create()


NUMBERS = range(RESIDENT)
OPERATIONS: tuple[Operation[Sessions], ...] = (
    Operation("load", _load, NUMBERS),
    Operation("save", _save, NUMBERS),
    Operation("save, unchanged", _refresh, NUMBERS),
    Operation("create", _create, NUMBERS, undo=Sessions.delete_created),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(place=LASTING_TEMPORARY if LASTING_TEMPORARY.is_dir() else Path(tempfile.gettempdir()))


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    notes: list[str] = []
    caches: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    for engine in ENGINES:
        if engine.peer is not None:
            try:
                program = engine.peer.program
                address = stack.enter_context(program.run()) if program else NOWHERE
                caches[engine.name] = engine.peer.config(folder / engine.name, address, **dict(engine.options))
            except (OSError, RuntimeError) as error:
                notes.append(left_out(engine.title, str(error)))
    configure(folder, caches)
    batches: dict[str, list[Batch[Sessions]]] = {}
    for engine in ENGINES:
        if engine.peer is None or engine.name in caches:
            say(f"sessions: warming up {engine.title}")
            try:
                sessions = Sessions(engine)
                batches[engine.name] = [Batch(operation, sessions, extent.batch_seconds) for operation in OPERATIONS]
            # Whatever a third party's backend raises on this machine is the reason to print.
            except Exception as error:
                notes.append(left_out(engine.title, f"{type(error).__name__}: {error}"))
    samples = calls.take_turns(batches, extent.rounds, say)
    return report(samples, f"{options.place}", options.setting, notes)


def configure(folder: Path, caches: Mapping[str, Any]) -> None:
    """Set Django up in this process, its database as it is without any options."""
    settings.configure(
        SECRET_KEY="bench",
        BASE_DIR=folder,
        USE_TZ=True,
        CACHES=caches,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
        INSTALLED_APPS=["django.contrib.sessions"],
    )
    django.setup()
    call_command("migrate", verbosity=0)


def report(samples: Samples, place: str, setting: Setting, notes: Sequence[str]) -> Report:
    header, columns = ["", *samples], list(samples.values())
    titles = {engine.name: engine.title for engine in ENGINES if engine.name in columns[0]}
    sections = [
        setting.section(f"Files: {place}", *notes),
        "## Django's session engines",
        f"Median microseconds, {RESIDENT} sessions of a user with {len(DATA)} items; engines take turns in short "
        "rounds. A load opens the session and reads an item; a save stores one item anew, or, unchanged, the time the "
        "session lives on. The database is SQLite as Django makes it; Redis is on a unix socket, in memory, as the "
        "bundled server is.",
        table(header, (medians(title, columns, name) for name, title in titles.items())),
    ]
    if BASIS in titles:
        sections += [
            f"The same as ratio to {titles[BASIS]} (median of the ratios within each round):",
            table(header, (ratios(title, columns, name, BASIS) for name, title in titles.items())),
        ]
    ours = {engine.name for engine in ENGINES if engine.module == OURS}
    panels = [(f"{title}, µs", own) for title, own in samples.items()]
    return Report("sessions", sections, {"sessions": partial(charts.dots, panels, titles, ours)})
