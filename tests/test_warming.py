"""Asking for a site's own pages, and calling functions that fill a cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kt_cache.warming import FROM_CACHE, Visit, Visitor, read_targets, visit_all

called: list[str] = []


def fill() -> None:
    called.append("fill")


def fail() -> None:
    raise LookupError("nothing to fill it with")


class Body:
    """A page that notes that it was read and closed."""

    def __init__(self) -> None:
        self.read = self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"page"
        self.read = True

    def close(self) -> None:
        self.closed = True


class Application:
    """A site that notes what it is asked for."""

    def __init__(self, status: str = "200 OK", location: str | None = None, from_cache: bool | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.bodies: list[Any] = []
        self._answer = (status, [("Location", location)] if location else [])
        self._from_cache = from_cache

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        self.asked.append(environ)
        if self._from_cache is not None:
            environ[FROM_CACHE] = self._from_cache
        start_response(*self._answer)
        self.bodies.append(Body())
        return self.bodies[-1]


def visit(application: Any, target: str, base: str = "https://www.example.org", **headers: str) -> Visit:
    return Visitor(application, base, headers)(target)


def test_a_page_is_asked_for_as_visitors_do() -> None:
    application = Application()
    found = visit(application, "/a%20b/ä?q=ü&x=%2F", Accept_Language="de")
    assert (found.is_well, found.outcome, found.from_cache) == (True, "200", None)
    (asked,) = application.asked
    assert asked["REQUEST_METHOD"] == "GET"
    assert asked["wsgi.url_scheme"] == "https"
    assert (asked["HTTP_HOST"], asked["SERVER_NAME"], asked["SERVER_PORT"]) == (
        "www.example.org",
        "www.example.org",
        "443",
    )
    assert asked["PATH_INFO"].encode("latin-1").decode() == "/a b/ä"
    assert asked["QUERY_STRING"] == "q=%C3%BC&x=%2F"
    assert asked["HTTP_ACCEPT_LANGUAGE"] == "de"


def test_a_page_is_read_to_its_end_and_closed() -> None:
    application = Application()
    visit(application, "/")
    assert application.bodies[0].read
    assert application.bodies[0].closed


def test_an_address_may_be_whole() -> None:
    application = Application()
    visit(application, "http://other.example:8000/page/")
    (asked,) = application.asked
    assert asked["wsgi.url_scheme"] == "http"
    assert (asked["HTTP_HOST"], asked["SERVER_NAME"], asked["SERVER_PORT"]) == (
        "other.example:8000",
        "other.example",
        "8000",
    )


@pytest.mark.parametrize("from_cache", [True, False])
def test_a_site_may_say_whether_a_page_was_cached(from_cache: bool) -> None:
    assert visit(Application(from_cache=from_cache), "/").from_cache is from_cache


@pytest.mark.parametrize(
    ("status", "location", "expected"),
    [
        ("304 Not Modified", None, (True, "304")),
        ("301 Moved", "/page/", (True, "301 to /page/")),
        ("404 Not Found", None, (False, "404")),
        ("500 Error", None, (False, "500")),
    ],
)
def test_a_status_tells_whether_it_went_well(status: str, location: str | None, expected: tuple[bool, str]) -> None:
    found = visit(Application(status, location), "/")
    assert (found.is_well, found.outcome) == expected


def test_what_a_site_raises_is_what_came_of_it() -> None:
    def application(environ: object, start_response: object) -> Any:
        raise ValueError("out of order")

    found = visit(application, "/")
    assert (found.is_well, found.outcome) == (False, "ValueError: out of order")


def test_a_function_is_called() -> None:
    called.clear()
    found = visit(Application(), f"{__name__}.fill")
    assert (found.is_well, found.outcome, called) == (True, "done", ["fill"])


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        (f"{__name__}.fail", "LookupError: nothing to fill it with"),
        ("nowhere.fill", "ModuleNotFoundError: No module named 'nowhere'"),
        ("page/", "InvalidInput: write /page/ for a page, or the dotted.path of a function"),
    ],
)
def test_a_function_that_fails_is_told(name: str, outcome: str) -> None:
    found = visit(Application(), name)
    assert not found.is_well
    assert found.outcome.startswith(outcome)


def test_targets_come_in_their_order_however_many_workers() -> None:
    barrier = threading.Barrier(3)

    def meet(target: str) -> Visit:
        barrier.wait(30)  # all three are under way at once
        return Visit(target, True, "", 0.0)

    assert [each.target for each in visit_all("abcdef", meet, 3)] == list("abcdef")


def test_a_file_may_have_comments() -> None:
    assert read_targets(["# pages", "/a/\n", "", "  /b/#part  ", "site.fill # prices"]) == [
        "/a/",
        "/b/#part",
        "site.fill",
    ]
