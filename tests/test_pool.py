"""A pool: connections reused, capped, checked, reaped, retried on, and left to the parent in a fork."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.errors import ConnectionFailed, Misconfigured, Timeout
from kt_core.pool import Pool, PoolOptions, pool_for
from kt_core.transport import Address
from kt_core.wire.exchange import Flow, Op
from tests.clock import Clock
from tests.peer import ask, echo, hang_up_after, peer
from tests.processes import python


def test_a_connection_is_used_again() -> None:
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address))
        for number in range(5):
            assert pool.run(ask(b"%d" % number)) == b"%d" % number
        assert (server.accepted, len(pool)) == (1, 1)
        pool.close()
        assert len(pool) == 0


def test_threads_share_it_and_get_their_own_answers() -> None:
    wrong: list[bytes] = []

    def work(name: int) -> None:
        for number in range(100):
            line = b"%d/%d" % (name, number)
            if pool.run(ask(line)) != line:
                wrong.append(line)

    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address, max_connections=3))
        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert server.accepted <= 3
        pool.close()


def test_the_cap_is_real() -> None:
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address, timeout=0.05, connect_timeout=5, max_connections=1))
        with pool.connection(), pytest.raises(Timeout, match="max_connections"):
            pool.run(ask(b"x"))
        assert pool.run(ask(b"x")) == b"x"
        pool.close()


def test_those_who_wait_are_served_in_their_order() -> None:
    """However eager those are who have just returned a connection."""
    served: list[int] = []

    def work(name: int) -> None:
        with pool.connection() as connection:
            connection.run(ask(b"x"))
            served.append(name)

    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address, max_connections=1))
        threads = [threading.Thread(target=work, args=(name,)) for name in range(5)]
        with pool.connection():
            for waiting, thread in enumerate(threads, 1):
                thread.start()
                while len(pool._turns) < waiting:
                    time.sleep(0.001)
        with pool.connection():
            served.append(-1)
        for thread in threads:
            thread.join()
        assert served == [0, 1, 2, 3, 4, -1]
        pool.close()


def test_who_gave_up_waiting_takes_no_place() -> None:
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address, timeout=0.02, connect_timeout=5, max_connections=2))
        with pool.connection(), pool.connection():
            for _ in range(3):
                with pytest.raises(Timeout):
                    pool.run(ask(b"x"))
        with pool.connection(), pool.connection():
            pass
        pool.close()


def test_a_place_is_free_again_when_connecting_has_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(*listener.getsockname())
    pool = Pool(PoolOptions(address, max_connections=1))
    for _ in range(3):
        with pytest.raises(ConnectionFailed):
            pool.run(ask(b"x"))


def test_a_closed_pool_can_be_used_again() -> None:
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address))
        with pool.connection() as lent:
            pool.close()
            assert lent.run(ask(b"1")) == b"1"
        assert len(pool) == 1
        pool.close()
        assert pool.run(ask(b"2")) == b"2"
        assert server.accepted == 2
        pool.close()


def test_a_pool_may_be_closed_while_others_use_it() -> None:
    wrong: list[bytes] = []

    def work() -> None:
        for number in range(300):
            line = b"%d" % number
            if pool.run(ask(line)) != line:
                wrong.append(line)

    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address))
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            pool.close()
            time.sleep(0)  # else they would get the interpreter only now and then
        for thread in threads:
            thread.join()
        pool.close()
        assert wrong == []
        assert len(pool._places) == pool.options.max_connections


def test_what_a_reply_means_is_found_out_when_the_connection_is_back() -> None:
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address, timeout=0.05, connect_timeout=5, max_connections=1))
        assert pool.run(ask(b"1")._replace(finish=lambda reply: pool.run(ask(reply + b" again")))) == b"1 again"
        pool.close()


def test_a_connection_that_broke_while_idle_is_noticed() -> None:
    clock = Clock()
    with peer(hang_up_after(1), echo) as server:
        pool = Pool(PoolOptions(server.address), clock=clock)
        assert pool.run(ask(b"1")) == b"1"
        assert server.ended.acquire(timeout=10)
        clock.advance(2)
        assert pool.run(ask(b"2", idempotent=False)) == b"2"
        assert server.accepted == 2
        pool.close()


def flow(op: Op[bytes]) -> Flow[bytes]:
    return (yield op)


RUNNING: dict[str, Callable[[Pool, Op[bytes]], bytes]] = {
    "an exchange": lambda pool, op: pool.run(op),
    "a flow": lambda pool, op: pool.drive(flow(op)),
}


@pytest.mark.parametrize("run", RUNNING.values(), ids=RUNNING)
class TestAUsedConnectionBreaks:
    def test_what_is_safe_is_sent_again(self, run: Callable[[Pool, Op[bytes]], bytes]) -> None:
        with peer(hang_up_after(1), echo) as server:
            pool = Pool(PoolOptions(server.address))
            assert run(pool, ask(b"1")) == b"1"
            assert run(pool, ask(b"2")) == b"2"
            assert (server.accepted, len(pool)) == (2, 1)
            pool.close()

    def test_what_is_not_safe_is_never_sent_again(self, run: Callable[[Pool, Op[bytes]], bytes]) -> None:
        with peer(hang_up_after(1), echo) as server:
            pool = Pool(PoolOptions(server.address))
            assert run(pool, ask(b"1")) == b"1"
            with pytest.raises(ConnectionFailed):
                run(pool, ask(b"2", idempotent=False))
            assert (server.accepted, len(pool)) == (1, 0)

    def test_nothing_is_sent_again_once_an_answer_has_begun(self, run: Callable[[Pool, Op[bytes]], bytes]) -> None:
        def break_off(connected: socket.socket) -> None:
            connected.sendall(connected.recv(1000))
            connected.recv(1000)
            connected.sendall(b"half an ans")

        with peer(break_off, echo) as server:
            pool = Pool(PoolOptions(server.address))
            assert run(pool, ask(b"1")) == b"1"
            with pytest.raises(ConnectionFailed):
                run(pool, ask(b"2"))
            assert server.accepted == 1


def test_only_the_first_exchange_of_a_flow_is_sent_again() -> None:
    """The next ones may rest on what the server keeps for this very connection."""

    def two() -> Flow[bytes]:
        yield ask(b"1")
        return (yield ask(b"2"))

    with peer(hang_up_after(2), echo) as server:
        pool = Pool(PoolOptions(server.address))
        assert pool.run(ask(b"0")) == b"0"
        with pytest.raises(ConnectionFailed):
            pool.drive(two())
        assert server.accepted == 1


def test_a_new_connection_that_breaks_is_not_tried_again() -> None:
    with peer(hang_up_after(0)) as server:
        pool = Pool(PoolOptions(server.address))
        with pytest.raises(ConnectionFailed):
            pool.run(ask(b"1"))
        assert server.accepted == 1


def test_connections_that_nobody_needs_are_closed() -> None:
    clock = Clock()
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address, max_idle=10), clock=clock)
        with pool.connection() as one, pool.connection() as other:
            one.run(ask(b"1"))
            other.run(ask(b"2"))
        assert len(pool) == 2
        clock.advance(11)
        assert pool.run(ask(b"3")) == b"3"
        assert len(pool) == 1
        assert server.accepted == 3
        pool.close()


def test_unneeded_connections_are_closed_while_one_is_busy() -> None:
    clock = Clock()
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address, max_idle=10, check_after=100), clock=clock)
        with pool.connection() as one, pool.connection() as other:
            one.run(ask(b"1"))
            other.run(ask(b"2"))
        for _ in range(11):
            assert len(pool) == 2
            clock.advance(1)
            pool.run(ask(b"3"))
        assert len(pool) == 1
        assert server.accepted == 2
        pool.close()


def in_a_child(work: Callable[[], bool]) -> bool:
    """Fork, and tell whether the child found what it should."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


