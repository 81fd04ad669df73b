"""The pages: what they show, of any key and value, and how much is deleted."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from urllib.parse import unquote

import pytest

from kt_cache.inspector import Access, Request, Site, Subject, respond
from kt_cache.inspector.asking import encode_key
from kt_cache.inspector.figures import HISTORY
from kt_cache.stores import Store
from kt_cache.stores.embedded import EmbeddedStore
from tests.clock import Clock
from tests.inspector.conftest import Reader

MakeReader = Callable[..., Reader]

PAGES = ["main/", "main/contents", "main/keys", "main/value?key=aw", "main/delete?match=k"]

HOSTILE = {
    "markup": b"<script>alert(1)</script>",
    "an attribute": b"\"' onmouseover=alert(1) x='",
    "control characters": b"\x00\n\r\x1b[31m\x7f",
    "not UTF-8": b"\xff\xfe\x80",
    "turned around": "\u202egnp.exe".encode(),
    "empty": b"",
    "ten kB": b"k" * 10_000,
    "an entity": b"&lt;b&gt;&#x41;",
    "a template": b"$title ${main} {{ x }} {% x %}",
    "an address": b"../../?a=b&c#d%00",
}
hostile = pytest.mark.parametrize("key", HOSTILE.values(), ids=HOSTILE.keys())


def text_of(page: str) -> str:
    """Return what a page says, without its elements."""
    return html.unescape(re.sub("<[^>]*>", "", page))


# -- pages -------------------------------------------------------------------------------------------------


def test_the_first_page_has_every_cache(reader: Reader, store: Store) -> None:
    store.set(b"k", b"v", None)
    page = reader.ask("").body.decode()
    assert 'href="/of/caches/main/"' in page
    assert store.stats().store in page


def test_the_live_page_has_figures_and_settings(reader: Reader, store: Store) -> None:
    store.set(b"k", b"v", None)
    store.get(b"k")
    page = text_of(reader.get(""))
    assert "100.0 %" in page
    assert store.stats().location in page
    assert "300 s" in page
    assert "32 reads" in page


def test_figures_come_with_a_history_if_asked_for(reader: Reader) -> None:
    first = reader.figures(history="1")
    again = reader.figures()
    assert first["problem"] is None
    assert len(first["samples"]) == len(again["samples"]) == 1
    assert len(reader.figures(history="1")["samples"]) == 2
    assert set(first["stats"]) >= {"entries", "size", "hits", "misses", "hit_ratio", "processes", "evictions"}
    assert set(first["latency"]) == {"median", "slow", "slowest"}


def test_the_contents_are_told(reader: Reader, store: Store) -> None:
    for number in range(20):
        store.set(b"user:%d" % number, b"v" * 100, 30)
    page = reader.get("contents")
    assert 'href="/of/caches/main/contents?match=user%3A"' in page
    assert "All 20 records were looked at" in page
    assert ("not known by this store" in page) is not isinstance(store, EmbeddedStore)


@pytest.mark.parametrize("order", ["size", "records", "nonsense", "__class__"])
def test_the_contents_are_sorted_as_asked(reader: Reader, store: Store, order: str) -> None:
    for number in range(30):
        store.set(b"many:%d" % number, b"v", None)
    for number in range(3):
        store.set(b"large:%d" % number, b"v" * 1000, None)
    page = reader.get("contents", order=order)
    large, many = page.index("match=large%3A"), page.index("match=many%3A")
    assert (large < many) is (order != "records")


def test_the_contents_are_sorted_by_use_where_that_is_known(embedded: EmbeddedStore, clock: Clock) -> None:
    for number in range(30):
        embedded.set(b"old:%d" % number, b"v", None)
    clock.seconds = time.time()
    for number in range(10):
        embedded.set(b"young:%d" % number, b"v", None)
    page = Reader(embedded).get("contents", order="recent")
    assert page.index("match=young%3A") < page.index("match=old%3A")


def test_keys_are_listed_with_their_sizes(reader: Reader, store: Store) -> None:
    store.set(b"user:1", b"v" * 2000, 90)
    store.set(b"other", b"v", None)
    page = reader.get("keys", match="user:")
    assert "2.0 KiB" in page
    assert "1 min" in page
    assert "other" not in page
    assert f'href="/of/caches/main/value?key={encode_key(b"user:1")}"' in page


def test_keys_come_page_by_page(reader: Reader, store: Store) -> None:
    store.set_many({b"%03d" % number: b"v" for number in range(120)}, None)
    first, second = reader.get("keys"), reader.get("keys", page="2")
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    assert 'rel="prev"' in second
    assert ">049<" in first
    assert ">050<" in second


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999999999999", "1e3", "²"])
def test_a_page_that_is_none_is_no_fault(reader: Reader, page: str) -> None:
    assert reader.get("keys", page=page)


def test_our_own_are_listed_if_asked_for(reader: Reader) -> None:
    reader.figures()
    assert "history" not in reader.get("keys")
    assert "history" in reader.get("keys", own="1")
    assert "history" in reader.get("value", key=encode_key(HISTORY))


def test_a_value_is_told(reader: Reader, store: Store) -> None:
    store.set(b"k", b'\x10{"a": 1}', 90)
    page = text_of(reader.get("value", key=encode_key(b"k")))
    assert '"a": 1' in page
    assert "json" in page
    assert "Time left1 min" in page


def test_a_value_that_is_not_there_is_not_found(reader: Reader) -> None:
    answer = reader.ask("main/value", query={"key": "aw"})
    assert answer.status == 404
    assert b"no value under this key" in answer.body


def test_an_alias_may_have_any_name(store: Store) -> None:
    names = ["a", "a/b <c>", "100%", "100%25"]
    site = Site(names, lambda name: Subject(name, store, {}))
    access = Access(True, True)
    for name in names:
        page = respond(Request("GET", "/c/", f"{name}/keys"), site, access).body.decode()
        assert f"<h1>{html.escape(name)}</h1>" in page
    links = re.findall('href="/c/([^"]+)/"', respond(Request("GET", "/c/", ""), site, access).body.decode())
    assert {unquote(link) for link in links} == set(names)
    assert "a%2Fb%20%3Cc%3E" in links


# -- keys of any kind --------------------------------------------------------------------------------------


@hostile
def test_any_key_is_listed_shown_and_deleted(reader: Reader, store: Store, key: bytes) -> None:
    store.set(key, b"\x00value", None)
    for page in (reader.get("keys"), reader.get("contents")):
        assert "<script>alert" not in page
        assert "onmouseover=alert(1) x=" not in page or "&#x27; onmouseover" in page
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", page)
    encoded = encode_key(key)
    if len(encoded) < 2000:
        assert f"value?key={encoded}" in reader.get("keys")
        page = reader.get("value", key=encoded)
    else:
        assert f'value="{encoded}"' in reader.get("keys")
        page = reader.post("value", key=encoded).body.decode()
    assert "value" in text_of(page)
    assert "<script>alert" not in page
    assert reader.post("delete", key=encoded).status == 303
    assert store.exists(key) is False


@hostile
def test_any_value_is_shown(reader: Reader, store: Store, key: bytes) -> None:
    for number, head in enumerate((b"", b"\x00", b"\x10", b"\x20", b"\x30", b"\x70")):
        store.set(b"%d" % number, head + key, None)
        page = reader.get("value", key=encode_key(b"%d" % number))
        assert "<script>alert" not in page
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", page)


@hostile
def test_any_prefix_can_be_looked_into(reader: Reader, store: Store, key: bytes) -> None:
    for number in range(10):
        store.set(key[:100] + b":%d" % number, b"v", None)
    links = re.findall(r'href="/of/caches/(main/contents\?(?:match|under)=[^"#]*)"', reader.get("contents"))
    assert links
    answer = reader.ask(html.unescape(links[0]))
    assert answer.status == 200
    assert b"All 10 records" in answer.body
    listed = re.search(r'href="/of/caches/(main/keys\?[^"]*)">the keys<', answer.body.decode())
    assert listed is not None
    assert reader.ask(html.unescape(listed[1])).body.decode().count("<tr>") == 1 + 10


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\x00", "\ud800", "*" * 5000, "[" * 1000, "\\"])
def test_anything_can_be_looked_for(reader: Reader, text: str) -> None:
    assert "<script>alert" not in reader.get("keys", match=text)
    assert "<script>alert" not in reader.get("delete", match=text)


# -- deleting ----------------------------------------------------------------------------------------------


def test_deleting_many_is_asked_about_first(reader: Reader, store: Store) -> None:
    store.set_many({b"a%d" % number: b"v" for number in range(12)} | {b"b": b"v"}, None)
    page = reader.get("delete", match="a*")
    assert "Delete 12 records?" in page
    assert 'name="confirmed" value="yes"' in page
    assert 'name="token" value="a secret"' in page
    assert len(store.keys()) == 13
    assert reader.post("delete", match="a*").status == 200
    assert len(store.keys()) == 13
    answer = reader.post("delete", match="a*", confirmed="yes")
    assert answer.status == 303
    assert answer.headers["Location"] == "/of/caches/main/keys?match=a%2A&deleted=12"
    assert store.keys() == [b"b"]
    assert "12 records deleted." in reader.get("keys", deleted="12")


def test_asking_does_not_delete(reader: Reader, store: Store) -> None:
    store.set(b"a", b"v", None)
    reader.ask("main/delete?match=a&confirmed=yes&key=YQ", form={"match": "a", "confirmed": "yes", "key": "YQ"})
    assert store.exists(b"a") is True


def test_one_key_is_deleted_at_once(reader: Reader, store: Store) -> None:
    store.set_many({b"a": b"v", b"ab": b"v"}, None)
    assert reader.post("delete", key=encode_key(b"a")).headers["Location"].endswith("/keys?deleted=1")
    assert reader.post("delete", key=encode_key(b"a")).headers["Location"].endswith("/keys?deleted=0")
    assert store.keys() == [b"ab"]


def test_nothing_chosen_is_not_everything(reader: Reader, store: Store) -> None:
    store.set(b"a", b"v", None)
    for form in ({}, {"confirmed": "yes"}, {"match": "", "confirmed": "yes"}, {"own": "1", "confirmed": "yes"}):
        assert reader.post("delete", **form).status == 400
    assert store.exists(b"a") is True


@pytest.mark.parametrize("form", [{"key": "a"}, {"under": "a", "confirmed": "yes"}, {"key": "ü"}])
def test_what_is_no_key_is_refused(reader: Reader, form: dict[str, str]) -> None:
    assert reader.post("delete", **form).status == 400


@pytest.mark.parametrize("query", [{}, {"key": "a"}])
def test_a_value_needs_a_key(reader: Reader, query: dict[str, str]) -> None:
    assert reader.ask("main/value", query=query).status == 400


@pytest.mark.parametrize("deleted", ["<b>", "-1", "9" * 100, ""])
def test_only_a_number_is_told_as_deleted(reader: Reader, deleted: str) -> None:
    assert "deleted." not in reader.get("keys", deleted=deleted)
