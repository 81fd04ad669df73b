"""Connection and pool of an event loop: what `test_transport` and `test_pool` say, awaited."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from asgiref.sync import async_to_sync

from kt_core.aio import AsyncConnection, AsyncPool, async_pool_for
from kt_core.errors import ConnectionFailed, KTError, ProtocolError, ServerError, Timeout
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from kt_core.wire.exchange import Flow, Op
from tests.clock import Clock
from tests.peer import Behaviour, Peer, accepting_nobody, ask, echo, hang_up_after, peer, say


def test_an_exchange_over_tcp_and_over_a_unix_socket(tmp_path: Path) -> None:
    async def talk(address: Address) -> list[bytes]:
        connection = await AsyncConnection.open(address, 5)
        answers = [await connection.run(ask(b"%d" % number)) for number in range(3)]
        assert connection.is_sound()
        connection.close()
        assert not connection.usable
        assert not connection.is_sound()
        return answers

    for path in (None, tmp_path / "socket"):
        with peer(echo, path=path) as server:
            assert asyncio.run(talk(server.address)) == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (hang_up_after(0), ConnectionFailed),
        (say(b"half of"), Timeout),
        (say(b"!nonsense\n"), ProtocolError),
        (say(), Timeout),
    ],
    ids=["hangs up", "half a reply", "nonsense", "silence"],
)
def test_a_failed_exchange_closes_the_connection(behaviour: Behaviour, error: type[KTError]) -> None:
    async def talk(address: Address) -> None:
        connection = await AsyncConnection.open(address, 0.05 if error is Timeout else 5, connect_timeout=5)
        with pytest.raises(error):
            await connection.run(ask(b"x"))
        assert not connection.usable
        with pytest.raises(ConnectionFailed, match="closed"):
            await connection.run(ask(b"x"))

    with peer(behaviour) as server:
        asyncio.run(talk(server.address))


def test_a_flow_is_told_of_what_an_exchange_raises() -> None:
    def flow() -> Flow[list[object]]:
        seen: list[object] = []
        for op in (refused(), ask(b"again")):
            try:
                seen.append((yield op))
            except ServerError as error:
                seen.append(error.status)
        return seen

    async def talk(address: Address) -> list[object]:
        connection = await AsyncConnection.open(address, 5)
        with pytest.raises(ServerError):
            await connection.drive(once(refused()))
        seen = await connection.drive(flow())
        connection.close()
        return seen

    with peer(echo) as server:
        assert asyncio.run(talk(server.address)) == [500, b"again"]


def once(op: Op[Any]) -> Flow[Any]:
    return (yield op)


def refused() -> Op[None]:
    def finish(reply: object) -> None:
        raise ServerError(500, "refused")

    return ask(b"x")._replace(finish=finish)


def test_nothing_is_awaited_where_no_reply_comes() -> None:
    async def talk(address: Address) -> str:
        connection = await AsyncConnection.open(address, 0.05, connect_timeout=5)
        result = await connection.run(Op(b"x", None, True, repr))
        assert connection.usable
        connection.close()
        return result

    with peer(say()) as server:
        assert asyncio.run(talk(server.address)) == "None"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_the_next_socket_may_have_the_number_of_a_cancelled_one(run: Callable[..., Any], tmp_path: Path) -> None:
    """The loop has to have forgotten it by then."""

    async def talk(address: Address) -> bytes:
        connection = await AsyncConnection.open(address, 5)
        waiting.set()
        with suppress(asyncio.CancelledError):
            await connection.run(ask(b"x"))
        connection = await AsyncConnection.open(address, 5)
        answer = await connection.run(ask(b"y"))
        connection.close()
        return answer

    async def cancel(address: Address) -> bytes:
        task = asyncio.create_task(talk(address))
        await waiting.wait()
        task.cancel()
        return await task

    waiting = asyncio.Event()
    with peer(say(), echo, path=tmp_path / "socket") as server:
        assert run(cancel(server.address)) == b"y"


def test_a_cancelled_exchange_closes_the_connection() -> None:
    async def talk(address: Address) -> None:
        connection = await AsyncConnection.open(address, 5)
        task = asyncio.create_task(connection.run(ask(b"x")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not connection.usable

    with peer(say()) as server:
        asyncio.run(talk(server.address))


def test_a_reply_that_announces_the_end_or_has_more_behind_it_closes_the_connection() -> None:
    async def talk(address: Address, reply: bytes) -> None:
        connection = await AsyncConnection.open(address, 5)
        assert await connection.run(ask(b"x")) == reply
        assert not connection.usable

    with peer(say(b".bye\n"), say(b"reply\nand more")) as server:
        asyncio.run(talk(server.address, b".bye"))
        asyncio.run(talk(server.address, b"reply"))


def test_nobody_listens() -> None:
    async def talk(address: Address) -> None:
        with pytest.raises(ConnectionFailed, match="cannot be reached"):
            await AsyncConnection.open(address, 1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(*listener.getsockname())
    asyncio.run(talk(address))
    asyncio.run(talk(Address(path="/nowhere/at/all")))


def test_a_name_is_looked_up() -> None:
    async def talk(address: Address) -> bytes:
        connection = await AsyncConnection.open(Address("localhost", address.port), 5)
        answer = await connection.run(ask(b"x"))
        connection.close()
        return answer

    with peer(echo) as server:
        assert asyncio.run(talk(server.address)) == b"x"


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_server_that_accepts_nobody(kind: str, tmp_path: Path) -> None:
    async def talk(address: Address) -> None:
        with pytest.raises(Timeout, match=r"does not accept .* within 0\.05 s"):
            await AsyncConnection.open(address, 5, connect_timeout=0.05)

    with accepting_nobody(tmp_path / "socket" if kind == "unix" else None) as (address, _):
        asyncio.run(talk(address))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_full_queue_is_waited_in(run: Callable[..., Any], tmp_path: Path) -> None:
    async def talk() -> None:
        asyncio.get_running_loop().call_later(0.01, lambda: listener.accept()[0].close())
        (await AsyncConnection.open(address, 5)).close()

    with accepting_nobody(tmp_path / "socket") as (address, listener):
        run(talk())


class TestPool:
    def test_tasks_share_it_and_get_their_own_answers(self) -> None:
        async def work(pool: AsyncPool, name: int) -> bool:
            lines = [b"%d/%d" % (name, number) for number in range(50)]
            return [await pool.run(ask(line)) for line in lines] == lines

        async def talk(address: Address) -> None:
            pool = AsyncPool(PoolOptions(address, max_connections=3))
            assert all(await asyncio.gather(*(work(pool, name) for name in range(10))))
            assert 1 <= len(pool) <= 3
            pool.close()
            assert len(pool) == 0

        with peer(echo) as server:
            asyncio.run(talk(server.address))
            assert server.accepted <= 3

    def test_a_flow_has_one_connection(self) -> None:
        def flow() -> Flow[bytes]:
            first = yield ask(b"first")
            return (yield ask(first + b" and second"))

        async def talk(address: Address) -> None:
            pool = AsyncPool(PoolOptions(address))
            assert await pool.drive(flow()) == b"first and second"
            pool.close()

        with peer(echo) as server:
            asyncio.run(talk(server.address))
            assert server.accepted == 1

    def test_the_cap_is_real(self) -> None:
        async def talk(address: Address) -> None:
            pool = AsyncPool(PoolOptions(address, timeout=0.05, connect_timeout=5, max_connections=1))
            async with pool.connection():
                with pytest.raises(Timeout, match="max_connections"):
                    await pool.run(ask(b"x"))
            assert await pool.run(ask(b"x")) == b"x"
            pool.close()

        with peer(echo) as server:
            asyncio.run(talk(server.address))

    def test_those_who_wait_are_served_in_their_order(self) -> None:
        served: list[int] = []

        async def work(pool: AsyncPool, name: int) -> None:
            async with pool.connection() as connection:
                await connection.run(ask(b"x"))
                served.append(name)

        async def talk(address: Address) -> None:
            pool = AsyncPool(PoolOptions(address, max_connections=1))
            async with pool.connection():
                tasks = [asyncio.create_task(work(pool, name)) for name in range(5)]
                await asyncio.sleep(0)
                tasks[2].cancel()
            await work(pool, -1)
            await asyncio.wait(tasks)
            assert served == [0, 1, 3, 4, -1]
            pool.close()

        with peer(echo) as server:
            asyncio.run(talk(server.address))

    def test_who_is_cancelled_when_served_leaves_the_place_to_others(self) -> None:
        async def talk(address: Address) -> None:
            pool = AsyncPool(PoolOptions(address, max_connections=1))
            async with pool.connection():
                task = asyncio.create_task(pool.run(ask(b"x")))
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert await pool.run(ask(b"y")) == b"y"
            pool.close()

        with peer(echo) as server:
            asyncio.run(talk(server.address))

    def test_a_place_is_free_again_when_connecting_has_failed(self) -> None:
        async def talk(address: Address) -> None:
            pool = AsyncPool(PoolOptions(address, max_connections=1))
            for _ in range(3):
                with pytest.raises(ConnectionFailed):
                    await pool.run(ask(b"x"))

        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = Address(*listener.getsockname())
        asyncio.run(talk(address))

    @pytest.mark.parametrize(
        ("idempotent", "idle", "outcome"),
        [(True, 0, b"2"), (False, 0, ConnectionFailed), (False, 2, b"2"), (True, 1000, b"2")],
        ids=["sent again", "never sent again", "noticed while idle", "too old"],
    )
    def test_a_used_connection_that_broke(self, idempotent: bool, idle: int, outcome: Any) -> None:
        clock = Clock()

        async def talk(server: Peer) -> bytes | type[Exception]:
            pool = AsyncPool(PoolOptions(server.address), clock=clock)
            assert await pool.run(ask(b"1")) == b"1"
            assert server.ended.acquire(timeout=10)
            clock.advance(idle)
            try:
                return await pool.run(ask(b"2", idempotent=idempotent))
            except ConnectionFailed as error:
                return type(error)
            finally:
                pool.close()

        with peer(hang_up_after(1), echo) as server:
            assert asyncio.run(talk(server)) == outcome


class TestOnePoolForALoop:
    def test_the_same_options_have_the_same_pool(self) -> None:
        async def talk() -> AsyncPool:
            pool = async_pool_for(PoolOptions(Address(port=1)))
            assert async_pool_for(PoolOptions(Address(port=1))) is pool
            assert async_pool_for(PoolOptions(Address(port=2))) is not pool
            return pool

        assert asyncio.run(talk()) is not asyncio.run(talk())

    def test_it_is_asked_for_in_a_running_loop(self) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            async_pool_for(PoolOptions(Address(port=1)))

    @pytest.mark.parametrize(
        "run",
        [
            lambda talk: asyncio.run(talk()),
            lambda talk: uvloop.run(talk()),
            lambda talk: async_to_sync(talk)(),
            lambda talk: new_loop(talk()),
        ],
        ids=["asyncio", "uvloop", "asgiref", "a loop that is closed and nothing else"],
    )
    def test_its_connections_are_closed_with_the_loop(self, run: Callable[..., Any]) -> None:
        async def talk() -> AsyncPool:
            pool = async_pool_for(PoolOptions(server.address))
            assert await pool.run(ask(b"x")) == b"x"
            assert len(pool) == 1
            return pool

        with peer(echo) as server:
            for number in range(1, 4):
                assert len(run(talk)) == 0
                assert server.ended.acquire(timeout=10)
                assert server.accepted == number
        gc.collect()  # a socket that is still open would say so

    def test_a_loop_that_is_dropped_leaves_nothing(self) -> None:
        async def talk() -> None:
            assert await async_pool_for(PoolOptions(server.address)).run(ask(b"x")) == b"x"

        with peer(echo) as server:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(talk())
            del loop
            with pytest.warns(ResourceWarning, match="unclosed event loop"):
                gc.collect()
            assert server.ended.acquire(timeout=10)

    def test_loops_of_several_threads_have_their_own(self) -> None:
        async def talk() -> None:
            pool = async_pool_for(PoolOptions(server.address))
            for number in range(20):
                assert await pool.run(ask(b"%d" % number)) == b"%d" % number
            pools.append(pool)

        pools: list[AsyncPool] = []
        with peer(echo) as server:
            threads = [threading.Thread(target=asyncio.run, args=(talk(),)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(set(map(id, pools))) == 4


def new_loop(talk: Any) -> Any:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(talk)
    finally:
        loop.close()
