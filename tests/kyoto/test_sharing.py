"""A client shared by threads, tasks, and processes after a fork."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

import pytest

from kt_core.errors import ConnectionFailed
from kt_core.kyoto import AsyncKyotoTycoon, KyotoTycoon
from kt_core.transport import Address
from tests.kyoto.conftest import Connect

pytestmark = pytest.mark.usefixtures("connect")  # empty databases


def open_client(address: Address, **options: int) -> KyotoTycoon:
    return KyotoTycoon(address.host, address.port, timeout=10, **options)


def in_threads(work: Callable[[int], object], count: int) -> None:
    """Run work in threads and raise what the first of them raised."""
    raised: list[BaseException] = []

    def careful(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=careful, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


@pytest.mark.parametrize("max_connections", [1, 3, 64])
def test_increments_of_threads_add_up(kyoto: Address, max_connections: int) -> None:
    client = open_client(kyoto, max_connections=max_connections)

    def count(_: int) -> None:
        for _ in range(50):
            client.incr("n")

    in_threads(count, 8)
    assert client.get_int("n") == 400
    client.close()


def test_every_thread_gets_its_own_answers(kyoto: Address) -> None:
    client = open_client(kyoto, max_connections=3)

    def work(name: int) -> None:
        for number in range(30):
            key, value = f"{name}/{number}", f"{name}:{number}" * 100
            client.set(key, value)
            assert client.get(key) == value
            assert client.add(key, "x") is False
            assert client.get_bulk([key, "none"]) == {key: value}

    in_threads(work, 6)
    assert len(client) == len(list(client)) == 180
    client.close()


def test_increments_of_tasks_add_up(kyoto: Address) -> None:
    async def count(client: AsyncKyotoTycoon) -> None:
        for _ in range(50):
            await client.incr("n")

    async def main() -> int | None:
        client = AsyncKyotoTycoon(kyoto.host, kyoto.port, timeout=10, max_connections=3)
        await asyncio.gather(*(count(client) for _ in range(8)))
        return await client.get_int("n")

    assert asyncio.run(main()) == 400


def test_one_client_serves_the_loops_of_several_threads(kyoto: Address) -> None:
    client = AsyncKyotoTycoon(kyoto.host, kyoto.port, timeout=10)

    async def count() -> None:
        for _ in range(50):
            await client.incr("n")

    in_threads(lambda _: asyncio.run(count()), 4)
    assert asyncio.run(client.get_int("n")) == 200


def test_a_cancelled_task_disturbs_nobody(kyoto: Address) -> None:
    async def main() -> None:
        client = AsyncKyotoTycoon(kyoto.host, kyoto.port, timeout=10)
        await client.set_bulk({f"k{number}": f"v{number}" for number in range(10)})
        for turns in range(30):
            task = asyncio.create_task(client.get("k0"))
            for _ in range(turns % 10):
                await asyncio.sleep(0)
            task.cancel()
            assert await client.get(f"k{turns % 10}") == f"v{turns % 10}"

    asyncio.run(main())


def test_parent_and_child_count_together(kyoto: Address) -> None:
    client = open_client(kyoto)
    client.incr("n")
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(50):
                    client.incr("n")
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for _ in range(50):
        client.incr("n")
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert client.get_int("n") == 151
    client.close()


def test_an_iterator_does_not_go_on_in_a_child(kyoto: Address) -> None:
    """Both would read from one connection, and each get half of it."""
    client = open_client(kyoto)
    data = {f"k{number}": "v" for number in range(1000)}
    client.set_bulk(data)
    iterator = client.iter_keys()
    seen = [next(iterator)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            list(iterator)
        except ConnectionFailed:
            code = 0 if len(client.keys()) == 1000 else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    seen += iterator
    assert sorted(seen) == sorted(data)
    client.close()


def test_clients_with_the_same_options_share_connections(connect: Connect, kyoto: Address) -> None:
    client, other = open_client(kyoto), open_client(kyoto)
    before = client.report().connections
    for _ in range(3):
        other.set("k", "v")
        client.get("k")
    assert client.report().connections == before
    client.close()
