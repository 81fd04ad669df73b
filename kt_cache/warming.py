"""Filling a cache before visitors come: a site's own pages are asked for in this very process, through all of it.

A page is kept under its address and what it varies by, so it is asked for as visitors do: by the site's public
scheme and host, and with the headers that matter. Besides pages, functions may be named that fill a cache themselves.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit
from wsgiref.util import setup_testing_defaults

from kt_core.errors import InvalidInput

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

FROM_CACHE: Final = "kt_cache.from_cache"
"""The key of a request's environment under which a site's framework says whether the page came from the cache."""

_NAME: Final = re.compile(r"\w+(?:[.:]\w+)+")
_PORTS: Final = {"http": "80", "https": "443"}
_IN_URLS: Final = "!$&'()*+,;=:@/?%~"


class Visit(NamedTuple):
    """What came of a page or a function: whether it went well, how it ended, the seconds it took.

    `from_cache` is None for a page that no cache has to do with.
    """

    target: str
    is_well: bool
    outcome: str
    seconds: float
    from_cache: bool | None = None


def read_targets(lines: Iterable[str]) -> list[str]:
    """Return the targets that stand in lines of their own, without comments."""
    texts = (line.partition(" #")[0].strip() for line in lines)
    return [text for text in texts if text and not text.startswith("#")]


def visit_all(targets: Iterable[str], visit: Callable[[str], Visit], workers: int) -> Iterator[Visit]:
    """Yield what comes of the targets, in their order, some of them visited at a time."""
    with ThreadPoolExecutor(workers, thread_name_prefix="kt-warm") as pool:
        yield from pool.map(visit, targets)


class Visitor:
    """Visits pages of a WSGI application; `base` is the site's public address: a scheme and a host."""

    def __init__(self, application: WSGIApplication, base: str, headers: Mapping[str, str]) -> None:
        self._application = application
        self._base = urlsplit(base)
        self._headers = headers

    def __call__(self, target: str) -> Visit:
        start = perf_counter()
        try:
            if target.startswith("/") or "://" in target:
                is_well, outcome, from_cache = self._ask_for(target)
            else:
                _function(target)()
                is_well, outcome, from_cache = True, "done", None
        # Whatever the site's own code raises is what came of it.
        except Exception as error:
            is_well, outcome, from_cache = False, f"{type(error).__name__}: {error}", None
        return Visit(target, is_well, outcome, perf_counter() - start, from_cache)

    def _ask_for(self, target: str) -> tuple[bool, str, bool | None]:
        environ = self._environ(target)
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
            answer[:] = [status, dict(headers)]
            return lambda _: None

        body: Any = self._application(environ, start_response)
        with closing(body) if hasattr(body, "close") else nullcontext():
            for _ in body:
                pass
        status, headers = answer
        code = int(status.split()[0])
        to = f" to {headers['Location']}" if "Location" in headers else ""
        return code < 400, f"{code}{to}", environ.get(FROM_CACHE)

    def _environ(self, target: str) -> WSGIEnvironment:
        url = urlsplit(target)
        scheme = url.scheme or self._base.scheme
        host = url.netloc or self._base.netloc
        name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdecimal() else (host, "", "")
        environ: WSGIEnvironment = {
            "wsgi.url_scheme": scheme,
            "HTTP_HOST": host,
            "SERVER_NAME": name,
            "SERVER_PORT": port or _PORTS.get(scheme, "80"),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "PATH_INFO": unquote_to_bytes(url.path or "/").decode("latin-1"),
            "QUERY_STRING": quote(url.query, safe=_IN_URLS),
        }
        environ |= {f"HTTP_{header.upper().replace('-', '_')}": value for header, value in self._headers.items()}
        setup_testing_defaults(environ)
        return environ


def _function(name: str) -> Callable[[], object]:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"write /{name} for a page, or the dotted.path of a function")
    function: Callable[[], object] = pkgutil.resolve_name(name)
    return function
