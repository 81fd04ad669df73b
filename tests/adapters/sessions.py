"""What the tests of sessions need: places to keep them, ways to call them, and a user."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from django.contrib.sessions.backends.base import SessionBase
from django.db import models
from django.test import override_settings

from kt_cache.django.sessions import SessionStore
from kt_core.database import Environment

Call: TypeAlias = Callable[..., Any]


@contextmanager
def sessions_at(location: str, **entry: Any) -> Iterator[None]:
    """Keep sessions beside a cache while the context lasts."""
    default = {"BACKEND": "kt_cache.django.KTCache", "LOCATION": location, **entry}
    with override_settings(CACHES={"default": default}, SESSION_ENGINE="kt_cache.django.sessions"):
        yield


@contextmanager
def embedded_sessions(directory: Path, **entry: Any) -> Iterator[None]:
    """Keep sessions beside a cache in a directory, and close it in the end."""
    options = {"max_size": 4 << 20, **entry.pop("OPTIONS", {})}
    with sessions_at(f"embedded://{directory}/cache", OPTIONS=options, **entry):
        try:
            yield
        finally:
            Environment.close_below(directory)


def waiting(session: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(session, method)(*args, **kwargs)


def awaited(session: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return asyncio.run(getattr(session, f"a{method}")(*args, **kwargs))


def stored(call: Call = waiting, **items: Any) -> SessionStore:
    """Return a new session with these items, stored."""
    session = SessionStore()
    session.update(items)
    call(session, "save")
    return session


def again(session: SessionBase) -> SessionStore:
    """Return the session as another request has it."""
    return SessionStore(session.session_key)


class PickleSerializer:
    """What a project writes that has more than JSON in its sessions."""

    def dumps(self, data: Any) -> bytes:
        return pickle.dumps(data)

    def loads(self, content: bytes) -> Any:
        return pickle.loads(content)


class User(models.Model):
    """A user whose id is not a number."""

    id = models.UUIDField(primary_key=True)

    class Meta:
        app_label = "tests"
