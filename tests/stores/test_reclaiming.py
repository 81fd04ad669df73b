"""Expired records are removed by and by, whoever wrote them, with the script and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from kt_cache.stores.hosts import Host
from kt_cache.stores.leases import OWN
from kt_cache.stores.script import PATH
from kt_cache.stores.tyrant import TyrantStore
from kt_core.pool import PoolOptions
from kt_core.tyrant import operations as ops
from tests.clock import Clock
from tests.fix_servers import PATIENCE, TYRANT_KINDS, running

LISTS = OWN + b"expiry\0"


@pytest.fixture(scope="module")
def open_host() -> Iterator[Callable[[str, bool], Host]]:
    """Return a function that gives a server of a kind, with the script or without."""
    with ExitStack() as opened:

        @cache
        def open_host(kind: str, scripted: bool) -> Host:
            script = ["-ext", str(PATH)] if scripted else []
            host = Host(PoolOptions(opened.enter_context(running(kind, *script, databases=["*"]))))
            opened.callback(host.close)
            return host

        yield open_host


@pytest.fixture(params=TYRANT_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Return a kind of server."""
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["leased", "scripted"])
def host(request: pytest.FixtureRequest, kind: str, open_host: Callable[[str, bool], Host]) -> Host:
    """Return a server, empty."""
    host = open_host(kind, request.param)
    host.run(ops.vanish())
    return host


@pytest.fixture
def store(host: Host, clock: Clock) -> TyrantStore:
    """Return the store, to be the first one on the server."""
    return TyrantStore(host, PATIENCE, clock=clock)


def theirs(host: Host) -> list[bytes]:
    return sorted(key for key in host.run(ops.fwm_keys(b"")) if not key.startswith(OWN))


def lists(host: Host) -> int:
    return len(host.run(ops.fwm_keys(LISTS)))


def test_what_has_expired_is_removed_minutes_later(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set_many({b"%d" % number: b"v" for number in range(40)}, 10)
    store.add(b"added", b"v", 50)
    store.incr(b"counted", 1, initial=0, timeout=70)
    store.set(b"ever", b"v", None)
    clock.advance(200)
    assert len(theirs(host)) == 43
    store.set(b"ever", b"new", None)
    assert theirs(host) == [b"ever"]
    assert lists(host) == 0


def test_minutes_just_over_are_left_alone(store: TyrantStore, host: Host, clock: Clock) -> None:
    """Somebody whose clock is late may still write into their lists."""
    store.set(b"k", b"v", 1)
    clock.advance(61)
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever", b"k"]


def test_what_lives_longer_than_it_was_to_is_met_again(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set(b"touched", b"v", 10)
    store.touch(b"touched", 1000)
    store.set(b"persisted", b"v", 10)
    store.persist(b"persisted")
    clock.advance(300)
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever", b"persisted", b"touched"]
    assert lists(host) == 1
    clock.advance(1000)
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever", b"persisted"]
    assert lists(host) == 0


def test_what_ends_sooner_than_it_was_to_is_met_in_time(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set(b"touched", b"v", 100_000)
    store.touch(b"touched", 10)
    clock.advance(300)
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever"]


def test_a_key_is_written_down_once_however_often_it_is_stored(store: TyrantStore, host: Host, clock: Clock) -> None:
    for _ in range(20):
        store.set(b"session", b"v", 86_400)
        clock.advance(100)
    assert lists(host) == 1
    (name,) = host.run(ops.fwm_keys(LISTS))
    assert host.run(ops.get(name)) == b"\0\0\0\7session"


def test_what_no_list_has_any_more_is_written_down_again(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set(b"k", b"v", 10)
    for name in host.run(ops.fwm_keys(LISTS)):
        host.run(ops.out(name))
    clock.advance(3600)
    store.set(b"k", b"v", 10)
    assert lists(host) == 1


def test_a_key_that_expires_again_and_again_is_in_few_lists(store: TyrantStore, host: Host, clock: Clock) -> None:
    for _ in range(50):
        store.set(b"k", b"v", 30)
        clock.advance(40)
    assert sum(host.run(ops.vsiz(name)) or 0 for name in host.run(ops.fwm_keys(LISTS))) <= 4 * len(b"\0\0\0\1k")


def test_thousands_are_removed_in_parts(store: TyrantStore, host: Host, clock: Clock) -> None:
    """Nobody who writes has to remove them all; what one has begun another one does again from the beginning."""
    store.set_many({b"%d" % number: b"v" for number in range(700)}, 10)
    clock.advance(300)
    left = []
    for _ in range(3):
        store.set(b"ever", b"v", None)
        left.append(len(theirs(host)) - 1)
    assert left == [700 - 256, 700 - 512, 0]
    assert lists(host) == 0


def test_long_keys_are_removed_too(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set_many({b"%d" % number + b"k" * number * 9_000: b"v" for number in range(7)}, 10)
    clock.advance(300)
    for _ in range(7):
        store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever"]
    assert lists(host) == 0


def test_a_list_that_ends_in_rubbish_is_swept_all_the_same(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set(b"k", b"v", 10)
    (name,) = host.run(ops.fwm_keys(LISTS))
    host.run(ops.put_cat(name, b"\xff" * 7))
    clock.advance(300)
    store.set(b"ever", b"v", None)
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever"]
    assert lists(host) == 0


def test_a_store_that_goes_on_where_another_ended(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set_many({b"%d" % number: b"v" for number in range(300)}, 10)
    clock.advance(300)
    store.set(b"ever", b"v", None)
    other = TyrantStore(host, PATIENCE, clock=clock)
    other.set(b"ever", b"v", None)
    other.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever"]
    assert lists(host) == 0


def test_a_month_without_writers_is_caught_up_with(store: TyrantStore, host: Host, clock: Clock) -> None:
    for day in range(1, 30):
        store.set(b"%d" % day, b"v", day * 86_400)
    clock.advance(31 * 86_400)
    for _ in range(32):
        store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever"]
    assert lists(host) == 0


def test_who_clears_the_server_stops_nothing(store: TyrantStore, host: Host, clock: Clock) -> None:
    store.set(b"k", b"v", 10)
    host.run(ops.vanish())
    clock.advance(100)
    store.set(b"ever", b"v", None)
    store.set(b"k", b"v", 10)
    clock.advance(300)
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever"]


def test_what_others_edit_meanwhile_is_met_again(store: TyrantStore, host: Host, clock: Clock) -> None:
    """Nobody who sweeps waits for a lease."""
    lease = OWN + b"lease\0k"
    store.set_many({b"k": b"v", b"l": b"v"}, 10)
    clock.advance(300)
    host.run(ops.put(lease, b"somebody's"))
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever", b"k"]
    host.run(ops.out(lease))
    clock.advance(300)
    store.set(b"ever", b"v", None)
    assert theirs(host) == [b"ever"]
    assert lists(host) == 0
