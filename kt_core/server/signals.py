"""Calls that wait for others: conditions with names, which one call waits for and another one signals.

A condition remembers nothing: who waits after the signal waits for the next one.
Source: the Kyoto Tycoon protocol reference, section 2.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from kt_core.wire.kt_rpc import Failure, RpcReply
from kt_core.wire.numbers import parse_real

if TYPE_CHECKING:
    from kt_core.server.channel import Channel

_PATIENCE: Final = 30.0  # seconds, of a call that does not say how many


class Conditions:
    """The conditions that clients of a server wait for."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, dict[asyncio.Future[bool], None]] = {}  # those who came first are woken first

    async def wait(self, name: bytes, channel: Channel, seconds: float) -> bool:
        """Wait for a condition, for so long and while the channel's client is there; tell whether it was signalled."""
        waiting = self._waiting.setdefault(name, {})
        signalled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting[signalled] = None
        try:
            return await channel.wait_for(signalled, seconds)
        finally:
            waiting.pop(signalled, None)
            if not waiting and self._waiting.get(name) is waiting:
                del self._waiting[name]

    def signal(self, name: bytes, *, everyone: bool = False) -> int:
        """Wake the one who has waited longest, or everyone; return how many were waiting."""
        waiting = self._waiting.get(name, {})
        present = [future for future in waiting if not future.done()]
        for future in present if everyone else present[:1]:
            del waiting[future]
            future.set_result(True)
        return len(present)


async def wait(conditions: Conditions, channel: Channel, parameters: Mapping[bytes, bytes]) -> RpcReply | None:
    """Wait for what a call is to wait for; return the reply if that was in vain."""
    seconds = parse_real(parameters.get(b"WAITTIME", b""))
    came = await conditions.wait(parameters[b"WAIT"], channel, seconds if seconds > 0 else _PATIENCE)
    return None if came else Failure.TIMED_OUT.reply


def signal(conditions: Conditions, parameters: Mapping[bytes, bytes], reply: RpcReply) -> RpcReply:
    """Signal what a call is to signal; return its reply with how many were waiting."""
    present = conditions.signal(parameters[b"SIGNAL"], everyone=b"SIGNALBROAD" in parameters)
    return reply._replace(values={**reply.values, b"SIGNALED": b"%d" % present})
