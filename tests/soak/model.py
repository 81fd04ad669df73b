"""What a store may answer about a key that one player alone changes, even if some of its changes had no answer.

A key has a set of *states*, of which one is true. A change maps each state to the one after it and to the answer that
would have been given: a given answer leaves the states that it fits; where none came, both before and after remain.
An answer that fits no state is a fault of the store.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

Answer = int | bool | None


class State(NamedTuple):
    """A record's number, None where there is no record, and between which times it expires."""

    number: int | None = None
    earliest: float = math.inf
    latest: float = math.inf


ABSENT: Final = State()

Change = Callable[[State], tuple[State, Answer]]
"""Returns what becomes of a state, and the answer."""


class Unanswered:
    """The answer that tells nothing."""


UNANSWERED: Final = Unanswered()


class Lifetime(NamedTuple):
    """Between which times, in seconds since the epoch, a record that is being stored will expire."""

    earliest: float = math.inf
    latest: float = math.inf


@dataclass(frozen=True)
class Promise:
    """What a store promises: seconds that a record may go too early or stay too long, and when it may be dropped."""

    early: float = 0.005
    late: float = 0.005
    evicts: bool = False
    forgets: bool = False
    """Whether it begins empty when it is started again."""

    @property
    def loses(self) -> bool:
        """Whether a record that was acknowledged may be gone."""
        return self.evicts or self.forgets


def get(state: State) -> tuple[State, Answer]:
    return state, state.number


def exists(state: State) -> tuple[State, Answer]:
    return state, state.number is not None


def delete(state: State) -> tuple[State, Answer]:
    return ABSENT, state.number is not None


def pop(state: State) -> tuple[State, Answer]:
    return ABSENT, state.number


def put(number: int, life: Lifetime) -> Change:
    return lambda state: (State(number, *life), True)


def put_or_drop(number: int, life: Lifetime) -> Change:
    """Return the change of a `set` that found no room: the old value is gone, too."""
    return lambda state: (ABSENT, False)


def add(number: int, life: Lifetime) -> Change:
    return lambda state: (State(number, *life), True) if state.number is None else (state, False)


def replace(number: int, life: Lifetime) -> Change:
    return lambda state: (state, False) if state.number is None else (State(number, *life), True)


def touch(life: Lifetime) -> Change:
    return lambda state: (state, False) if state.number is None else (State(state.number, *life), True)


def swap(old: int, number: int, life: Lifetime) -> Change:
    return lambda state: (State(number, *life), True) if state.number == old else (state, False)


def swap_and_keep(old: int, number: int) -> Change:
    """Return the change of a `compare_and_set` that keeps the expiry."""
    return lambda state: (state._replace(number=number), True) if state.number == old else (state, False)


def increase(delta: int) -> Change:
    def change(state: State) -> tuple[State, Answer]:
        if state.number is None:
            return state, None
        after = state._replace(number=state.number + delta)
        return after, after.number

    return change


class Known:
    """What is known of one key."""

    def __init__(self, promise: Promise) -> None:
        self.states: frozenset[State] = frozenset([ABSENT])
        self.quiet_until = 0.0
        """Until when a change that had no answer may still happen: the key is left alone."""
        self.epoch = 0
        """How often the store had forgotten all when the key was last looked at."""
        self._promise = promise

    def settled(self, began: float, ended: float, forgotten: bool = False) -> frozenset[State]:
        """Return the states that are possible in a stretch of time, with what may have expired or been dropped."""
        promise, states = self._promise, set()
        for state in self.states:
            gone = ended >= state.earliest - promise.early
            if began <= state.latest + promise.late:
                states.add(state)
            if gone or promise.evicts or forgotten:
                states.add(ABSENT)
        return frozenset(states)

    def answered(
        self, change: Change, answer: Answer | Unanswered, began: float, ended: float, forgotten: bool = False
    ) -> str | None:
        """Take in an answer; return what is wrong with it, None if nothing is.

        After a wrong one the answer counts, so that one fault is told once.
        """
        settled = self.settled(began, ended, forgotten)
        outcomes = [change(state) for state in settled]
        fitting = frozenset(after for after, told in outcomes if answer is UNANSWERED or told == answer)
        if fitting:
            self.states = fitting
            return None
        verdict = self._verdict(settled, answer, began)
        self.states = frozenset(after for after, _ in outcomes) | {ABSENT}
        if isinstance(answer, int) and not isinstance(answer, bool):
            self.states |= {State(answer, -math.inf)}
        return verdict

    def unknown(self, change: Change, began: float, ended: float, forgotten: bool = False) -> None:
        """Take in that a change may have happened, or not."""
        settled = self.settled(began, ended, forgotten)
        self.states = settled | {change(state)[0] for state in settled}

    def _verdict(self, settled: frozenset[State], answer: Answer | Unanswered, began: float) -> str:
        """Name the fault: an acknowledged record that is not there is lost, all else is a wrong answer."""
        missing = answer is None or answer is False
        if missing and all(state.number is not None for state in settled):
            return "lost"
        if not missing and any(state.number == answer and state.latest < began for state in self.states):
            return "expired, and still there"
        return "wrong"
