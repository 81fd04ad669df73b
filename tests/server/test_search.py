"""Searches beside the server: what they find, and that none can hold it up."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import InvalidInput, KTError
from kt_core.server import Server
from kt_core.server.search import Search
from kt_core.wire.kt_binary import NEVER_XT, GetBulk, SetBulk, encode_request
from tests.server.exchange import Wire, connect, rpc
from tests.server.program import program
from tests.server.running import in_loop, serving

ENDLESS = b"^(a|a)*b$"
KEY = b"a" * 64
"""What it takes for ever on."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    environment = Environment.open(tmp_path / "db", DatabaseOptions(max_size=4 << 20, databases=2))
    yield Database(environment, 1)
    environment.close()


def child_of(pid: int) -> int | None:
    """Return the process that a process has started."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return next((int(child) for each in children for child in each.read_text().split()), None)


def child_appears(pid: int) -> int:
    """Wait until a process has started another."""
    while (child := child_of(pid)) is None:
        time.sleep(0.001)
    return child


def test_it_finds_what_the_database_does(database: Database) -> None:
    for number in range(1000):
        database.set(b"key%d" % number, b"")
    search = Search(20)

    async def run() -> None:
        assert await search.run(database, "match_regex", b"9$", 2) == database.match_regex(b"9$", 2)
        assert await search.run(database, "match_regex", b"", -1) == database.match_regex(b"")
        database.set(b"later", b"")
        assert await search.run(database, "match_regex", b"^later", -1) == [b"later"]
        similar = database.match_similar(b"key1", 2, limit=20)
        assert await search.run(database, "match_similar", b"key1", 2, False, 20) == similar
        with pytest.raises(InvalidInput):
            await search.run(database, "match_regex", b"(", -1)
        assert await search.run(database, "match_regex", b"^later", -1) == [b"later"]

    asyncio.run(run())
    search.close()


def test_what_takes_too_long_is_ended_and_the_next_one_answered(database: Database) -> None:
    database.set(KEY, b"")
    search = Search(0.3)

    async def run() -> None:
        with pytest.raises(KTError, match=r"took too long.*-tout"):
            await search.run(database, "match_regex", ENDLESS, -1)
        for _ in range(20):  # to start a process may take as long on a machine with other things to do
            with suppress(KTError):
                assert await search.run(database, "match_similar", KEY, 1, False, -1) == [KEY]
                return
        raise AssertionError("the next search is not answered")

    asyncio.run(run())
    search.close()


def test_closing_ends_the_search_that_is_under_way_and_those_that_wait(database: Database) -> None:
    database.set(KEY, b"")
    search = Search(20)

    async def run() -> None:
        searches = [asyncio.create_task(search.run(database, "match_regex", ENDLESS, -1)) for _ in range(3)]
        await asyncio.to_thread(child_appears, os.getpid())
        search.close()
        outcomes = await asyncio.gather(*searches, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [KTError, asyncio.CancelledError, asyncio.CancelledError]

    asyncio.run(run())


def test_a_search_process_that_was_killed_is_replaced(database: Database) -> None:
    database.set(b"key", b"")
    search = Search(20)

    async def run() -> None:
        for _ in range(2):
            assert await search.run(database, "match_regex", b"", -1) == [b"key"]
            assert search._process is not None
            search._process.kill()
            search._process.wait()

    asyncio.run(run())
    search.close()


def test_a_server_with_a_thousand_connections_searches_too(database: Database) -> None:
    database.set(b"key", b"")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    taken = [os.dup(0) for _ in range(1100)]
    search = Search(20)
    try:
        assert asyncio.run(search.run(database, "match_regex", b"", -1)) == [b"key"]
    finally:
        search.close()
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_others_are_answered_while_one_searches() -> None:
    with serving("%", timeout=1.0) as server, connect(server) as wire, connect(server) as other:
        wire.ask(encode_request(SetBulk([(0, KEY, b"v", NEVER_XT)])))
        wire.send(rpc("match_regex", regex=ENDLESS))
        for _ in range(50):
            assert other.ask(encode_request(GetBulk([(0, KEY)])))[4] == 1
            assert other.call("set", key="k", value=bytes(100_000)).status == 200
        status = wire.reply(b"POST").split()[1]
        assert status == b"500"
        assert other.call("match_prefix", prefix="k").values[b"num"] == b"1"


def test_a_client_that_leaves_amid_a_search_is_forgotten(running: Server) -> None:
    with connect(running) as wire:
        wire.send(rpc("match_regex", regex="x"))
    while in_loop(running, lambda: len(running.connections)):
        pass


def test_a_search_outlives_its_killed_server_by_no_more_than_the_timeout() -> None:
    with program("%", flags=("-port", "0", "-le", "-tout", "0.5")) as running, Wire(running.address) as wire:
        wire.call("set", key=KEY, value="v")
        wire.send(rpc("match_regex", regex=ENDLESS))
        descriptor = os.pidfd_open(child_appears(running.pid))
        time.sleep(0.2)  # until it is amid the search
        running.end(signal.SIGKILL)

        async def wait() -> None:
            ended = asyncio.Event()
            asyncio.get_running_loop().add_reader(descriptor, ended.set)
            async with asyncio.timeout(20):
                await ended.wait()

        asyncio.run(wait())
        os.close(descriptor)
