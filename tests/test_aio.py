"""Connection and pool of an event loop: what `test_transport` and `test_pool` say, awaited."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from kt_core.aio import AsyncConnection, AsyncPool
from kt_core.errors import ConnectionFailed, KTError, ProtocolError, Timeout
from kt_core.pool import PoolOptions
from kt_core.transport import Address
from kt_core.wire.exchange import Flow
from tests.clock import Clock
from tests.peer import Behaviour, Peer, ask, echo, hang_up_after, peer, say


def test_an_exchange_over_tcp_and_over_a_unix_socket(tmp_path: Path) -> None:
    async def talk(address: Address) -> list[bytes]:
        connection = await AsyncConnection.open(address, 5)
        answers = [await connection.run(ask(b"%d" % number)) for number in range(3)]
        assert connection.is_idle()
        connection.close()
        assert not connection.usable
        assert not connection.is_idle()
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
        connection = await AsyncConnection.open(address, 0.05, connect_timeout=5)
        with pytest.raises(error):
            await connection.run(ask(b"x"))
        assert not connection.usable
        with pytest.raises(ConnectionFailed, match="closed"):
            await connection.run(ask(b"x"))

    with peer(behaviour) as server:
        asyncio.run(talk(server.address))


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
