"""Flask's demo runs as its reader would run it, alone and beside Django's site on one database."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from example_project.demo import SiteFailed, connected, get
from example_project.flask_app import demo
from tests.processes import ends

DEMO = [sys.executable, "-m", "example_project.flask_app.demo"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sites() -> Iterator[demo.Sites]:
    """Return both sites in their own processes, on one database."""
    with demo.serve(shared=True) as sites:
        yield sites


@pytest.mark.parametrize(("writer", "reader"), [("Django", "Flask"), ("Flask", "Django")])
def test_a_note_written_through_one_site_is_read_through_the_other(sites: demo.Sites, writer: str, reader: str) -> None:
    demo.write_note(sites[writer], f"by <{writer}>")
    before = demo.read_note(sites[writer])[2]
    assert demo.read_note(sites[reader]) == (f"by <{writer}>", writer, before)
    demo.write_note(sites[reader], "an answer")
    assert demo.read_note(sites[writer]) == ("an answer", reader, before + 1)


def test_a_trip_is_the_same_in_every_worker(sites: demo.Sites) -> None:
    with connected(sites["Flask"]) as connections:
        cookie: dict[str, str] = {}
        for connection, code in zip(connections * 2, ["EDDF", "KJFK", "NZSP", "BIRK"], strict=True):
            headers = {"Content-Type": "application/x-www-form-urlencoded", **cookie}
            connection.request("POST", "/trip/add/", f"code={code}", headers)
            response = connection.getresponse()
            response.read()
            if sent := response.headers["Set-Cookie"]:
                cookie = {"Cookie": sent.partition(";")[0]}
        for connection in connections:
            connection.request("GET", "/trip/", headers=cookie)
            listed = connection.getresponse().read().decode().partition('<ol class="stops">')[2]
            assert re.findall(r'href="/airport/(\w+)/"', listed) == ["EDDF", "KJFK", "NZSP", "BIRK"]


def test_what_one_worker_computed_is_warm_for_the_other(sites: demo.Sites) -> None:
    with connected(sites["Flask"]) as connections:
        timings = []
        for connection in connections:
            connection.request("GET", "/airport/LSZH/")
            response = connection.getresponse()
            response.read()
            timings.append(response.headers["Server-Timing"].partition(";")[0])
    assert timings == ["cold", "warm"]


def test_once_prints_every_page_and_what_both_sites_show() -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--shared"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    for page in demo.PAGES:
        row = re.search(rf"^{re.escape(page)} +([\d.]+) +([\d.]+) +(\d+)$", done.stdout, re.MULTILINE)
        assert row, f"no row for {page} in:\n{done.stdout}"
    assert re.search(r"^hit ratio \d+\.\d % .* [\d,]+ entries, 2 worker processes$", done.stdout, re.MULTILINE)
    for change, (writer, text) in enumerate(demo.NOTES, 1):
        assert f"shows {text!r}, written on the {writer} site, change {change}" in re.sub(" +", " ", done.stdout)


def test_it_serves_until_it_is_told_to_end() -> None:
    with subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        url = next(found for line in running.stdout if (found := re.match(r"http://([\d.]+):(\d+)/ is open", line)))
        connection = HTTPConnection(url[1], int(url[2]), timeout=60)
        get(connection, "/trip/")
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
        connection.close()


def test_no_process_is_left_behind() -> None:
    with demo.serve(shared=True) as sites:
        groups = [site.process.pid for site in sites.values()]
        for group in groups:
            os.killpg(group, 0)
    assert all(map(ends, groups))


def test_a_site_that_shows_no_note_is_reported() -> None:
    with demo.serve() as sites, pytest.raises(SiteFailed, match="shows no note"):
        demo.read_note(sites["Flask"])
