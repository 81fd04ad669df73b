"""The follower as a program: follows one master until no worker is left, or returns at once where somebody does."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable
from typing import Final

from kt_cache.stores.replica.election import Following, lock_alone
from kt_cache.stores.replica.following import Follower
from kt_cache.stores.replica.records import Records, open_environment
from kt_cache.stores.replica.words import WANTED
from kt_core.database import Environment

_LOOK_EVERY: Final = 1.0  # seconds


def main(argument: str) -> None:
    """Follow as the argument says."""
    following = Following.decode(argument)
    lock = lock_alone(following.directory, "follower")
    if lock is None:
        return
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)  # for whoever wants to know
    logging.basicConfig(format=f"%(asctime)s follower {os.getpid()}: %(message)s", level=logging.INFO)
    environment = open_environment(following.directory, following.max_size)
    gc.freeze()
    asyncio.run(follow(following, environment))


async def follow(following: Following, environment: Environment) -> None:
    """Follow until no worker is left, or somebody has removed the directory."""
    follower = Follower(
        Records(environment),
        following.address,
        following.database,
        timeout=following.timeout,
        every=following.every,
        wanted=wish(environment),
    )
    running = asyncio.create_task(follower.run())
    while not (await asyncio.wait([running], timeout=_LOOK_EVERY))[0]:
        if not _is_needed(following.directory):
            running.cancel()
    if not running.cancelled():
        running.result()


def _is_needed(directory: str) -> bool:
    """Tell whether there are workers, and the copy."""
    alone = lock_alone(directory, "workers")
    if alone is not None:
        os.close(alone)
    return alone is None and os.path.exists(directory)


def wish(environment: Environment) -> Callable[[], bool]:
    """Return what tells whether a worker waits for a marker, and takes the wish back."""

    def wanted() -> bool:
        words = environment.words
        if not words[WANTED]:
            return False
        words[WANTED] = 0
        return True

    return wanted


if __name__ == "__main__":
    main(sys.argv[1])
