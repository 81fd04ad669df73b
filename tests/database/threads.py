"""Threads that begin at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def in_threads(number: int, work: Callable[[int], object]) -> None:
    """Do work in as many threads at once; what one raises is raised."""
    barrier = threading.Barrier(number)

    def begin(index: int) -> None:
        barrier.wait()
        work(index)

    with ThreadPoolExecutor(number) as pool:
        for future in [pool.submit(begin, index) for index in range(number)]:
            future.result()
