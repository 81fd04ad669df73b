"""A follower makes a copy of a master, and keeps it one, whatever becomes of the master and of what lies between."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kt_cache.stores.hosts import Host
from kt_cache.stores.kyoto import KyotoStore
from kt_cache.stores.replica.words import EPOCH, REACHED
from kt_core.database import Database, Environment
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from tests.fix_servers import MASTERS, free_port, running, with_log
from tests.server.running import serving
from tests.stores.replica.conftest import followed, opened, settle, until
from tests.stores.replica.proxy import before

KEYS = [b"%d" % number for number in range(40)]


@pytest.fixture
def records(master: Address) -> Iterator[KyotoStore]:
    """Return the master's records, none yet."""
    store = KyotoStore(Host(PoolOptions(master)))
    store.clear()
    yield store
    store.close()


def content(environment: Environment) -> dict[bytes, bytes]:
    """Return what the copy has."""
    return {key: record.value for key, record in Database(environment).scan()}


def on_master(store: KyotoStore) -> dict[bytes, bytes]:
    values = store.get_many(store.keys())
    return {
        key: value.to_bytes(8, "big", signed=True) if isinstance(value, int) else value for key, value in values.items()
    }


def the_same(environment: Environment, store: KyotoStore) -> None:
    """Check that the copy has what the master has, now that nobody writes."""
    settle(environment)
    assert content(environment) == on_master(store)


def busy(store: KyotoStore, seed: int, stop: threading.Event) -> None:
    """Write at random until told to stop."""
    choose = random.Random(seed)
    while not stop.is_set():
        key = choose.choice(KEYS)
        what = choose.random()
        if what < 0.5:
            store.set(key, choose.randbytes(choose.randrange(300)) + b"no counter", None)
        elif what < 0.7:
            store.delete(key)
        elif what < 0.9:
            store.incr(b"n" + key, 1, initial=0, timeout=1000)
        elif what < 0.995:
            store.set_many(dict.fromkeys(choose.sample(KEYS, 5), b"many no counter"), 500)
        else:
            store.clear()


@pytest.fixture
def writers(master: Address) -> Iterator[Callable[[], None]]:
    """Have threads write as long as the test runs, or until what is returned is called."""
    stop = threading.Event()
    store = KyotoStore(Host(PoolOptions(master)))
    threads = [threading.Thread(target=busy, args=(store, seed, stop)) for seed in range(2)]
    for thread in threads:
        thread.start()

    def end() -> None:
        stop.set()
        for thread in threads:
            thread.join()

    yield end
    end()


# -- filling and following ------------------------------------------------------------------------------------


def test_what_was_there_is_copied_and_what_comes_follows(
    environment: Environment, master: Address, records: KyotoStore
) -> None:
    records.set_many({b"%d" % number: b"old" for number in range(1000)}, None)
    with followed(environment, master):
        the_same(environment, records)
        records.set(b"5", b"new", None)
        records.delete(b"6")
        records.incr(b"n", 41, initial=1, timeout=None)
        the_same(environment, records)
        assert content(environment)[b"n"] == (42).to_bytes(8, "big")
        records.clear()
        records.set(b"last", b"v", None)
        settle(environment)
        assert content(environment) == {b"last": b"v"}


def test_expiries_are_copied(environment: Environment, master: Address, records: KyotoStore) -> None:
    records.set(b"for ever", b"v", None)
    records.set(b"before", b"v", 1000)
    with followed(environment, master):
        settle(environment)
        records.set(b"after", b"v", 2000)
        records.expire_at(b"before", time.time() + 3000)
        settle(environment)
        database = Database(environment)
        left = {key: record.expiry / 1000 - time.time() for key, record in database.scan()}
        assert left[b"for ever"] > 1e12
        assert left[b"after"] == pytest.approx(2000, abs=3)
        assert left[b"before"] == pytest.approx(3000, abs=3)
        assert records.ttl(b"for ever") == math.inf


def test_large_values_are_copied(environment: Environment, master: Address, records: KyotoStore) -> None:
    for number in range(12):
        records.set(b"large %d" % number, b"%d" % number * 400_000, None)
    with followed(environment, master, timeout=0.5):
        settle(environment)
        found = content(environment)
    assert {key: len(value) for key, value in found.items()} == {
        b"large %d" % number: len(b"%d" % number) * 400_000 for number in range(12)
    }


def test_other_databases_are_no_matter(environment: Environment, master: Address, records: KyotoStore) -> None:
    other = KyotoStore(Host(PoolOptions(master)), 1)
    records.set(b"k", b"v", None)
    with followed(environment, master):
        settle(environment)
        other.set(b"other", b"v", None)
        other.clear()
        the_same(environment, records)
    other.close()


def test_filled_while_many_write_it_is_the_same_in_the_end(
    environment: Environment, master: Address, records: KyotoStore, writers: Callable[[], None]
) -> None:
    with followed(environment, master):
        until(lambda: bool(environment.words[EPOCH] & 1))
        settle(environment)
        writers()
        the_same(environment, records)


def test_keys_of_all_kinds_are_copied(environment: Environment, master: Address, records: KyotoStore) -> None:
    records.set_many({b"": b"", b"\0": b"\0", b"k" * 600: b"long", b"\xff\t\n": b"\t\n"}, None)
    with followed(environment, master):
        the_same(environment, records)
        records.set_many({b"": b"1", b"\0": b"2", b"k" * 600: b"3"}, None)
        the_same(environment, records)


