"""Start the site, drive it cold and warm over HTTP, print what was measured, and leave it open for a visitor."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import cycle, islice
from time import monotonic, perf_counter, sleep
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlencode

from .server import WORKERS, Site, serve

PAGES = {
    "Home": "/",
    "Search": "/search/?q=san",
    "Country (Japan)": "/country/JP/",
    "Airport (Frankfurt)": "/airport/EDDF/",
    "Airport (South Pole)": "/airport/NZSP/",
    "World in figures": "/world/",
}
WARM_VISITS = 12
PATIENCE = 60  # seconds

Served = TypeVar("Served")


def progress(text: str) -> None:
    """Replace the last line of progress, where somebody is looking."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class SiteFailed(Exception):
    """The site does not answer as it should."""


def get(connection: HTTPConnection, path: str) -> tuple[float, bytes]:
    """Fetch a page; return the milliseconds that took, and the body."""
    started = perf_counter()
    body = _ask(connection, "GET", path, {200})
    return (perf_counter() - started) * 1000, body


def post(connection: HTTPConnection, path: str, fields: Mapping[str, str]) -> None:
    """Send a form."""
    _ask(connection, "POST", path, {200, 302}, urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})


def _ask(
    connection: HTTPConnection,
    method: str,
    path: str,
    expected: set[int],
    body: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, HTTPException) as error:
        raise SiteFailed(f"no answer to {path}, has a worker died? ({error!r})") from error
    if response.status not in expected:
        raise SiteFailed(f"{path} was answered with {response.status} {response.reason}")
    return answer


def live_data(connection: HTTPConnection) -> dict[str, Any]:
    _, body = get(connection, "/live/data.json")
    data: dict[str, Any] = json.loads(body)
    return data


@contextmanager
def connected(site: Site) -> Iterator[list[HTTPConnection]]:
    """Connect to every worker of the site, once all of them answer."""
    connections: dict[int, HTTPConnection] = {}
    deadline = monotonic() + PATIENCE
    with ExitStack() as stack:
        while len(connections) < WORKERS:
            connection = stack.enter_context(closing(HTTPConnection(site.host, site.port, timeout=PATIENCE)))
            worker = live_data(connection)["process"]
            if connections.setdefault(worker, connection) is not connection:
                connection.close()  # the worker that is first to accept a connection has it, so try again
                sleep(0.02)
            if monotonic() > deadline:
                raise SiteFailed(f"only {len(connections)} of {WORKERS} workers answered")
        yield list(connections.values())


def measure(connections: list[HTTPConnection], path: str) -> tuple[float, float]:
    """Return the milliseconds of the first visit, and the median of those after it."""
    cold, *warm = (get(connection, path)[0] for connection in islice(cycle(connections), 1 + WARM_VISITS))
    return cold, statistics.median(warm)


def print_table(connections: list[HTTPConnection], pages: Mapping[str, str] = PAGES) -> None:
    print(f"{'page':<22}{'cold ms':>10}{'warm ms':>10}{'times faster':>15}")
    for page, path in pages.items():
        progress(f"visiting {path}, once cold and {WARM_VISITS} times warm")
        cold, warm = measure(connections, path)
        progress("")
        print(f"{page:<22}{cold:>10.1f}{warm:>10.2f}{cold / warm:>15.0f}", flush=True)


def print_ways(connection: HTTPConnection) -> None:
    """Have the site measure each way to its cache; print what a call takes, and how anybody can look into it."""
    progress("measuring the ways to the cache")
    get(connection, "/live/measure.json")
    data = live_data(connection)
    progress("")
    names = [call["name"] for call in data["ways"][0]["calls"]]
    print(f"{'a call of the cache':<22}" + "".join(f"{name + ' µs':>13}" for name in names))
    for way in data["ways"]:
        print(f"{way['name']:<22}" + "".join(f"{call['us']:>13.1f}" for call in way["calls"]))
    print(f"\nothers see the same records, too: curl http://127.0.0.1:{data['port']}/rpc/report")


def print_stats(connections: list[HTTPConnection]) -> None:
    stats = live_data(connections[0])["stats"]
    print(
        f"\nhit ratio {100 * stats['hit_ratio']:.1f} % ({stats['hits']:,} hits, {stats['misses']:,} misses), "
        f"{stats['entries']:,} entries, {len(connections)} worker processes"
    )


def drive(site: Site) -> None:
    progress("starting the site")
    with connected(site) as connections:
        progress("")
        print_table(connections)
        print_stats(connections)
        print()
        print_ways(connections[0])


def stay(site: Site, window: str = "live/") -> None:
    """Serve until the user ends it; the window is the page that shows the cache."""
    print(f"\n{site.url} is open, and {site.url}{window} shows the cache; Ctrl-C ends it.", flush=True)
    code = site.process.wait()
    raise SiteFailed(f"gunicorn ended by itself, with {code}")


def options_of(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of the options that every demo has."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--once", action="store_true", help="end after the table instead of staying open")
    parser.add_argument("--port", type=int, default=0, help="loopback port of the site (default: any free one)")
    return parser


def present(
    serving: AbstractContextManager[Served], drive: Callable[[Served], None], stay: Callable[[Served], None] | None
) -> int:
    """Serve, drive, and stay open if that is wanted; return the exit code."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, interrupt)
    driven = False
    try:
        with serving as served:
            drive(served)
            driven = True
            if stay is not None:
                stay(served)
    except (SiteFailed, OSError, OverflowError) as error:
        progress("")
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if driven:
            return 0
        progress("")
        print("The demo was interrupted before it was done.", file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    options = options_of("example_project.demo", __doc__).parse_args(arguments)
    return present(serve(options.port), drive, None if options.once else stay)


if __name__ == "__main__":
    sys.exit(main())
