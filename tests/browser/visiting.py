"""What every visitor of the inspector does, and what there is for it to see."""

from __future__ import annotations

import json

from kt_cache.django import KTCache
from tests.browser.chromium import Page

TABS = ["", "default/", "default/contents", "default/keys", "default/keys?match=user"]

# The timers of the page run twenty times as fast, so that nobody waits.
HURRY = "(real => { window.setTimeout = (work, wait) => real(work, wait / 20); })(window.setTimeout)"
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"
IS_LIVE = "document.getElementById('state').textContent.startsWith('Live')"

HOSTILE = [
    b"<script>window.hacked = 1</script>",
    b"<img src=x onerror='window.hacked = 1'>",
    b"\"><svg onload='window.hacked = 1'>",
    b"javascript:window.hacked=1",
    b"\x00\x01\n\r\x7f",
    b"\xff\xfe\xfd",
    "\u202egnp.exe".encode(),
    b"",
    b"k" * 10_000,
]


def fill(cache: KTCache, count: int = 30) -> None:
    for number in range(count):
        cache.set(f"user:{number}", "x" * 100, 600)


def open_live(page: Page, site: str) -> None:
    page.open(f"{site}default/")
    page.wait_for(IS_LIVE)


def text(page: Page, selector: str) -> str:
    found: str = page.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
    return found


def follow(page: Page, selector: str) -> None:
    """Click on what leads to another page, and wait for that."""
    page.leaving()
    page.click(selector)
    page.arrive()


def enter(page: Page) -> None:
    """Press Enter on what leads to another page, and wait for that."""
    page.leaving()
    page.press("Enter")
    page.arrive()