class TestFork:
    def test_a_child_has_connections_of_its_own(self) -> None:
        with peer(echo) as server:
            pool = Pool(PoolOptions(server.address))
            assert pool.run(ask(b"parent")) == b"parent"
            assert in_a_child(lambda: len(pool) == 0 and pool.run(ask(b"child")) == b"child")
            assert pool.run(ask(b"parent again")) == b"parent again"
            assert server.accepted == 2
            pool.close()

    def test_a_connection_lent_at_the_time_stays_the_parents(self) -> None:
        with peer(echo) as server:
            pool = Pool(PoolOptions(server.address, timeout=0.05, connect_timeout=5, max_connections=1))

            def work() -> bool:
                assert not connection.usable
                pool.take_back(connection)
                with pool.connection() as own:  # the child has one place, too, and no more
                    assert own.run(ask(b"child")) == b"child"
                    with pytest.raises(Timeout):
                        pool.run(ask(b"x"))
                return True

            with pool.connection() as connection:
                assert in_a_child(work)
                assert connection.run(ask(b"parent")) == b"parent"
            pool.close()

    def test_a_lock_held_at_the_time_is_free_in_the_child(self) -> None:
        with peer(echo) as server:
            pool = Pool(PoolOptions(server.address, max_connections=1))
            held, enough = threading.Event(), threading.Event()

            def hold() -> None:
                with pool._lock:
                    held.set()
                    enough.wait()

            holder = threading.Thread(target=hold)
            holder.start()
            held.wait()

            def work() -> bool:
                threads = [threading.Thread(target=pool.run, args=(ask(b"x"),)) for _ in range(5)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(10)
                return not any(thread.is_alive() for thread in threads)

            try:
                assert in_a_child(work)
            finally:
                enough.set()
                holder.join()


class TestOnePoolForAll:
    def test_the_same_options_have_the_same_pool(self) -> None:
        assert pool_for(PoolOptions(Address(port=1))) is pool_for(PoolOptions(Address(port=1)))

    @pytest.mark.parametrize(
        "other", [{"address": Address(port=2)}, {"timeout": 1.0}, {"max_connections": 1}, {"max_idle": 1.0}]
    )
    def test_other_options_have_another(self, other: dict[str, Any]) -> None:
        options = {"address": Address(port=1), **other}
        assert pool_for(PoolOptions(Address(port=1))) is not pool_for(PoolOptions(**options))

    def test_its_connections_are_closed_when_the_process_ends(self) -> None:
        with peer(echo) as server:
            script = """
import sys
from kt_core.pool import PoolOptions, pool_for
from kt_core.transport import Address
from tests.peer import ask

sys.unraisablehook = lambda unraisable: print(unraisable.exc_value)
print(pool_for(PoolOptions(Address(port=int(sys.argv[1])))).run(ask(b"x")))
"""
            written = python("-X", "dev", "-W", "error", "-c", script, server.address.port)
            assert written == "b'x'\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_connections": 0}, "max_connections=0: write 1 or more"),
        ({"timeout": 0}, "timeout=0: write more than 0 seconds"),
        ({"connect_timeout": -1}, "connect_timeout=-1: write more than 0 seconds"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], text: str) -> None:
    with pytest.raises(Misconfigured, match=text):
        PoolOptions(Address(), **options)
