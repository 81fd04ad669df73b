"""The caches measured beside each other: their Django settings, and whether this machine has them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.cache import CacheHandler
from django.core.cache.backends.base import BaseCache
from django.core.management import call_command

from bench.report import left_out
from bench.servers import BUNDLED, MEMCACHED, REDIS, Address, Program

# A record such as an application caches. No backend may gain by its shape: text, numbers, a list, a flag.
VALUE: dict[str, Any] = {
    "id": 48213,
    "title": "How a cache without a server answers in microseconds",
    "slug": "cache-without-a-server",
    "tags": ["cache", "lmdb", "django", "flask"],
    "score": 0.8125,
    "comments": 172,
    "public": True,
}
VALUE_SIZE = len(pickle.dumps(VALUE, pickle.HIGHEST_PROTOCOL))

COMMON = {"KEY_PREFIX": "bench", "TIMEOUT": 3600}
DJANGO = "django.core.cache.backends"
UNCULLED = {"MAX_ENTRIES": 1_000_000}
TABLE = "bench_cache"
GROUP = 100  # keys of a get_many or set_many
BASIS = "locmem"  # what every ratio refers to
NOWHERE = Address("", 0)  # of a backend without a server


@dataclass(frozen=True)
class Peer:
    """A cache backend, with its settings as templates over the place its data goes to."""

    name: str
    title: str
    backend: str
    location: str
    options: Mapping[str, Any] = field(default_factory=dict)
    program: Program | None = None
    private: bool = False  # every process has its own

    def config(self, folder: Path, address: Address = NOWHERE, **options: Any) -> dict[str, Any]:
        """The entry of CACHES."""
        location = self.location.format(folder=folder, **address._asdict())
        return {
            **COMMON,
            "BACKEND": self.backend,
            "LOCATION": location,
            "OPTIONS": {**self.options, **options},
        }


OURS = "kt_cache.django.KTCache"
KTCACHE = Peer("ktcache", "KTCache (embedded)", OURS, "embedded://{folder}", {"max_size": "256MiB"})
KTCACHE_SOCKET = Peer("ktcache-socket", "KTCache (kt+unix)", OURS, "kt+unix://{socket}", program=BUNDLED)
KTCACHE_PORT = Peer("ktcache-port", "KTCache (kt)", OURS, "kt://127.0.0.1:{port}/0", program=BUNDLED)
REDIS_CACHE = Peer("redis", "RedisCache", f"{DJANGO}.redis.RedisCache", "unix://{socket}", program=REDIS)
DJANGO_REDIS = Peer("django-redis", "django-redis", "django_redis.cache.RedisCache", "unix://{socket}", program=REDIS)
LOCMEM = Peer(BASIS, "LocMemCache", f"{DJANGO}.locmem.LocMemCache", "bench", UNCULLED, private=True)
PEERS: tuple[Peer, ...] = (
    KTCACHE,
    KTCACHE_SOCKET,
    KTCACHE_PORT,
    LOCMEM,
    Peer("file", "FileBasedCache", f"{DJANGO}.filebased.FileBasedCache", "{folder}", UNCULLED),
    Peer("db", "DatabaseCache (SQLite)", f"{DJANGO}.db.DatabaseCache", TABLE, UNCULLED),
    Peer("diskcache", "diskcache", "diskcache.DjangoCache", "{folder}"),
    REDIS_CACHE,
    DJANGO_REDIS,
    Peer(
        "pymemcache",
        "PyMemcacheCache",
        f"{DJANGO}.memcached.PyMemcacheCache",
        "unix:{socket}",
        program=MEMCACHED,
    ),
    Peer(
        "pylibmc",
        "PyLibMCCache",
        f"{DJANGO}.memcached.PyLibMCCache",
        "unix:{socket}",
        program=MEMCACHED,
    ),
)


def configure(folder: Path) -> None:
    """Set Django up in this process; the database is DatabaseCache's, tuned as SQLite's users are advised."""
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "db.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            "timeout": 20,
        },
    }
    settings.configure(SECRET_KEY="bench", BASE_DIR=folder, DATABASES={"default": database})
    django.setup()


def open_cache(config: Mapping[str, Any]) -> BaseCache:
    """Make the backend the way Django makes it from an entry of CACHES."""
    return CacheHandler({"default": dict(config)})["default"]


def fill(cache: BaseCache, names: Sequence[str], value: Any = VALUE) -> None:
    """Store the value under every name, in groups: on thousands at once pymemcache and memcached block each other."""
    for start in range(0, len(names), GROUP):
        cache.set_many(dict.fromkeys(names[start : start + GROUP], value))


@dataclass(frozen=True)
class Entrant:
    """A peer that works here, with the settings by which any process opens it."""

    name: str
    title: str
    private: bool
    config: dict[str, Any]


@dataclass(frozen=True)
class Missing:
    """A peer that cannot be measured here, and why."""

    name: str
    title: str
    reason: str


def prepare(
    names: set[str], folder: Path, stack: ExitStack, say: Callable[[str], None]
) -> tuple[list[Entrant], list[Missing]]:
    """Enter the named ones of all peers."""
    call_command("createcachetable", TABLE)
    return enter_all([peer for peer in PEERS if peer.name in names], folder, stack, say)


def enter_all(
    peers: Iterable[Peer], folder: Path, stack: ExitStack, say: Callable[[str], None]
) -> tuple[list[Entrant], list[Missing]]:
    """Start each peer's server (the stack stops it), and try one value through each backend; say who is left out."""
    entrants: list[Entrant] = []
    missing: list[Missing] = []
    for peer in peers:
        try:
            entrants.append(_enter(peer, folder / peer.name, stack))
        # Whatever a third party's backend raises on this machine is the reason to print.
        except Exception as error:
            missing.append(Missing(peer.name, peer.title, f"{type(error).__name__}: {error}"))
            say(left_out(peer.title, missing[-1].reason))
    return entrants, missing


def _enter(peer: Peer, folder: Path, stack: ExitStack) -> Entrant:
    address = stack.enter_context(peer.program.run()) if peer.program else NOWHERE
    folder.mkdir(mode=0o700)
    config = peer.config(folder, address)
    cache = open_cache(config)
    cache.set("try", VALUE)
    if cache.get("try") != VALUE:
        raise RuntimeError("a value just set is not there")
    cache.delete("try")
    return Entrant(peer.name, peer.title, peer.private, config)
