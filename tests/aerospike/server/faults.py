"""Faults on demand: what goes wrong with which of the next requests."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tests.aerospike.server.wire import Field, Message

Kind = Literal["drop before", "drop after", "delay", "freeze", "code"]
"""Close the connection before the work or after it; answer late; never answer; answer with a result code."""


@dataclass
class Fault:
    """A fault of the next `times` requests, of all if None; of those for one record where a digest is given.

    `value` is seconds for a delay, and the result code.
    """

    kind: Kind
    times: int | None = 1
    value: float = 0
    digest: bytes | None = None

    def concerns(self, messages: Iterable[Message]) -> bool:
        """Say whether one of these messages is meant."""
        return self.digest is None or any(message.fields.get(Field.DIGEST) == self.digest for message in messages)


class Faults:
    """The faults still to happen on a node, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()
        self.healed = threading.Event()

    def add(self, fault: Fault) -> None:
        """Let something go wrong."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Let nothing go wrong any more; what is delayed or frozen goes on."""
        with self._lock:
            self._waiting.clear()
            self.healed.set()
            self.healed = threading.Event()

    def take(self, messages: Iterable[Message]) -> Fault | None:
        """Return the fault that is due for these messages."""
        with self._lock:
            for fault in self._waiting:
                if fault.concerns(messages):
                    if fault.times is not None:
                        fault.times -= 1
                        if not fault.times:
                            self._waiting.remove(fault)
                    return fault
        return None