# -- connections -----------------------------------------------------------------------------------------------


def test_what_was_missed_is_made_up_for_and_nothing_copied_anew(
    environment: Environment, master: Address, records: KyotoStore
) -> None:
    records.set(b"a", b"1", None)
    with before(master) as proxy, followed(environment, proxy.address):
        settle(environment)
        epoch = environment.words[EPOCH]
        for value in (b"2", b"3", b"4"):
            proxy.cut()
            records.set(b"a", value, None)
            the_same(environment, records)
        assert environment.words[EPOCH] == epoch


def test_cut_anywhere_it_is_the_same_in_the_end(
    environment: Environment, master: Address, records: KyotoStore, writers: Callable[[], None]
) -> None:
    """While it is filled, too, which then begins anew."""
    choose = random.Random(5)
    with before(master) as proxy, followed(environment, proxy.address):
        for _ in range(8):
            proxy.cut_after = choose.randrange(1, 5000)
            proxy.cut()
            time.sleep(0.1)
        proxy.cut_after = None
        proxy.cut()
        settle(environment)
        writers()
        the_same(environment, records)


def test_what_is_held_back_does_not_count_as_reached(
    environment: Environment, master: Address, records: KyotoStore
) -> None:
    with before(master) as proxy, followed(environment, proxy.address):
        settle(environment)
        proxy.flowing.clear()
        now = time.monotonic_ns()
        records.set(b"k", b"v", None)
        time.sleep(0.2)
        assert environment.words[REACHED] < now
        proxy.flowing.set()
        settle(environment)
        assert content(environment)[b"k"] == b"v"


def test_another_follower_goes_on(environment: Environment, master: Address, records: KyotoStore) -> None:
    records.set(b"k", b"1", None)
    with followed(environment, master):
        settle(environment)
    epoch = environment.words[EPOCH]
    records.set(b"k", b"2", None)
    with followed(environment, master):
        the_same(environment, records)
    assert environment.words[EPOCH] == epoch


# -- masters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MASTERS)
@pytest.mark.parametrize("keeps_log", [True, False])
def test_a_master_that_begins_with_nothing_is_copied_anew(tmp_path: Path, kind: str, keeps_log: bool) -> None:
    """Its old log tells of records that it does not have any more."""
    address = Address(port=free_port())
    store = KyotoStore(Host(PoolOptions(address)))
    with opened(tmp_path / "copy") as environment, ExitStack() as stack:
        with running(kind, *with_log(tmp_path / "log"), address=address):
            stack.enter_context(followed(environment, address))
            store.set(b"old", b"v", None)
            settle(environment)
            assert content(environment) == {b"old": b"v"}
        store.close()
        log = tmp_path / ("log" if keeps_log else "other log")
        with running(kind, *with_log(log), address=address):
            store.set(b"new", b"v", None)
            until(lambda: not environment.words[EPOCH] & 1 or b"new" in content(environment))
            settle(environment)
            assert content(environment) == {b"new": b"v"}
        store.close()


def test_a_master_without_a_log_is_complained_of_once(
    environment: Environment, kyoto: Address, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "kt_cache.stores"), followed(environment, kyoto):
        until(lambda: bool(caplog.records))
        time.sleep(0.5)
    assert [record.message for record in caplog.records] == [
        f"the copy of {kyoto}/0 does not follow it: {kyoto} keeps no update log: "
        "start it with -ulog DIRECTORY and -sid NUMBER"
    ]
    assert not environment.words[EPOCH] & 1


def test_a_master_that_comes_late_is_waited_for(
    environment: Environment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = Address(port=free_port())
    with caplog.at_level(logging.INFO, "kt_cache.stores"), followed(environment, address):
        until(lambda: bool(caplog.records))
        with running(MASTERS[-1], *with_log(tmp_path / "log"), address=address):
            settle(environment)
    told = [record.message for record in caplog.records]
    assert "cannot be reached" in told[0]
    assert f"the copy of {address}/0 follows it" in told


def test_a_master_with_another_clock_has_its_records_expire_by_it(
    environment: Environment, master: Address, records: KyotoStore
) -> None:
    """As far as the clocks can be told apart: here they are one, and no jitter of the measuring counts."""
    records.set(b"k", b"v", 1000)
    with followed(environment, master):
        settle(environment)
        found = Database(environment).get_record(b"k")
        assert found is not None
        assert found.expiry % 1000 == 0


@pytest.mark.parametrize("ahead", [2.0, -2.0])
def test_clocks_two_seconds_apart_do_not_make_records_live_longer(
    environment: Environment, tmp_path: Path, ahead: float
) -> None:
    with serving("*", clock=lambda: time.time() + ahead, log_directory=tmp_path / "log", sid=1) as server:
        address = Address(port=server.port)
        store = KyotoStore(Host(PoolOptions(address)), clock=lambda: time.time() + ahead)
        store.set(b"before", b"v", 100)
        with followed(environment, address):
            settle(environment)
            store.set(b"after", b"v", 100)
            settle(environment)
            left = [record.expiry / 1000 - time.time() for _, record in Database(environment).scan()]
        store.close()
    assert left == [pytest.approx(100.5, abs=1)] * 2
