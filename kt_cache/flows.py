"""Operations that take several steps, written once for the waiting and for the awaiting world.

A flow is a generator: it yields the steps it needs, is sent the result of each, and returns its own. A step is a call
of a store, a pause, or the making or encoding of a value. `drive` runs a flow on a store's methods, `adrive` on their
awaited twins.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, Protocol, TypeVar

from kt_cache.stores.base import AsyncStore, Store

T = TypeVar("T")


Encode = Callable[[Callable[[], Any]], Awaitable[Any]]
"""How a value is encoded where nothing may wait: given what encodes it, which may be called twice."""


class Step(Protocol):
    """What a flow waits for."""

    def run(self, store: Any) -> Any:
        """Do it and return the result."""

    async def arun(self, store: Any, encode: Encode) -> Any:
        """Do it without holding up the event loop."""


class Call(NamedTuple):
    """One call of a store: the method's name and its arguments."""

    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def run(self, store: Store) -> Any:
        return getattr(store, self.method)(*self.arguments, **self.options)

    async def arun(self, store: AsyncStore, encode: Encode) -> Any:
        return await getattr(store, "a" + self.method)(*self.arguments, **self.options)


class Pause(NamedTuple):
    """A while, in seconds."""

    seconds: float

    def run(self, store: object) -> None:
        time.sleep(self.seconds)

    async def arun(self, store: object, encode: Encode) -> None:
        from asyncio import sleep  # whoever awaits has it: the others need not load it

        await sleep(self.seconds)


class Make(NamedTuple):
    """A value to be made by a function without arguments; what it returns is awaited where that can be done."""

    function: Callable[[], Any]

    def run(self, store: object) -> Any:
        return self.function()

    async def arun(self, store: object, encode: Encode) -> Any:
        made = self.function()
        return await made if inspect.isawaitable(made) else made


class Encoded(NamedTuple):
    """The stored form of a value, as a function returns it."""

    function: Callable[[], Any]

    def run(self, store: object) -> Any:
        return self.function()

    async def arun(self, store: object, encode: Encode) -> Any:
        return await encode(self.function)


Flow = Generator[Step, Any, T]


def call(method: str, *arguments: Any, **options: Any) -> Call:
    """Name a call."""
    return Call(method, arguments, options)


def is_out(key: bytes) -> Flow[bool]:
    """Tell whether what looks like nothing under a key is an outage that is tolerated.

    Where there are several servers, `ping` alone would tell of the others, too.
    """
    return not ((yield call("exists", key)) or (yield call("ping")))


def drive(flow: Flow[T], store: Store) -> T:
    """Run a flow to its end and return its result; what a step raises is raised inside the flow."""
    resume: Callable[..., Step] = flow.send
    argument: Any = None
    while True:
        try:
            wanted = resume(argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            resume, argument = flow.send, wanted.run(store)
        except BaseException as error:
            resume, argument = flow.throw, error


async def _at_once(function: Callable[[], Any]) -> Any:
    return function()


async def adrive(flow: Flow[T], store: AsyncStore, encode: Encode = _at_once) -> T:
    """Await a flow to its end and return its result; what a step raises is raised inside the flow."""
    resume: Callable[..., Step] = flow.send
    argument: Any = None
    while True:
        try:
            wanted = resume(argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            resume, argument = flow.send, await wanted.arun(store, encode)
        except BaseException as error:
            resume, argument = flow.throw, error
