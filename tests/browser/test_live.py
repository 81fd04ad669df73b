"""The live page in a real browser: figures and charts, by mouse and by keyboard, and when there is nothing to see."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from kt_cache.django import KTCache
from kt_cache.inspector.figures import OWN_HITS, OWN_MISSES, look
from tests.browser.chromium import Page
from tests.browser.visiting import HURRY, IS_LIVE, REFRESH, fill, open_live, text
from tests.server.running import serving

Configure = Callable[..., None]


def test_figures_follow_the_traffic(page: Page, site: str, cache: KTCache) -> None:
    open_live(page, site)
    before = page.evaluate("document.getElementById('entries-value').textContent")
    fill(cache)
    for number in range(40):
        cache.get(f"user:{number}")
    page.wait_for(f"document.getElementById('entries-value').textContent !== {json.dumps(before)}")
    page.wait_for("document.getElementById('ratio-value').textContent === '75.0 %'")
    assert float(text(page, "#reads-value").replace(",", "")) > 0
    assert text(page, "#reads-note") == "40 in all"
    assert page.complaints == []


def test_an_evicted_count_of_the_own_reads_is_no_traffic(page: Page, site: str, cache: KTCache) -> None:
    for _ in range(50):
        look(cache._store)
    open_live(page, site)
    page.evaluate(HURRY)
    page.wait_for("document.getElementById('reads-value').textContent === '0'")
    cache._store.delete_many([OWN_HITS, OWN_MISSES])
    page.wait_for("document.getElementById('reads-note').textContent !== '0 in all'")
    assert text(page, "#reads-value") == "0"


def test_charts_have_lines_axes_and_units(page: Page, site: str, cache: KTCache) -> None:
    fill(cache)
    open_live(page, site)
    page.evaluate(HURRY)
    page.wait_for("document.querySelectorAll('[data-chart=entries] .line')[0]?.getAttribute('d').includes('L')")
    labels = page.evaluate(
        "[...document.querySelectorAll('[data-chart=latency] svg text')].map(text => text.textContent)"
    )
    assert labels[0] == "0 µs"
    assert labels[-1] == "now"
    assert labels[-2].endswith(" s ago")
    assert len(page.evaluate("[...document.querySelectorAll('[data-chart=latency] .line')].map(line => 1)")) == 2


def test_a_chart_without_reads_says_so(page: Page, site: str, cache: KTCache) -> None:
    open_live(page, site)
    page.evaluate(HURRY)
    page.wait_for("document.querySelector('[data-chart=ratio] .plot p').textContent.startsWith('Nothing was read')")


def test_a_chart_is_read_with_the_mouse(page: Page, site: str, cache: KTCache) -> None:
    fill(cache)
    open_live(page, site)
    page.wait_for("document.querySelector('[data-chart=entries] .line')")
    page.hover("[data-chart=entries] svg", 0.99)
    page.wait_for("/\\d:\\d\\d/.test(document.querySelector('[data-chart=entries] .reading').textContent)")
    assert page.evaluate("document.querySelectorAll('[data-chart=entries] circle').length") == 1
    assert text(page, "#reading") == ""


def test_a_chart_is_read_with_the_keyboard(page: Page, site: str, cache: KTCache) -> None:
    fill(cache)
    open_live(page, site)
    page.wait_for("document.querySelector('[data-chart=entries] .line')")
    page.tab_to("at.closest('[data-chart=entries]')")
    page.press("ArrowLeft")
    told = page.evaluate("document.getElementById('reading').textContent")
    assert told == page.evaluate("document.querySelector('[data-chart=entries] .reading').textContent")
    assert ":" in told
    page.press("Home")
    page.press("End")
    page.wait_for("document.querySelector('[data-chart=entries] circle')")


def test_it_can_be_paused(page: Page, site: str, cache: KTCache) -> None:
    open_live(page, site)
    page.click("#pause")
    assert text(page, "#pause") == "Go on"
    assert text(page, "#state") == "Paused."
    fill(cache)
    page.evaluate(REFRESH)
    page.click("#pause")
    page.wait_for("Number(document.getElementById('entries-value').textContent) > 30")
    assert text(page, "#pause") == "Pause"


def test_it_pauses_while_it_is_hidden(page: Page, site: str, cache: KTCache) -> None:
    open_live(page, site)
    page.evaluate(HURRY)
    page.evaluate(f"Object.defineProperty(document, 'hidden', {{value: true, configurable: true}}); {REFRESH}")
    page.evaluate("new Promise(resolve => setTimeout(resolve, 2000))")
    asked = len(page.requested)
    page.evaluate("new Promise(resolve => setTimeout(resolve, 6000))")
    assert len(page.requested) == asked
    page.evaluate(f"delete document.hidden; {REFRESH}")
    page.wait_for(f"performance.getEntriesByType('resource').length > {asked - 1}")


def test_the_live_region_is_not_chatty(page: Page, site: str, cache: KTCache) -> None:
    open_live(page, site)
    page.evaluate(
        "window.said = 0; new MutationObserver(() => said++).observe(document.getElementById('state'), "
        "{childList: true, characterData: true, subtree: true})"
    )
    page.evaluate(HURRY)
    page.evaluate("new Promise(resolve => setTimeout(resolve, 8000))")
    assert page.evaluate("said") == 0


def test_a_history_is_there_at_once(page: Page, site: str, cache: KTCache) -> None:
    open_live(page, site)
    page.evaluate(HURRY)
    page.wait_for("document.querySelector('[data-chart=size] .line')")
    open_live(page, site)
    assert page.evaluate(
        "performance.getEntriesByType('resource').filter(one => one.name.includes('history=1')).length"
    )


def test_a_server_that_goes_away_is_a_state(page: Page, configure: Configure, site: str, tmp_path: Path) -> None:
    socket = f"{tmp_path}/socket"
    location = f"kt+unix://{socket}"
    configure({"server": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": location}})
    with serving("*", port=None, sock=socket):
        page.open(f"{site}server/")
        page.wait_for(IS_LIVE)
        assert "not known by this store" in text(page, "#evictions-value")
    page.evaluate(REFRESH)
    page.wait_for("document.getElementById('state').className === 'bad'")
    assert "The store cannot be asked" in text(page, "#state")
    page.open(f"{site}server/")
    page.wait_for("document.getElementById('state').className === 'bad'")
    assert page.evaluate("document.querySelectorAll('.problem').length") == 0
    with serving("*", port=None, sock=socket):
        page.evaluate(REFRESH)
        page.wait_for(IS_LIVE)
    page.open(f"{site}server/keys")
    assert "The store cannot be asked" in text(page, "[role=alert]")
