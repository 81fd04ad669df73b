"""The commands about a cache, whatever framework's command line they are on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kt_cache.commands import COMMANDS, Target, add_commands, run
from kt_cache.options import Options
from kt_cache.patterns import compile_glob
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.memory import MemoryStore
from kt_core.errors import ConnectionFailed
from kt_core.terminal import CommandFailed, Terminal
from tests.clock import Clock

HEAD = "p:1:"

filled: list[str] = []


def fill() -> None:
    filled.append("filled")


class Unreachable(MemoryStore):
    """A store whose server is out of order."""

    def ping(self) -> bool:
        raise ConnectionFailed("connection refused")


class Absent(MemoryStore):
    """A store that stands in for a server that does not answer."""

    def ping(self) -> bool:
        return False


class Site:
    """A site with one cache, whose keys have a prefix and a version."""

    base = "http://example.org"
    head = HEAD

    def __init__(self, store: Any, location: str = "embedded://place") -> None:
        self.store = store
        self.options = Options.parse(location, {}, default_name="place")
        self.asked: list[str] = []

    def target(self, alias: str) -> Target:
        return Target(
            alias,
            self.options,
            self.store,
            compile=lambda glob: compile_glob(glob, self.head),
            to_stored=lambda key: f"{self.head}{key}".encode(),
            to_key=lambda stored: stored.decode()[len(self.head) :],
            own_prefix=lambda: b"p:",
        )

    def application(self) -> Any:
        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            self.asked.append(f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}{environ['PATH_INFO']}")
            start_response("404 Not Found" if environ["PATH_INFO"] == "/absent/" else "200 OK", [])
            return [b"page"]

        return application


class Console:
    """Runs commands as a command line does; what they say is in `text`."""

    def __init__(self, site: Site, *, answer: str | None = None, interactive: bool = False) -> None:
        self.site = site
        self.said: list[str] = []
        self.pauses: Iterator[object] = iter(())
        ask = None if answer is None else lambda question: self.said.append(question) or answer
        self._terminal = Terminal(self.said.append, interactive=interactive, ask=ask, pause=self._pause)

    def _pause(self, seconds: float) -> None:
        if next(self.pauses, None) is None:
            raise KeyboardInterrupt

    def __call__(self, *arguments: object) -> str:
        parser = argparse.ArgumentParser()
        add_commands(parser)
        self.said.clear()
        run(parser.parse_args([str(each) for each in arguments]), self.site, self._terminal)
        return self.text

    @property
    def text(self) -> str:
        return "".join(self.said)

    def json(self, *arguments: object) -> list[Any]:
        return [json.loads(line) for line in self(*arguments, "--json").splitlines()]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    """Return a store with keys of this cache and of another one."""
    store = MemoryStore(clock=clock)
    for number in range(3):
        store.set(f"{HEAD}user:{number}".encode(), b"v" * 100, 60)
    store.set(b"p:1:for ever\x1b", b"value", None)
    store.set(b"p:2:other version", b"value", None)
    store.set(b"q:1:other prefix", b"value", None)
    return store


@pytest.fixture
def site(store: MemoryStore) -> Site:
    return Site(store)


@pytest.fixture
def console(site: Site) -> Console:
    return Console(site)


# -- ping --------------------------------------------------------------------------------------------------


def test_ping_tells_how_fast_the_cache_answers(console: Console) -> None:
    said = console("ping", "--count", "5")
    assert said.startswith("default: embedded://place answers in ")
    assert "(median of 5; slowest" in said
    (told,) = console.json("ping")
    assert told["answers"] is True
    assert told["slowest_us"] >= told["median_us"] >= 0


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (Unreachable(), "default: kt://one:1978,two:1979/3 is out of order: connection refused"),
        (Absent(), "default: kt://one:1978,two:1979/3 does not answer"),
    ],
)
def test_ping_tells_where_a_cache_is_out_of_order(store: MemoryStore, message: str) -> None:
    console = Console(Site(store, "kt://one,two:1979/3"))
    with pytest.raises(CommandFailed, match=message):
        console("ping")
    with pytest.raises(CommandFailed):
        console("ping", "--json")
    assert json.loads(console.text)["answers"] is False


@pytest.mark.parametrize(
    "location",
    [
        "embedded://place",
        "embedded:///a/path",
        "kt+unix:///a/socket",
        "kt://one:1978,[::1]:1979/3",
        "tt://one:1978,[::1]:1979",
        "tt+unix:///a/b",
        "aerospike://one:3000,[::1]:3001/test/cache",
    ],
)
def test_a_location_is_told_as_it_is_written(location: str) -> None:
    assert Site(MemoryStore(), location).target("default").location == location


# -- stats -------------------------------------------------------------------------------------------------


def test_stats_are_a_table(console: Console, store: MemoryStore) -> None:
    store.get(b"absent")
    store.get(b"p:1:user:1")
    rows = dict(line.split(None, 1) for line in console("stats", "--alias", "second").splitlines())
    assert rows["alias"] == "second"
    assert rows["entries"] == "6"
    assert rows["hit"] == "ratio    50.0% of 2 reads"
    assert rows["hits"] == "1"


def test_stats_of_an_unused_cache_have_no_ratio(console: Console) -> None:
    assert "no reads yet" in console("stats")
    assert console.json("stats")[0]["hit_ratio"] is None


def test_stats_may_be_watched_until_they_are_interrupted(site: Site) -> None:
    console = Console(site, interactive=True)
    console.pauses = iter([True, True])
    said = console("stats", "--watch", "0.5")
    assert said.count("\x1b[2J") == said.count("entries") == 3
    assert said.count("reads/s") == 2


def test_watched_stats_are_lines_where_nobody_looks(console: Console) -> None:
    console.pauses = iter([True])
    assert "\x1b" not in console("stats", "--watch")
    console.pauses = iter([True])
    assert len(console("stats", "--watch", "--json").split()) > 2


# -- keys, ttl ---------------------------------------------------------------------------------------------


def test_keys_are_those_of_the_cache_as_its_users_write_them(console: Console) -> None:
    assert sorted(console("keys").splitlines()) == [r"for ever\x1b", "user:0", "user:1", "user:2"]


def test_keys_may_be_fewer(console: Console) -> None:
    assert console("keys", "*:[02]").split() == ["user:0", "user:2"]
    assert console("keys", "user:*", "--limit", "2").split() == ["user:0", "user:1"]


def test_keys_may_come_with_what_is_known_of_them(console: Console, clock: Clock) -> None:
    clock.advance(20)
    assert console("keys", "user:1", "--ttl", "--size").split() == ["40", "100", "B", "user:1"]
    assert console("keys", "for*", "--ttl").split(None, 1) == ["never", "for ever\\x1b\n"]


def test_keys_may_be_json(console: Console) -> None:
    assert console.json("keys", "for*", "--ttl", "--size") == [{"key": "for ever\x1b", "ttl": None, "size": 5}]
    assert console.json("keys", "user:1") == [{"key": "user:1"}]


def test_keys_that_the_product_keeps_for_itself_are_none_of_anybodys(console: Console, site: Site) -> None:
    site.head = ""
    site.store.set(reserved(Kind.TAG, b"tag"), 5, None)
    assert "tag" not in console("keys")
    assert console("delete", "--pattern", "*", "-y") == "6 deleted\n"
    assert site.store.get(reserved(Kind.TAG, b"tag")) == 5


def test_a_long_listing_is_not_held(console: Console, site: Site) -> None:
    class Endless(MemoryStore):
        def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
            while True:
                yield prefix + b"key"

    site.store = Endless()
    assert console("keys", "--limit", "3") == "key\n" * 3


def test_ttl_tells_what_keys_have_left(console: Console) -> None:
    said = console("ttl", "user:1", "for ever\x1b", "absent").splitlines()
    assert [line.split(None, 1)[1].strip() for line in said] == [
        "60 seconds left",
        r"ever\x1b  never expires",
        "is not there",
    ]
    assert console.json("ttl", "user:1", "for ever\x1b", "absent") == [
        {"user:1": 60, "for ever\x1b": None, "absent": 0}
    ]


# -- delete, clear -----------------------------------------------------------------------------------------


def test_keys_are_deleted_without_a_question(console: Console, store: MemoryStore) -> None:
    assert console("delete", "user:1", "absent", "user:2") == "2 deleted\n"
    assert not store.exists(b"p:1:user:1")
    assert store.exists(b"p:1:user:0")


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_pattern_is_counted_and_asked_about(site: Site, store: MemoryStore, answer: str) -> None:
    said = Console(site, answer=answer)("delete", "--pattern", "user:*")
    assert said.startswith("Delete 3 keys that fit 'user:*' at embedded://place? [y/N] ")
    assert said.endswith("3 deleted\n" if answer == "y" else "nothing was deleted\n")
    assert store.stats().entries == (3 if answer == "y" else 6)


@pytest.mark.parametrize("flag", ["--noinput", "--no-input", "--yes", "-y"])
def test_nobody_needs_to_be_asked(console: Console, flag: str) -> None:
    assert console("delete", "--pattern", "user:*", flag) == "3 deleted\n"


def test_nothing_is_deleted_where_nobody_can_be_asked(console: Console, store: MemoryStore) -> None:
    for arguments in (["delete", "--pattern", "*"], ["clear"], ["clear", "--prefix"]):
        with pytest.raises(CommandFailed, match="write --noinput to do it anyway"):
            console(*arguments)
    assert store.stats().entries == 6


def test_a_pattern_that_nothing_fits_needs_no_question(console: Console) -> None:
    assert console.json("delete", "--pattern", "absent*") == [{"deleted": 0}]


@pytest.mark.parametrize("arguments", [[], ["user:1", "--pattern", "user:*"]])
def test_keys_or_a_pattern_are_deleted(console: Console, arguments: list[str]) -> None:
    with pytest.raises(CommandFailed, match="write the keys to delete, or --pattern GLOB"):
        console("delete", *arguments)


def test_a_long_deletion_shows_how_far_it_is(site: Site, store: MemoryStore) -> None:
    for number in range(2_500):
        store.set(b"p:1:many:%d" % number, b"", None)
    said = Console(site, interactive=True)("delete", "--pattern", "many:*", "-y")
    assert [f"{done} of 2,500" in said for done in ("1,000", "2,000", "2,500")] == [True] * 3
    assert said.endswith("\r\x1b[K2,500 deleted\n")


def test_a_cache_is_cleared_with_all_that_is_in_its_database(site: Site, store: MemoryStore) -> None:
    said = Console(site, answer="yes")("clear")
    assert said.startswith("Delete all 6 records of the database, whoever else stores there, at embedded://place?")
    assert said.endswith("6 deleted\n")
    assert store.stats().entries == 0


def test_a_cache_is_cleared_by_its_prefix(site: Site, store: MemoryStore) -> None:
    said = Console(site, answer="yes")("clear", "--prefix")
    assert said.startswith("Delete all 5 values under the prefix 'p:', at embedded://place?")
    assert store.keys() == [b"q:1:other prefix"]


# -- warm --------------------------------------------------------------------------------------------------


def test_pages_and_functions_are_visited(console: Console, site: Site, tmp_path: Path) -> None:
    filled.clear()
    listed = tmp_path / "pages"
    listed.write_text("# all of them\n/listed/\n")
    said = console("warm", "/page/", f"{__name__}.fill", "--from", listed)
    assert site.asked == ["http://example.org/page/", "http://example.org/listed/"]
    assert filled == ["filled"]
    assert [line.split("ms")[1].split() for line in said.splitlines()] == [
        ["/page/", "200"],
        [f"{__name__}.fill", "done"],
        ["/listed/", "200"],
    ]


def test_a_visit_may_be_of_another_address(console: Console, site: Site) -> None:
    (told,) = console.json("warm", "/page/", "--base", "https://example.com")
    assert site.asked == ["https://example.com/page/"]
    assert (told["target"], told["is_well"], told["outcome"]) == ("/page/", True, "200")


def test_what_goes_wrong_is_told_after_all_were_visited(site: Site) -> None:
    console = Console(site, interactive=True)
    with pytest.raises(CommandFailed, match="1 of 3 went wrong"):
        console("warm", "/absent/", "/a/", "/b/", "--workers", "2")
    assert len(site.asked) == 3
    assert "3 of 3" in console.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "write paths of the site, such as /about/"),
        (["--from", "/nowhere/pages"], r"/nowhere/pages cannot be read \(No such file or directory\)"),
        (["/", "--header", "Accept-Language"], "'Accept-Language' is no header: write 'Accept-Language: de'"),
    ],
)
def test_what_cannot_be_visited_is_told(console: Console, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        console("warm", *arguments)


# -- serve, and the command line ---------------------------------------------------------------------------


def test_a_server_needs_no_other_one() -> None:
    with pytest.raises(CommandFailed, match="kt://one:1978/0 is a server's already"):
        Console(Site(MemoryStore(), "kt://one"))("serve")


@pytest.mark.parametrize(
    "arguments", [["stats", "--watch", "0"], ["keys", "--limit", "-1"], ["ping", "--count", "none"], ["absent"], []]
)
def test_a_command_line_that_cannot_be_meant_is_refused(
    console: Console, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        console(*arguments)
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(console: Console, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        console(name, "--help")
    assert "--alias" in capsys.readouterr().out
