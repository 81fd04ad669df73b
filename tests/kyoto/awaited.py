"""A waiting client made of an awaited one, so that the same tests are for both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

from kt_core.kyoto import AsyncCursor, AsyncKyotoTycoon
from kt_core.kyoto.lua import Lua


class Awaited:
    """Runs whatever an object's methods give to its end, all in one event loop."""

    def __init__(self, awaited: AsyncKyotoTycoon | AsyncCursor | Lua, runner: asyncio.Runner) -> None:
        self._awaited = awaited
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = self._runner.run(_get(self._awaited, name))
        if isinstance(found, Lua):
            return Awaited(found, self._runner)
        if not callable(found):
            return found

        def method(*args: Any, **kwargs: Any) -> Any:
            return self._wait(self._runner.run(_call(found, *args, **kwargs)))

        return method

    def _wait(self, result: Any) -> Any:
        if isinstance(result, AsyncCursor | AsyncKyotoTycoon):
            return Awaited(result, self._runner)
        return Iterated(result, self._runner) if inspect.isasyncgen(result) else result

    def __getitem__(self, item: Any) -> Any:
        return self._runner.run(_call(self._awaited.__getitem__, item))

    def __iter__(self) -> Iterator[Any]:
        return Iterated(self._runner.run(_call(self._awaited.__aiter__)), self._runner)

    def __enter__(self) -> Awaited:
        assert self._runner.run(self._awaited.__aenter__()) is self._awaited
        return self

    def __exit__(self, *raised: Any) -> None:
        self._runner.run(self._awaited.__aexit__(*raised))


class Iterated:
    """Runs an asynchronous generator."""

    def __init__(self, generator: Any, runner: asyncio.Runner) -> None:
        self._generator = generator
        self._runner = runner

    def __iter__(self) -> Iterated:
        return self

    def __next__(self) -> Any:
        try:
            return self._runner.run(_call(self._generator.__anext__))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._runner.run(self._generator.aclose())


async def _get(owner: object, name: str) -> Any:
    found = getattr(owner, name)
    return await found if inspect.isawaitable(found) else found


async def _call(function: Any, *args: Any, **kwargs: Any) -> Any:
    result = function(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result
