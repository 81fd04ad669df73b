"""A store, a site with it, and a reader who asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from kt_cache.inspector import Access, Answer, Request, Site, Subject, respond
from kt_cache.stores import Store
from kt_cache.stores.embedded import EmbeddedStore
from kt_cache.stores.memory import MemoryStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import KTError
from tests.clock import Clock

EVERYTHING = Access(may_read=True, may_delete=True)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def embedded(tmp_path: Path, clock: Clock) -> Iterator[EmbeddedStore]:
    """Return an embedded store."""
    environment = Environment.open(tmp_path / "store", DatabaseOptions(max_size=4 << 20), clock=clock)
    yield EmbeddedStore(Database(environment))
    environment.close()


@pytest.fixture(params=["memory", "embedded"])
def store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    """Return a store of either kind: one that notes uses, and one that does not."""
    if request.param == "memory":
        return MemoryStore(clock=clock)
    store: Store = request.getfixturevalue("embedded")
    return store


class Reader:
    """Somebody who asks for pages of a site with one cache, ``main``."""

    def __init__(self, store: Store | KTError, access: Access = EVERYTHING) -> None:
        self._store = store
        self.access = access

    def _open(self, name: str) -> Subject:
        if isinstance(self._store, KTError):
            raise self._store
        return Subject(name, self._store, {"timeout": "300 s"})

    def ask(self, path: str = "", method: str = "GET", **parts: Any) -> Answer:
        """Ask for a path, which may have a query, with what a request may have besides."""
        place = urlsplit(path)
        parts = {"query": dict(parse_qsl(place.query)), "hidden": {"token": "a secret"}, **parts}
        request = Request(method=method, root="/of/caches/", path=place.path, **parts)
        return respond(request, Site(["main"], self._open), self.access)

    def get(self, page: str = "", /, **query: str) -> str:
        """Return a page about the cache."""
        answer = self.ask(f"main/{page}", query=query)
        assert answer.status == 200, answer.body
        return answer.body.decode()

    def post(self, page: str, /, **form: str) -> Answer:
        """Send a form about the cache."""
        return self.ask(f"main/{page}", "POST", form=form)

    def figures(self, **query: str) -> Any:
        """Return the figures."""
        return json.loads(self.get("figures.json", **query))


@pytest.fixture
def make_reader() -> Callable[..., Reader]:
    """Return what makes a reader of a store, or of one that cannot be opened."""
    return Reader


@pytest.fixture
def reader(store: Store) -> Reader:
    """Return somebody who may do everything."""
    return Reader(store)
