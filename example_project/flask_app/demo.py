"""Start Flask's site, drive it cold and warm over HTTP, and leave it open; or both sites, and show what they share."""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection

from ..demo import PATIENCE, SiteFailed, connected, get, options_of, post, present, print_stats, print_table, progress
from ..demo import stay as stay_open
from ..server import DJANGO, FLASK, Site, new_place, running

PAGES = {
    "Home": "/",
    "Search": "/search/?q=san",
    "Airport (Frankfurt)": "/airport/EDDF/",
    "Airport (South Pole)": "/airport/NZSP/",
    "World in figures": "/world/",
}
NOTES = [("Django", "Gate 12 is closed"), ("Flask", "Gate 12 is open again")]

Sites = dict[str, Site]


@contextmanager
def serve(port: int = 0, *, shared: bool = False) -> Iterator[Sites]:
    """Serve Flask's site on a loopback port (0: any free one) with a new, empty cache, and Django's on the same."""
    with new_place() as location, running(FLASK, port, location) as site:
        if not shared:
            yield {"Flask": site}
            return
        with running(DJANGO, 0, location) as other:
            yield {"Flask": site, "Django": other}


def drive(sites: Sites) -> None:
    progress("starting the site")
    with connected(sites["Flask"]) as connections:
        progress("")
        print_table(connections, PAGES)
        print_stats(connections)
    if len(sites) > 1:
        print_notes(sites)


def print_notes(sites: Sites) -> None:
    """Write a note through each site, and print what the other one shows then."""
    print("\ntwo sites on one database:")
    for writer, text in NOTES:
        (reader,) = sites.keys() - {writer}
        write_note(sites[writer], text)
        found, site, changes = read_note(sites[reader])
        print(f"{writer + ' writes':<15} {text!r}")
        print(f"{reader + ' shows':<15} {found!r}, written on the {site} site, change {changes}", flush=True)


def write_note(site: Site, text: str) -> None:
    """Write the note as a visitor of a site."""
    with closing(HTTPConnection(site.host, site.port, timeout=PATIENCE)) as connection:
        post(connection, "/note/", {"text": text})


def read_note(site: Site) -> tuple[str, str, int]:
    """Return the note that a site shows: its text, the site it says it is from, and how many changes there were."""
    with closing(HTTPConnection(site.host, site.port, timeout=PATIENCE)) as connection:
        body = get(connection, "/note/")[1].decode()
    found = dict(re.findall(r'id="(note|site|changes)">([^<]*)<', body))
    if len(found) != 3:
        raise SiteFailed(f"{site.url}note/ shows no note")
    return html.unescape(found["note"]), found["site"], int(found["changes"])


def stay(sites: Sites) -> None:
    """Serve until the user ends it."""
    if "Django" in sites:
        print(f"\n{sites['Django'].url} is Django's site on the same database.")
    stay_open(sites["Flask"], "cache/")


def main(arguments: list[str] | None = None) -> int:
    parser = options_of("example_project.flask_app.demo", __doc__)
    parser.add_argument("--shared", action="store_true", help="start Django's site, too, on the same database")
    options = parser.parse_args(arguments)
    return present(serve(options.port, shared=options.shared), drive, None if options.once else stay)


if __name__ == "__main__":
    sys.exit(main())
