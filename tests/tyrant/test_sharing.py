"""A client shared by threads, tasks, and processes after a fork."""

from __future__ import annotations

import asyncio
import os

import pytest

from kt_core.transport import Address
from kt_core.tyrant import AsyncTokyoTyrant, TokyoTyrant
from tests.kyoto.test_sharing import in_threads
from tests.tyrant.conftest import Start
from tests.tyrant.databases import PLAIN


@pytest.fixture
def address(start_tyrant: Start, kind: str) -> Address:
    """Return the address of a server with an empty database."""
    address = start_tyrant(kind, PLAIN[0].name)
    with TokyoTyrant(address.host, address.port, timeout=10) as client:
        client.clear()
    return address


@pytest.mark.parametrize("max_connections", [1, 3, 64])
def test_increments_of_threads_add_up(address: Address, max_connections: int) -> None:
    client = TokyoTyrant(address.host, address.port, timeout=10, max_connections=max_connections)

    def count(_: int) -> None:
        for _ in range(50):
            client.incr("n")

    in_threads(count, 8)
    assert client.get_int("n") == 400
    client.close()


def test_every_thread_gets_its_own_answers(address: Address) -> None:
    client = TokyoTyrant(address.host, address.port, timeout=10, max_connections=3)

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


def test_of_several_who_seize_a_record_one_gets_it(address: Address) -> None:
    client = TokyoTyrant(address.host, address.port, timeout=10)
    for _ in range(20):
        client.set("k", "v")
        seized: list[str] = []
        in_threads(lambda _: seized.append(client.seize("k")), 4)  # noqa: B023
        assert sorted(map(str, seized)) == ["None", "None", "None", "v"]
    client.close()


def test_increments_of_tasks_add_up(address: Address) -> None:
    async def count(client: AsyncTokyoTyrant) -> None:
        for _ in range(50):
            await client.incr("n")

    async def main() -> int | None:
        client = AsyncTokyoTyrant(address.host, address.port, timeout=10, max_connections=3)
        await asyncio.gather(*(count(client) for _ in range(8)))
        return await client.get_int("n")

    assert asyncio.run(main()) == 400


def test_a_cancelled_task_disturbs_nobody(address: Address) -> None:
    async def main() -> None:
        async with AsyncTokyoTyrant(address.host, address.port, timeout=10) as client:
            await client.set_bulk({f"k{number}": f"v{number}" for number in range(10)})
            for turns in range(30):
                task = asyncio.create_task(client.get("k0"))
                for _ in range(turns % 10):
                    await asyncio.sleep(0)
                task.cancel()
                assert await client.get(f"k{turns % 10}") == f"v{turns % 10}"

    asyncio.run(main())


def test_parent_and_child_count_together(address: Address) -> None:
    client = TokyoTyrant(address.host, address.port, timeout=10)
    client.incr("n")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for _ in range(50):
                client.incr("n")
            code = 0
        finally:
            os._exit(code)
    for _ in range(50):
        client.incr("n")
    assert os.waitpid(child, 0)[1] == 0
    assert client.get_int("n") == 101
    client.close()
