"""A pool: connections reused, capped, checked, reaped, retried on, and left to the parent in a fork."""

from __future__ import annotations

import os
import threading

import pytest

from kt_core.errors import ConnectionFailed, Timeout
from kt_core.pool import Pool, PoolOptions
from tests.clock import Clock
from tests.peer import ask, echo, hang_up_after, peer


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


def test_what_is_safe_is_sent_again_when_a_used_connection_breaks() -> None:
    with peer(hang_up_after(1), echo) as server:
        pool = Pool(PoolOptions(server.address))
        assert pool.run(ask(b"1")) == b"1"
        assert pool.run(ask(b"2")) == b"2"
        assert server.accepted == 2
        pool.close()


def test_what_is_not_safe_is_never_sent_again() -> None:
    with peer(hang_up_after(1), echo) as server:
        pool = Pool(PoolOptions(server.address))
        assert pool.run(ask(b"1")) == b"1"
        with pytest.raises(ConnectionFailed):
            pool.run(ask(b"2", idempotent=False))
        assert server.accepted == 1
        pool.close()


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


def test_a_forked_child_has_connections_of_its_own() -> None:
    with peer(echo) as server:
        pool = Pool(PoolOptions(server.address))
        assert pool.run(ask(b"parent")) == b"parent"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if len(pool) == 0 and pool.run(ask(b"child")) == b"child":
                    code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert pool.run(ask(b"parent again")) == b"parent again"
        assert server.accepted == 2
        pool.close()
