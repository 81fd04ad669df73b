"""The holder of the native client: lazy, one for all threads, empty after a fork or a close."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kt_core.aerospike.native import Native, official, search
from kt_core.aerospike.package import official as imported
from kt_core.errors import Misconfigured
from tests.fix_aerospike import Place

NOWHERE = {"hosts": [("127.0.0.1", 1)], "thread_pool_size": 2}


@pytest.fixture
def holder(aerospike_place: Place) -> Iterator[Native]:
    """Return a holder that has not connected yet."""
    holder = Native({"hosts": list(aerospike_place.hosts), "thread_pool_size": 2})
    yield holder
    holder.close()


def test_connects_when_it_is_first_read(holder: Native) -> None:
    assert not holder.connected
    assert holder.client.is_connected()
    assert holder.connected


def test_all_threads_share_one_client(holder: Native) -> None:
    with ThreadPoolExecutor(8) as threads:
        clients = list(threads.map(lambda _: holder.client, range(50)))
    assert {id(client) for client in clients} == {id(holder.client)}


def test_a_closed_holder_connects_again(holder: Native) -> None:
    client = holder.client
    holder.close()
    holder.close()
    assert not holder.connected
    assert holder.client is not client
    assert client.is_connected()  # whoever is in a call still has it


def test_nobody_there_is_an_error_each_time() -> None:
    holder = Native(NOWHERE)
    for _ in range(2):
        with pytest.raises(official().exception.ClusterError, match=r"127\.0\.0\.1:1\b") as caught:
            _ = holder.client
        assert (caught.value.code, caught.value.args[0]) == (11, 11)
    assert not holder.connected


def test_a_failure_leaves_no_native_threads_to_whoever_keeps_the_error() -> None:
    before = _native_threads()
    errors = []
    for _ in range(3):
        with pytest.raises(official().exception.ClusterError) as caught:
            _ = Native(NOWHERE).client
        errors.append(caught.value)
    assert _native_threads() <= before


def test_threads_that_wait_share_a_failure() -> None:
    class Counted(Native):
        attempts = 0
        release = threading.Event()

        def _build(self) -> Any:
            Counted.attempts += 1
            assert self.release.wait(10)
            return super()._build()

    holder = Counted(NOWHERE)
    waiting = threading.Semaphore(0)

    def read() -> str:
        waiting.release()
        with pytest.raises(official().exception.ClusterError) as caught:
            _ = holder.client
        return str(caught.value)

    with ThreadPoolExecutor(4) as threads:
        results = [threads.submit(read) for _ in range(4)]
        for _ in range(4):
            assert waiting.acquire(timeout=10)
        holder.release.set()
        assert len({result.result() for result in results}) == 1
    assert Counted.attempts <= 4


def test_a_config_that_the_client_refuses() -> None:
    with pytest.raises(official().exception.ParamError):
        _ = Native({"hosts": "nonsense"}).client


class TestSearching:
    def test_what_a_server_took_for_another_s_is_asked_again(self) -> None:
        refusals = [official().exception.InvalidRequest] * 3

        def call() -> str:
            if refusals:
                raise refusals.pop()
            return "found"

        assert search(call) == "found"

    def test_not_for_ever(self) -> None:
        calls = []

        def call() -> None:
            calls.append(1)
            raise official().exception.InvalidRequest

        with pytest.raises(official().exception.InvalidRequest):
            search(call)
        assert len(calls) == 1000

    @pytest.mark.parametrize(("name", "begun"), [("InvalidRequest", True), ("ParamError", False)])
    def test_not_what_was_begun_nor_another_error(self, name: str, begun: bool) -> None:
        calls = []

        def call() -> None:
            calls.append(1)
            raise getattr(official().exception, name)

        with pytest.raises(getattr(official().exception, name)):
            search(call, lambda: begun)
        assert len(calls) == 1


def test_a_package_that_is_missing_says_how_to_get_it() -> None:
    with pytest.raises(Misconfigured, match=r"pip install 'kt-cache\[aerospike\]'"):
        imported("aerospike_that_there_is_not")


def _native_threads() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
