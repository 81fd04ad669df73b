"""The pages of Flask's site, the trip in a session, and what is computed only once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from example_project.flask_app import create_app, trip
from kt_cache.flask.aliases import caches_of

PAGES = [
    "/",
    "/search/",
    "/search/?q=reykjav%C3%ADk",
    "/search/?q=nowhere+at+all",
    "/search/?q=%3Cscript%3E",
    "/airport/BIRK/",
    "/airport/NZSP/",
    "/airport/_AYM/",
    "/world/",
    "/trip/",
    "/note/",
]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """Return the site on an empty cache."""
    app = create_app(f"embedded://{tmp_path}/cache?max_size=4MiB")
    yield app
    caches_of(app)["default"].store.close()
    app.extensions["kt_cache.sessions"].store.close()


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    """Return a browser."""
    return app.test_client()


def state(response: TestResponse) -> str:
    """Return whether a page was cold or warm."""
    return response.headers["Server-Timing"].partition(";")[0]


def send(visitor: FlaskClient, path: str, **fields: object) -> str:
    """Send a form; return the page that follows."""
    response = visitor.post(path, data=fields, follow_redirects=True)
    assert response.status_code == 200
    return response.text


def stops(body: str) -> list[str]:
    """Return the codes of the airports of a trip, as its page shows them."""
    _, _, listed = body.partition('<ol class="stops">')
    return re.findall(r'href="/airport/(\w+)/"', listed)


class TestPages:
    @pytest.mark.parametrize("path", PAGES)
    def test_a_page_answers_the_same_cold_and_warm(self, visitor: FlaskClient, path: str) -> None:
        bodies = []
        for _ in range(2):
            response = visitor.get(path)
            assert response.status_code == 200
            assert response.mimetype == "text/html"
            assert response.text.count("<h1>") == 1
            assert "<script>" not in re.sub(r"<script>.*?</script>", "", response.text, flags=re.DOTALL)
            assert "://" not in re.sub(r"xmlns='http://www.w3.org/2000/svg'", "", response.text)
            bodies.append(response.text)
        assert bodies[0] == bodies[1]
        assert state(response) == "warm"

    @pytest.mark.parametrize("path", ["/airport/NONE/", "/nothing/"])
    def test_an_unknown_page_says_so(self, visitor: FlaskClient, path: str) -> None:
        response = visitor.get(path)
        assert response.status_code == 404
        assert "No such destination" in response.text

    def test_anywhere_leads_to_an_airport(self, visitor: FlaskClient) -> None:
        response = visitor.get("/random/")
        assert response.status_code == 302
        assert visitor.get(response.location).status_code == 200

    def test_a_stranger_to_this_machine_is_refused(self, visitor: FlaskClient) -> None:
        assert visitor.get("/", headers={"Host": "example.com"}).status_code == 400
        assert visitor.get("/cache/", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 403

    def test_the_inspector_shows_the_cache(self, visitor: FlaskClient) -> None:
        response = visitor.get("/cache/", follow_redirects=True)
        assert response.status_code == 200
        assert "default" in response.text

    def test_live_data_has_the_figures_of_the_cache(self, visitor: FlaskClient) -> None:
        visitor.get("/airport/BIRK/")
        data = visitor.get("/live/data.json").json
        assert data["stats"]["entries"] > 0
        assert data["stats"]["hits"] + data["stats"]["misses"] > 0


class TestComputing:
    @pytest.mark.parametrize("path", ["/", "/search/?q=tromso", "/airport/ENTC/", "/world/"])
    def test_a_page_is_computed_once(self, visitor: FlaskClient, path: str) -> None:
        assert [state(visitor.get(path)) for _ in range(3)] == ["cold", "warm", "warm"]

    def test_what_one_page_had_computed_is_warm_for_another(self, visitor: FlaskClient) -> None:
        assert state(visitor.get("/")) == "cold"
        send(visitor, "/trip/add/", code="EDDF")
        assert state(visitor.get("/trip/")) == "warm"

    def test_a_search_is_cached_by_its_text(self, visitor: FlaskClient) -> None:
        found = [stops('<ol class="stops">' + visitor.get(f"/search/?q={text}").text) for text in ("FRA", "JFK", "FRA")]
        assert "EDDF" in found[0]
        assert "KJFK" in found[1]
        assert found[2] == found[0]

    def test_a_distance_is_known_to_all_visitors(self, app: Flask) -> None:
        one, other = app.test_client(), app.test_client()
        assert "6,188 km in all" in [send(one, "/trip/add/", code=code) for code in ("EDDF", "KJFK")][1]
        for code in ("EDDF", "KJFK"):
            response = other.post("/trip/add/", data={"code": code})
        assert state(other.get(response.location)) == "warm"


class TestTrip:
    def test_it_is_kept_over_requests(self, visitor: FlaskClient) -> None:
        for code in ("EDDF", "KJFK", "NZSP"):
            body = send(visitor, "/trip/add/", code=code)
        assert stops(body) == ["EDDF", "KJFK", "NZSP"]
        assert stops(visitor.get("/trip/").text) == ["EDDF", "KJFK", "NZSP"]
        assert body.count("<circle") == 3

    def test_it_is_the_visitors_own(self, app: Flask) -> None:
        one, other = app.test_client(), app.test_client()
        send(one, "/trip/add/", code="EDDF")
        assert stops(other.get("/trip/").text) == []
        assert stops(one.get("/trip/").text) == ["EDDF"]

    def test_the_browser_has_only_an_id(self, visitor: FlaskClient) -> None:
        send(visitor, "/trip/add/", code="EDDF")
        cookie = visitor.get_cookie("session")
        assert re.fullmatch(r"[\w-]{43}", cookie.value)

    def test_a_visitor_without_a_trip_gets_no_session(self, visitor: FlaskClient) -> None:
        visitor.get("/trip/")
        assert visitor.get_cookie("session") is None

    def test_a_stop_is_left_out(self, visitor: FlaskClient) -> None:
        for code in ("EDDF", "KJFK", "NZSP"):
            send(visitor, "/trip/add/", code=code)
        assert stops(send(visitor, "/trip/remove/", number=1)) == ["EDDF", "NZSP"]

    @pytest.mark.parametrize("number", [-1, 7, "x"])
    def test_what_is_no_stop_is_not_left_out(self, visitor: FlaskClient, number: object) -> None:
        send(visitor, "/trip/add/", code="EDDF")
        assert stops(send(visitor, "/trip/remove/", number=number)) == ["EDDF"]

    def test_an_airport_that_there_is_not_is_not_added(self, visitor: FlaskClient) -> None:
        assert visitor.post("/trip/add/", data={"code": "NONE"}).status_code == 404
        assert stops(visitor.get("/trip/").text) == []

    def test_it_has_an_end(self, visitor: FlaskClient) -> None:
        for _ in range(trip.LONGEST + 1):
            visitor.post("/trip/add/", data={"code": "EDDF"})
        assert len(stops(visitor.get("/trip/").text)) == trip.LONGEST

    def test_another_id_is_of_the_same_trip(self, app: Flask, visitor: FlaskClient) -> None:
        send(visitor, "/trip/add/", code="EDDF")
        old = visitor.get_cookie("session").value
        assert stops(send(visitor, "/trip/renew/")) == ["EDDF"]
        assert visitor.get_cookie("session").value != old
        thief = app.test_client()
        thief.set_cookie("session", old)
        assert stops(thief.get("/trip/").text) == []

    def test_it_is_forgotten(self, app: Flask, visitor: FlaskClient) -> None:
        send(visitor, "/trip/add/", code="EDDF")
        old = visitor.get_cookie("session").value
        send(visitor, "/trip/forget/")
        assert visitor.get_cookie("session") is None
        thief = app.test_client()
        thief.set_cookie("session", old)
        assert stops(thief.get("/trip/").text) == []


class TestNote:
    def test_it_is_shown_to_everybody(self, app: Flask) -> None:
        send(app.test_client(), "/note/", text="Gate <12>  is\tclosed")
        body = send(app.test_client(), "/note/", text="Gate <13> is, too")
        assert '<p id="note">Gate &lt;13&gt; is, too</p>' in body
        assert '<span id="changes">2</span> times' in body

    def test_it_has_no_timeout(self, app: Flask, visitor: FlaskClient) -> None:
        send(visitor, "/note/", text="Gate 12 is closed")
        cache = caches_of(app)["default"]
        assert [cache.ttl(key) for key in ("note", "note:changes")] == [float("inf")] * 2
