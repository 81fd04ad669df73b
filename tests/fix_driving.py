"""Flows run in tests, as a plugin of pytest: waiting and awaited, on stores and on written answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import pytest

from kt_cache.flows import Flow, adrive, drive

T = TypeVar("T")

Drive: TypeAlias = Callable[[Flow[Any], Any], Any]


class Script:
    """A store that expects certain calls, awaited or not, and answers each as written.

    An answer that is an exception is raised.
    """

    def __init__(self, *lines: tuple[tuple[Any, ...], Any]) -> None:
        self._lines = list(lines)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("a") and name != "add":
            return self._awaited(name[1:])
        return self._method(name)

    def _method(self, name: str) -> Callable[..., Any]:
        def method(*arguments: Any, **options: Any) -> Any:
            expected, answer = self._lines.pop(0)
            assert (name, *arguments, *([options] if options else [])) == expected
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return method

    def _awaited(self, name: str) -> Callable[..., Any]:
        async def method(*arguments: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            return self._method(name)(*arguments, **options)

        return method

    @property
    def ended(self) -> bool:
        """Whether all that was expected has come."""
        return not self._lines


def awaited(flow: Flow[T], store: Any) -> T:
    """Run a flow to its end in an event loop of its own."""
    return asyncio.run(adrive(flow, store))


@pytest.fixture(params=[drive, awaited], ids=["waiting", "awaited"])
def run(request: pytest.FixtureRequest) -> Any:
    """Return what runs a flow on a store, in both worlds."""
    return request.param


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Return an event loop to run coroutines in, one after another."""
    with asyncio.Runner() as runner:
        yield runner
