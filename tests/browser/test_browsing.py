"""Records found, shown and deleted in a real browser: by mouse, by keyboard alone, without scripts, however hostile."""

from __future__ import annotations

import pytest

from kt_cache.django import KTCache
from kt_cache.inspector.asking import encode_key
from tests.browser.chromium import Page
from tests.browser.visiting import HOSTILE, enter, fill, follow, text


def test_a_key_is_found_and_deleted_with_the_mouse(page: Page, site: str, cache: KTCache) -> None:
    fill(cache)
    page.open(site)
    follow(page, "tbody a")
    follow(page, ".tabs a[href$=keys]")
    page.click("#match")
    page.write(":1:user:7")
    follow(page, "form.search button")
    assert text(page, "tbody th") == ":1:user:7"
    follow(page, "tbody a")
    assert "pickle" in text(page, "table")
    follow(page, "form .danger, form button.danger")
    assert text(page, "[role=status]") == "1 record deleted."
    assert "user:7" not in cache
    assert len(cache.keys()) == 29
    assert page.complaints == []


def test_many_are_deleted_with_the_keyboard_alone(page: Page, site: str, cache: KTCache) -> None:
    fill(cache)
    cache.set("other", 1)
    page.open(f"{site}default/keys")
    page.tab_to("at.id === 'match'")
    page.write("*user:1*")
    enter(page)
    page.tab_to("at.textContent.startsWith('Delete all')")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    enter(page)
    assert "Delete 11 records?" in text(page, "h2")
    assert len(cache.keys()) == 31
    page.tab_to("at.tagName === 'BUTTON' && at.textContent === 'Delete 11 records'")
    page.leaving()
    page.press(" ")
    page.arrive()
    assert text(page, "[role=status]") == "11 records deleted."
    assert len(cache.keys()) == 20


def test_the_skip_link_comes_first_and_leads_to_the_content(page: Page, site: str, cache: KTCache) -> None:
    page.open(f"{site}default/keys")
    page.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    page.press("Enter")
    page.wait_for("location.hash === '#main'")


def test_pages_of_keys_are_turned(page: Page, site: str, cache: KTCache) -> None:
    fill(cache, 120)
    page.open(f"{site}default/keys")
    follow(page, "[rel=next]")
    follow(page, "[rel=next]")
    assert page.evaluate("document.querySelectorAll('tbody tr').length") == 20
    follow(page, "[rel=prev]")
    assert text(page, ".pages span").startswith("Page 2") or "Page 2" in text(page, ".pages")


def test_it_works_without_scripts(page: Page, site: str, cache: KTCache) -> None:
    fill(cache)
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(f"{site}default/")
    assert "needs JavaScript" in text(page, "#state")
    assert text(page, "#entries-value")
    page.open(f"{site}default/delete?match=%3A1%3Auser%3A2")
    page.click("form .danger")
    page.wait_for("document.querySelector('.message')")
    assert text(page, ".message") == "11 records deleted."
    assert len(cache.keys()) == 19


# -- hostile keys and values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["default/keys", "default/contents", "default/keys?match=%3Cscript%3Ewindow.hacked%3D1"]
)
def test_no_key_is_run(page: Page, site: str, hostile: KTCache, path: str) -> None:
    page.open(site + path)
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.complaints == []
    assert page.evaluate("document.querySelectorAll('img, main script, main svg[onload]').length") == 0


@pytest.mark.parametrize("key", HOSTILE[:-1], ids=repr)
def test_no_value_is_run(page: Page, site: str, hostile: KTCache, key: bytes) -> None:
    page.open(f"{site}default/value?key={encode_key(key)}")
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.complaints == []
    assert page.evaluate("document.querySelectorAll('pre').length") == 2


def test_a_key_that_no_address_can_hold_is_shown_and_deleted(page: Page, site: str, hostile: KTCache) -> None:
    page.open(f"{site}default/keys?match=kkk")
    follow(page, "tbody button.link")
    assert "10,000 bytes" in text(page, "table")
    follow(page, "form .danger")
    assert not hostile._store.exists(HOSTILE[-1])
