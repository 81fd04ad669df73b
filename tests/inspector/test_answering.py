"""What is answered: refusals, addresses, headers, and stores that fail."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from kt_cache.inspector import Access
from kt_cache.stores import AsyncStore, Store
from kt_cache.stores.memory import MemoryStore
from kt_cache.stores.tolerant import TolerantStore
from kt_core.errors import ConnectionFailed, KTError, Misconfigured, Timeout
from tests.inspector.conftest import Reader

MakeReader = Callable[..., Reader]

PAGES = ["main/", "main/contents", "main/keys", "main/value?key=aw", "main/delete?match=k"]


# -- permissions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT"])
@pytest.mark.parametrize("path", ["", "main", "none/", *PAGES, "main/figures.json"])
def test_who_may_not_read_sees_nothing(store: Store, path: str, method: str) -> None:
    store.set(b"k", b"v", None)
    reader = Reader(store, Access(False, False, "Sign in first."))
    answer = reader.ask(path, method, form={"key": "aw", "match": "k", "confirmed": "yes"})
    assert answer.status == 403
    assert b"Sign in first." in answer.body
    assert b"main" not in answer.body.replace(b"<main", b"").replace(b"</main", b"").replace(b"#main", b"").replace(
        b'id="main"', b""
    )
    assert store.exists(b"k") is True


def test_who_may_only_read_deletes_nothing(store: Store) -> None:
    store.set(b"k", b"v", None)
    reader = Reader(store, Access(True, False, "Ask somebody."))
    assert "Delete" not in reader.get("keys", match="k")
    assert "Delete" not in reader.get("value", key="aw")
    for answer in (
        reader.ask("main/delete", query={"match": "k"}),
        reader.post("delete", key="aw"),
        reader.post("delete", match="k", confirmed="yes"),
    ):
        assert answer.status == 403
        assert b"You may not delete anything" in answer.body
        assert b"Ask somebody." in answer.body
    assert store.exists(b"k") is True


def test_who_may_delete_is_shown_how(reader: Reader, store: Store) -> None:
    store.set(b"k", b"v", None)
    assert "Delete all that are like this" in reader.get("keys", match="k")
    assert "Delete all" not in reader.get("keys")
    assert "Delete this key" in reader.get("value", key="aw")


# -- addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["none/", "none", "main/none", "main/keys/", "main//", "/", "inspector.html", "../x"])
def test_there_is_nothing_elsewhere(reader: Reader, path: str) -> None:
    answer = reader.ask(path)
    assert answer.status == 404
    assert b"There is no such page" in answer.body


def test_a_missing_slash_is_added(reader: Reader) -> None:
    answer = reader.ask("main")
    assert (answer.status, answer.headers["Location"]) == (301, "/of/caches/main/")


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [("", "POST", "GET, HEAD"), ("main/", "POST", "GET, HEAD"), ("main/keys", "DELETE", "GET, HEAD"),
     ("main/delete", "PUT", "GET, HEAD, POST")],
)  # fmt: skip
def test_other_methods_are_refused(reader: Reader, path: str, method: str, allowed: str) -> None:
    answer = reader.ask(path, method)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


def test_head_is_answered(reader: Reader) -> None:
    assert all(reader.ask(path, "HEAD").status in (200, 404) for path in ["", *PAGES])


# -- headers and assets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "none", "main/figures.json", "inspector.js", *PAGES])
def test_nothing_may_come_from_elsewhere(reader: Reader, path: str) -> None:
    headers = reader.ask(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["", *PAGES])
def test_pages_have_nothing_inline_and_are_not_kept(reader: Reader, store: Store, path: str) -> None:
    store.set(b"k", b"v", None)
    answer = reader.ask(path)
    page = answer.body.decode()
    assert re.findall("<script[^>]*>([^<]*)</script>", page) == [""]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert re.findall(r'(?:src|href)="(?!/of/caches/|#|data:image/svg)([^"]*)"', page) == []
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("name", "kind"), [("inspector.css", "text/css"), ("inspector.js", "text/javascript")])
def test_assets_are_asked_for_anew_and_sent_once(store: Store, name: str, kind: str) -> None:
    reader = Reader(store, Access(False, False))
    answer = reader.ask(name)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(kind)
    assert b"http" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"")
    again = reader.ask(name, matches=f'W/"x", {answer.headers["ETag"]}')
    assert (again.status, again.body) == (304, b"")
    assert reader.ask(name, matches='"other"').status == 200


# -- stores that fail --------------------------------------------------------------------------------------


class Broken(MemoryStore):
    """A store of which nothing can be had."""

    def __init__(self, error: KTError) -> None:
        super().__init__()
        self._error = error

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattribute__(name)

        def method(*args: object, **kwargs: object) -> Any:
            raise self._error

        return method


ERRORS = [ConnectionFailed("refused <b>"), Timeout("too slow <b>"), Misconfigured("wrong <b>")]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("path", ["", *PAGES])
def test_a_store_that_fails_is_a_state_of_the_page(make_reader: MakeReader, path: str, error: KTError) -> None:
    for store in (Broken(error), error):
        answer = make_reader(store).ask(path)
        page = answer.body.decode()
        assert answer.status == 200
        assert "The store cannot be asked: " in page
        assert html.escape(str(error)) in page
        assert "no value under" not in page
        assert "No key is like that" not in page


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_figures_tell_of_the_failure(make_reader: MakeReader, error: KTError) -> None:
    for store in (Broken(error), error):
        assert make_reader(store).figures() == {"problem": f"The store cannot be asked: {error}"}


@pytest.mark.parametrize("path", PAGES)
def test_a_store_that_is_tolerated_is_not_taken_for_empty(make_reader: MakeReader, path: str) -> None:
    tolerant = TolerantStore(cast(AsyncStore, Broken(ConnectionFailed("refused"))))
    answer = make_reader(cast(Store, tolerant)).ask(path)
    assert answer.status == 200
    assert b"out of order" in answer.body


def test_a_deletion_that_fails_is_told(make_reader: MakeReader) -> None:
    answer = make_reader(Broken(ConnectionFailed("refused"))).post("delete", match="k", confirmed="yes")
    assert answer.status == 200
    assert b"The store cannot be asked: refused" in answer.body


def test_figures_that_are_not_known_are_null(make_reader: MakeReader) -> None:
    class Ignorant(MemoryStore):
        def stats(self) -> Any:
            return replace(super().stats(), evictions=None, expirations=None)

    sample = make_reader(Ignorant()).figures()["samples"][0]
    assert sample["evictions"] is None
    assert json.dumps(sample, allow_nan=False)
    assert "not known by this store" in make_reader(Ignorant()).get("")
