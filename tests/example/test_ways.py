"""The three ways to the cache of the example lead to the same records, and clients of Kyoto Tycoon see them, too."""

from __future__ import annotations

import os
import re
from http.client import HTTPConnection
from urllib.parse import urlencode

import pytest

from example_project.demo import connected
from example_project.server import serve
from kt_core import KyotoTycoon
from kt_core.kyoto import KT_NONE
from tests.example.test_pages import Workers, live_data

WAYS = ["in-process", "unix-socket", "tcp"]


def visit(connection: HTTPConnection, path: str, way: str) -> tuple[str, str]:
    """Return the body of a page asked for by somebody who chose a way, and whether it was cold or warm."""
    connection.request("GET", path, headers={"Cookie": f"way={way}"})
    response = connection.getresponse()
    return response.read().decode(), response.headers["Server-Timing"].partition(";")[0]


def test_a_visitor_chooses_a_way(workers: Workers) -> None:
    body = urlencode({"way": "unix-socket"})
    workers[0].request("POST", "/way/", body, {"Content-Type": "application/x-www-form-urlencoded"})
    response = workers[0].getresponse()
    response.read()
    assert (response.status, response.headers["Location"]) == (302, "/live/")
    assert re.match("way=unix-socket;", response.headers["Set-Cookie"])


@pytest.mark.parametrize("value", ["", "default", "tcp-measured", "somewhere"])
def test_what_is_no_way_is_not_taken(workers: Workers, value: str) -> None:
    workers[0].request("POST", "/way/", f"way={value}", {"Content-Type": "application/x-www-form-urlencoded"})
    response = workers[0].getresponse()
    response.read()
    assert response.status == 302
    assert "Set-Cookie" not in response.headers
    visit(workers[0], "/airport/LFPG/", value)
    assert live_data(workers[0])["latency"]["requests"][-1]["way"] == "in-process"


def test_a_page_made_one_way_is_warm_every_way(workers: Workers) -> None:
    seen = [visit(connection, "/airport/RJTT/", way)[1] for connection in workers for way in WAYS]
    assert seen == ["cold"] + ["warm"] * 5


def test_views_are_counted_whatever_the_way(workers: Workers) -> None:
    bodies = [visit(connection, "/airport/LOWS/", way)[0] for connection in workers for way in WAYS]
    assert [int(re.search(r'id="views">(\d+)<', body)[1]) for body in bodies] == [1, 2, 3, 4, 5, 6]


def test_requests_are_shown_by_their_way(workers: Workers) -> None:
    for way in WAYS:
        visit(workers[0], "/airport/LIRF/", way)
    data = live_data(workers[0])
    assert [one["way"] for one in data["latency"]["requests"]][-3:] == WAYS
    assert [way["alias"] for way in data["ways"]] == WAYS
    assert all(way["requests"]["requests"] > 0 for way in data["ways"])


def test_every_way_is_measured_and_the_figures_are_shown_to_all(workers: Workers) -> None:
    before = live_data(workers[0])["stats"]
    workers[0].request("GET", "/live/measure.json")
    assert workers[0].getresponse().read()
    data = live_data(workers[1])
    for way in data["ways"]:
        assert [call["name"] for call in way["calls"]] == ["get", "set", "incr", "get_many"]
        assert all(call["us"] > 0 for call in way["calls"])
    assert data["stats"]["hits"] - before["hits"] < 100, "the measuring is among the hits of the site"


def test_any_client_of_kyoto_tycoon_looks_into_the_site(workers: Workers) -> None:
    visit(workers[0], "/airport/EKCH/", "in-process")
    data = live_data(workers[0])
    for where in ({"port": int(data["port"])}, {"path": data["socket"]}):
        client = KyotoTycoon(serializer=KT_NONE, **where)
        assert client.get_int(":1:views:EKCH") == 1
        assert ":1:views:EKCH" in client.match_prefix(":1:views:")
        client.close()


def test_the_server_ends_with_the_site() -> None:
    with serve() as site, connected(site) as connections:
        data = live_data(connections[0])
        client = KyotoTycoon(port=int(data["port"]))
        server = client.report().process_id
        client.close()
        os.kill(server, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    assert not os.path.exists(data["socket"])
