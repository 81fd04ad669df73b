"""Flask applications to be measured: each with a cache of its own, or with a way to keep its sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, session
from flask_caching import Cache
from werkzeug.test import EnvironBuilder

from bench.backends import NOWHERE, VALUE
from bench.calls import ARTICLES, COUNTERS
from bench.servers import BUNDLED, MEMCACHED, REDIS, Address, Program

UNCULLED = 1_000_000
PAGE = 10_000  # bytes of the cached page
# What a shop has in a session: it is as much for every way to keep it.
VISITOR: dict[str, Any] = {
    "_user_id": "48213",
    "token": "8f14e45fceea167a5a36dedd4bea2543",
    "basket": [{"article": number, "pieces": 1} for number in range(5)],
    "count": 0,
}


@dataclass(frozen=True)
class Backend:
    """A backend of Flask-Caching: its settings over the folder and the address it may use."""

    title: str
    settings: Callable[[Path, Address], Mapping[str, Any]]
    program: Program | None = None


KTCACHE, BASIS, REDIS_CACHE = "KTCache (embedded)", "SimpleCache", "RedisCache"
OURS = "kt_cache.flask.KTCache"
BACKENDS = (
    Backend(KTCACHE, lambda folder, _: {"CACHE_TYPE": OURS, "CACHE_KT_LOCATION": f"embedded://{folder}"}),
    Backend(
        "KTCache (kt+unix)",
        lambda _, address: {"CACHE_TYPE": OURS, "CACHE_KT_LOCATION": f"kt+unix://{address.socket}"},
        BUNDLED,
    ),
    Backend(BASIS, lambda *_: {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": UNCULLED}),
    Backend(
        "FileSystemCache",
        lambda folder, _: {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(folder), "CACHE_THRESHOLD": UNCULLED},
    ),
    Backend(
        REDIS_CACHE,
        lambda _, address: {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"unix://{address.socket}"},
        REDIS,
    ),
    Backend(
        "MemcachedCache",
        lambda _, address: {"CACHE_TYPE": "MemcachedCache", "CACHE_MEMCACHED_SERVERS": [address.socket]},
        MEMCACHED,
    ),
)


def _kt_sessions(app: Flask, location: str, **options: Any) -> None:
    from kt_cache.flask.sessions import KTSessionInterface

    app.config.update(SESSION_KT_LOCATION=location, SESSION_KT_OPTIONS=options)
    KTSessionInterface(app)


def _redis_sessions(app: Flask, folder: Path, address: Address) -> None:
    from flask_session import Session
    from redis import Redis

    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis(unix_socket_path=address.socket))
    Session(app)


@dataclass(frozen=True)
class Keeper:
    """A way to keep an application's sessions: what is done to it, given the folder and the address it may use."""

    title: str
    install: Callable[[Flask, Path, Address], object]
    program: Program | None = None
    flags: tuple[str, ...] = ()  # for the program, as templates over the folder


REDIS_SESSIONS = "Flask-Session on Redis"
FSYNC = ("--dir", "{folder}", "--appendonly", "yes", "--appendfsync", "always")
KEEPERS = (
    Keeper("KTSessionInterface, commit", lambda app, folder, _: _kt_sessions(app, f"embedded://{folder}/kt")),
    Keeper(
        "KTSessionInterface, process",
        lambda app, folder, _: _kt_sessions(app, f"embedded://{folder}/kt", durability="process", eviction="none"),
    ),
    Keeper(
        "KTSessionInterface, kt+unix",
        lambda app, _, address: _kt_sessions(app, f"kt+unix://{address.socket}"),
        BUNDLED,
    ),
    Keeper(REDIS_SESSIONS, _redis_sessions, REDIS),
    Keeper(f"{REDIS_SESSIONS}, appendfsync always", _redis_sessions, REDIS, FSYNC),
    Keeper("Flask's own cookies", lambda *_: None),
)


class Site:
    """An application with a cache, a memoized function and a cached page."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.app = Flask("bench")
        front = Cache(self.app, config={"CACHE_DEFAULT_TIMEOUT": 3600, **settings})
        self.backend = backend = self.app.extensions["cache"][front]
        self.get, self.set, self.add, self.inc = backend.get, backend.set, backend.add, backend.inc
        self.front_get = front.get

        self.computed: list[int] = []

        @front.memoize()
        def memoized(number: int) -> dict[str, Any]:
            self.computed.append(number)
            return {**VALUE, "id": number}

        @self.app.get("/<int:number>")
        @front.cached()
        def page(number: int) -> str:
            self.computed.append(number)
            return f"{number}".ljust(PAGE, "x")

        self.memoized = memoized
        self.visit = Caller(self.app)

    def get_many(self, keys: Sequence[str]) -> None:
        """Get all of the keys."""
        self.backend.get_many(*keys)

    def fill(self) -> None:
        """Store what the calls are to find; `RuntimeError` if it is not there then."""
        for key in ARTICLES:
            self.set(key, VALUE)
        for key in COUNTERS:
            self.set(key, 0)
        if self.get(ARTICLES[0]) != VALUE:
            raise RuntimeError("a value just set is not there")


class Caller:
    """Calls an application as a server does that has read a request."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._environments: dict[str, dict[str, Any]] = {}
        self.cookie = ""

    def __call__(self, path: str) -> list[tuple[str, str]]:
        """Ask for a page, read its body, and return its headers; `RuntimeError` if it is no page."""
        environment = self._environments.get(path)
        if environment is None:
            environment = self._environments[path] = EnvironBuilder(path).get_environ()
        head: list[Any] = []
        asked = environment | {"HTTP_COOKIE": self.cookie} if self.cookie else environment.copy()
        answer = self._app(asked, lambda status, headers, *_: head.extend((status, headers)))
        b"".join(answer)
        answer.close()  # type: ignore[attr-defined]
        status, headers = head
        if status != "200 OK":
            raise RuntimeError(f"{path} was answered with {status}")
        return list(headers)


def open_site(backend: Backend, folder: Path, stack: ExitStack) -> Site:
    address = stack.enter_context(backend.program.run()) if backend.program else NOWHERE
    folder.mkdir(mode=0o700)
    site = Site(backend.settings(folder, address))
    site.fill()
    return site


def session_site() -> Flask:
    """Make an application of two pages: one looks at the session, the other changes it."""
    app = Flask("bench")
    app.secret_key = "bench"

    @app.get("/look")
    def look() -> str:
        return str(session["count"])

    @app.get("/change")
    def change() -> str:
        session["count"] += 1
        return str(session["count"])

    @app.get("/begin")
    def begin() -> str:
        session.permanent = True  # as Flask-Session has it anyway: every request gives it its lifetime anew
        session.update(VISITOR)
        return ""

    return app


def open_visitor(keeper: Keeper, folder: Path, stack: ExitStack) -> Caller:
    folder.mkdir(mode=0o700)
    flags = [flag.format(folder=folder) for flag in keeper.flags]
    address = stack.enter_context(keeper.program.run(*flags)) if keeper.program else NOWHERE
    app = session_site()
    keeper.install(app, folder, address)
    visitor = Caller(app)
    (cookie,) = (value for name, value in visitor("/begin") if name == "Set-Cookie")
    visitor.cookie = cookie.partition(";")[0]
    visitor("/change")
    return visitor
