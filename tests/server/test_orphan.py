"""Noticing the end of another process."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from kt_core.server.orphan import end_with, look_after
from tests.processes import running

_CHILD = """
import asyncio, sys
from kt_core.server.orphan import end_with, look_after
async def main():
    ended = asyncio.Event()
    if sys.argv[2] == "told":
        end_with(int(sys.argv[1]), ended.set)
    else:
        look_after(int(sys.argv[1]), ended.set, 0.01)
    print("looking", flush=True)
    await ended.wait()
asyncio.run(main())
"""
_PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]])
print(child.pid, flush=True)
sys.stdin.readline()
"""


def _ends_with_its_parent(way: str) -> None:
    with running(_PARENT, _CHILD, way) as parent:
        assert parent.stdout is not None
        lines = [parent.stdout.readline(), parent.stdout.readline()]
        assert "looking\n" in lines
        (child,) = [int(line) for line in lines if line != "looking\n"]
        descriptor = os.pidfd_open(child)
        parent.kill()
    ended = _wait(descriptor)
    os.close(descriptor)
    assert ended


def _wait(descriptor: int) -> bool:
    """Wait for the end of a process that is no child of this one."""

    async def wait() -> bool:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        async with asyncio.timeout(20):
            await ended.wait()
        loop.remove_reader(descriptor)
        return True

    return asyncio.run(wait())


def test_a_process_ends_with_its_parent() -> None:
    _ends_with_its_parent("told")


def test_a_process_ends_with_its_parent_where_the_system_does_not_tell() -> None:
    _ends_with_its_parent("looking")


def test_the_end_of_any_process_is_noticed_and_leaves_no_descriptor() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with running("input()") as process:

        async def wait() -> None:
            ended = asyncio.Event()
            end_with(process.pid, ended.set)
            await asyncio.sleep(0.01)
            assert not ended.is_set()
            process.kill()
            async with asyncio.timeout(20):
                await ended.wait()

        asyncio.run(wait())
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_process_that_has_ended_before_is_noticed_at_once() -> None:
    with running("") as process:
        process.wait()
        pid = process.pid

    async def look() -> None:
        ended: list[bool] = []
        end_with(pid, lambda: ended.append(True))
        look_after(pid, lambda: ended.append(True))
        assert ended == [True, True]

    asyncio.run(look())
