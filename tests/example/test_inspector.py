"""The inspector of the example: open to everybody, for looking only."""

from __future__ import annotations

from http.client import HTTPConnection
from urllib.parse import quote

from kt_cache.inspector.asking import encode_key


def fetch(connection: HTTPConnection, path: str, method: str = "GET") -> tuple[int, str]:
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_the_records_of_the_site_are_shown(workers: list[HTTPConnection]) -> None:
    fetch(workers[0], "/airport/LFPG/")
    for connection in workers:
        _, page = fetch(connection, f"/cache/in-process/keys?match={quote('*around:LFPG')}")
        assert ":1:around:LFPG" in page
    status, page = fetch(workers[1], f"/cache/in-process/value?key={encode_key(b':1:around:LFPG')}")
    assert status == 200
    assert "which is not run" in page


def test_every_way_is_shown(workers: list[HTTPConnection]) -> None:
    _, page = fetch(workers[0], "/cache/")
    for alias in ("in-process", "unix-socket", "tcp"):
        assert f'href="/cache/{alias}/"' in page
        assert fetch(workers[0], f"/cache/{alias}/")[0] == 200


def test_the_live_page_leads_there(workers: list[HTTPConnection]) -> None:
    assert 'href="/cache/in-process/"' in fetch(workers[0], "/live/")[1]


def test_nobody_may_delete(workers: list[HTTPConnection]) -> None:
    assert fetch(workers[0], "/cache/in-process/delete?match=*")[0] == 403
    assert fetch(workers[0], "/cache/in-process/delete", "POST")[0] == 403
