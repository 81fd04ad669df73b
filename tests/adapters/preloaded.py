"""A WSGI application that has used its cache before the workers are forked, and counts requests in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="for tests alone",
    CACHES={"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": os.environ["CACHE_LOCATION"]}},
)

from django.core.cache import cache  # noqa: E402 - it reads the settings

cache.set("requests", 0, None)
cache.set("loaded in", os.getpid())


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the number of this request, the worker, and the process that loaded the application."""
    number = cache.incr("requests")
    cache.set(f"by {os.getpid()}", number)
    body = f"{number} {os.getpid()} {cache.get('loaded in')}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
