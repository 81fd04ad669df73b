"""The pages of the example answer, and what one worker cached or counted the other one has."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

Workers = list[HTTPConnection]

PAGES = [
    "/",
    "/search/",
    "/search/?q=reykjav%C3%ADk",
    "/search/?q=nowhere+at+all",
    "/search/?q=%3Cscript%3E",
    "/country/IS/",
    "/country/FJ/?page=2",
    "/country/US/?page=nonsense",
    "/airport/BIRK/",
    "/airport/NZSP/",
    "/airport/_AYM/",
    "/world/",
    "/note/",
    "/live/",
    "/cache/",
    "/cache/in-process/",
    "/cache/in-process/keys",
]


def fetch(connection: HTTPConnection, path: str) -> tuple[HTTPResponse, str]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response, response.read().decode()


def live_data(connection: HTTPConnection) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(fetch(connection, "/live/data.json")[1])
    return data


@pytest.mark.parametrize("path", PAGES)
def test_a_page_answers_the_same_cold_and_warm(workers: Workers, path: str) -> None:
    for connection in workers:
        response, body = fetch(connection, path)
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        assert body.count("<h1>") == 1
        assert "<script>" not in re.sub(r"<script>.*?</script>", "", body, flags=re.DOTALL)


@pytest.mark.parametrize("path", ["/airport/NONE/", "/country/QQ/", "/nothing/"])
def test_an_unknown_page_says_so(workers: Workers, path: str) -> None:
    response, body = fetch(workers[0], path)
    assert response.status == 404
    assert "No such destination" in body


def test_anywhere_leads_to_an_airport(workers: Workers) -> None:
    response, _ = fetch(workers[0], "/random/")
    assert response.status == 302
    assert fetch(workers[0], response.headers["Location"])[0].status == 200


@pytest.mark.parametrize("path", ["/search/?q=tromso", "/country/NO/?page=2", "/airport/ENTC/", "/world/?unseen"])
def test_what_one_worker_computed_is_warm_for_the_other(workers: Workers, path: str) -> None:
    timings = [fetch(connection, path)[0].headers["Server-Timing"] for connection in workers]
    assert [timing.split(";")[0] for timing in timings] == ["cold", "warm"]
    assert len({re.search(r"process (\d+)", timing)[1] for timing in timings}) == 2


def test_views_are_counted_across_workers(workers: Workers) -> None:
    bodies = [fetch(connection, "/airport/LOWI/")[1] for connection in workers * 3]
    assert [int(re.search(r'id="views">(\d+)<', body)[1]) for body in bodies] == [1, 2, 3, 4, 5, 6]


def test_a_page_of_a_country_has_its_airports(workers: Workers) -> None:
    first, second = (fetch(workers[0], f"/country/CH/?page={number}")[1] for number in (1, 2))
    codes = [re.findall(r'href="/airport/(\w+)/"', body) for body in (first, second)]
    assert [len(page) for page in codes] == [24, 24]
    assert not set(codes[0]) & set(codes[1])
    assert 'rel="next"' in first
    assert 'rel="prev"' in second


def test_live_data_has_the_figures_of_all_workers(workers: Workers) -> None:
    for connection in workers:
        fetch(connection, "/country/LU/")
    data = live_data(workers[0])
    assert set(data) >= {"stats", "latency", "process", "html"}
    assert set(data["stats"]) == {
        "store",
        "location",
        "entries",
        "size",
        "max_size",
        "hits",
        "misses",
        "hit_ratio",
        "evictions",
        "expirations",
        "processes",
        "lag",
    }
    assert data["stats"]["entries"] > 0
    assert 0 < data["stats"]["size"] <= data["stats"]["max_size"]
    assert data["stats"]["hit_ratio"] == pytest.approx(
        data["stats"]["hits"] / (data["stats"]["hits"] + data["stats"]["misses"])
    )
    last = data["latency"]["requests"][-2:]
    assert [one["path"] for one in last] == ["/country/LU/", "/country/LU/"]
    assert len({one["process"] for one in last}) == 2
    assert all(one["ms"] > 0 for one in last)
    assert data["html"].count("<rect class=") == len(data["latency"]["requests"])


def test_every_request_has_a_number_of_its_own(workers: Workers) -> None:
    before = live_data(workers[0])["latency"]["requests"]
    for connection in workers * 5:
        fetch(connection, "/airport/LSZH/")
    for connection in workers:
        after = live_data(connection)["latency"]
        newest = before[-1]["number"] if before else 0
        assert [one["number"] for one in after["requests"]][-10:] == list(range(newest + 1, newest + 11))
        assert after["lost"] == 0


def test_live_data_is_never_cached(workers: Workers) -> None:
    response, _ = fetch(workers[0], "/live/data.json")
    assert "no-store" in response.headers["Cache-Control"]
