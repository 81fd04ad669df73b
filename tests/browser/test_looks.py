"""What the pages look like, and to whom: in the dark, on a phone, to a screen reader, to nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kt_cache.django import KTCache
from kt_cache.inspector.asking import encode_key
from tests.browser.chromium import Page
from tests.browser.visiting import IS_LIVE, TABS, fill, text

Configure = Callable[..., None]


@pytest.mark.parametrize("path", TABS)
def test_pages_are_quiet_and_ask_nobody_else(page: Page, site: str, cache: KTCache, path: str) -> None:
    fill(cache)
    page.open(site + path)
    if path == "default/":
        page.wait_for(IS_LIVE)
    assert page.complaints == []
    asked = [url for url in page.requested if not url.startswith("data:")]
    assert all(url.startswith(site) for url in asked), asked
    assert f"{site}inspector.css" in asked


CONTRAST = """
(() => {
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(one => one / 255)
    .map(one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = element => {
    for (; element; element = element.parentElement) {
      const color = parts(getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    if (element.closest("[hidden], .away, svg, script")) continue;
    const [one, other] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) poor.push(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`);
  }
  return [...new Set(poor)];
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", [*TABS, "default/delete?match=%3A1", "default/nowhere"])
def test_texts_can_be_read(page: Page, site: str, cache: KTCache, path: str, dark: bool) -> None:
    fill(cache)
    page.view(1280, 800, dark=dark)
    page.open(site + path)
    assert page.evaluate(CONTRAST) == []
    brightness = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (brightness < 60) is dark


@pytest.mark.parametrize("path", [*TABS, "default/delete?match=%3A1", f"default/value?key={encode_key(b'v' * 300)}"])
def test_a_phone_need_not_scroll_sideways(page: Page, site: str, hostile: KTCache, path: str) -> None:
    fill(hostile)
    hostile._store.set(b"v" * 300, b"\x00" + b"long" * 500, None)
    page.view(390, 844, phone=True)
    page.open(site + path)
    if path == "default/":
        page.wait_for(IS_LIVE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("path", TABS)
def test_everything_has_a_name(page: Page, site: str, cache: KTCache, path: str) -> None:
    """What can be used or read has a name for whoever does not see it."""
    fill(cache)
    page.open(site + path)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {"link", "button", "textbox", "checkbox", "heading", "img", "columnheader", "rowheader"}
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored")
        and node.get("role", {}).get("value") in named
        and not node.get("name", {}).get("value", "").strip()
    ]
    assert nameless == []


def test_who_may_not_look_is_told_so(page: Page, configure: Configure, site: str) -> None:
    configure(KT_INSPECTOR_READ=lambda request: False)
    for path in TABS:
        page.open(site + path)
        assert "You may not look at the caches" in text(page, "h1")
        assert "403" in text(page, "main")
        assert page.evaluate("getComputedStyle(document.querySelector('.top')).borderBottomStyle") == "solid"
