"""What must hold of the keys that all players changed: checked at the end, from what each of them wrote down."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from kt_cache.options import Options
from kt_cache.stores import Store, open_store
from tests.soak.journal import read
from tests.soak.model import Answer, Promise
from tests.soak.values import decode
from tests.soak.verdicts import Verdicts

_AUDITOR = 63
"""The auditor's place on the board."""

Fault = tuple[str, str, str]
"""What it is, ``lost`` or ``wrong``, the key, and the facts."""


class Attempts:
    """What was tried with one key: details that were acknowledged, each with its answer, and those without an answer.

    Of one player, attempts come one after the other; `refused` ones are known not to have happened.
    """

    def __init__(self) -> None:
        self.told: list[tuple[int, Answer]] = []
        self.untold: list[int] = []

    def won(self) -> list[int]:
        return [detail for detail, answer in self.told if answer is True]


def gather(folder: Path) -> dict[tuple[str, str], Attempts]:
    """Return the attempts of all players by kind and key."""
    every: dict[tuple[str, str], Attempts] = defaultdict(Attempts)
    for path in sorted(folder.glob("shared-*.log")):
        pending: tuple[str, str, int] | None = None
        for kind, key, detail, *answer in read(path):
            if pending is not None and kind != "refused" and not answer:
                every[pending[:2]].untold.append(pending[2])
            pending = None
            if answer:
                every[kind.removesuffix(" answered"), key].told.append((detail, answer[0]))
            elif kind != "refused":
                pending = kind, key, detail
        if pending is not None:
            every[pending[:2]].untold.append(pending[2])
    return every


def _sum(key: str, attempts: Attempts, store: Store, loses: bool) -> list[Fault]:
    told, untold = sum(delta for delta, _ in attempts.told), sum(attempts.untold)
    total = store.get(key.encode())
    facts = f"{total!r}, acknowledged {told}, unknown {untold}"
    if total is not None and not isinstance(total, int):
        return [("wrong", key, facts)]
    least, value = (0 if loses else told), total or 0
    return [("lost" if value < least else "wrong", key, facts)] if not least <= value <= told + untold else []


def _race(key: str, attempts: Attempts, store: Store, loses: bool) -> list[Fault]:
    won, value = attempts.won(), decode(key.encode(), store.get(key.encode()))
    facts = f"won by {won}, unknown {attempts.untold}, there is {value}"
    if loses:
        return [] if value in {None, *attempts.untold, *won} else [("wrong", key, facts)]
    if len(won) > 1 or (value is not None and value not in (won or attempts.untold)):
        return [("wrong", key, facts)]
    return [("lost", key, facts)] if value is None and (won or not attempts.untold) and attempts.told else []


def _chain(key: str, attempts: Attempts, store: Store, loses: bool) -> list[Fault]:
    if loses:
        return []
    steps = [number // 1024 for number in attempts.won()]
    value = decode(key.encode(), store.get(key.encode())) or 0
    possible = {*steps, *(number // 1024 for number in attempts.untold)}
    facts = f"ends with {value // 1024}, acknowledged {len(steps)} to {max(steps, default=0)}"
    if len(set(steps)) < len(steps) or value < 0 or not possible >= set(range(1, value // 1024 + 1)):
        return [("wrong", key, facts)]
    return [("lost", key, facts)] if value // 1024 < max(steps, default=0) else []


def _lock(key: str, attempts: Attempts, store: Store, loses: bool) -> list[Fault]:
    tokens = [answer for _, answer in attempts.told if answer is not None]
    twice = sorted({token for token in tokens if tokens.count(token) > 1}) if len(set(tokens)) < len(tokens) else []
    return [("wrong", key, f"fencing tokens given twice: {twice}")] if twice and not loses else []


_CHECKS: dict[str, Callable[[str, Attempts, Store, bool], list[Fault]]] = {
    "sum": _sum,
    "race": _race,
    "chain": _chain,
    "lock": _lock,
}


def audit(folder: Path, store: Store, loses: bool) -> list[Fault]:
    """Return what is wrong with the shared keys; `loses` for a store that may drop what it acknowledged."""
    return [
        fault
        for (kind, key), attempts in gather(folder).items()
        for fault in _CHECKS[kind](key, attempts, store, loses)
    ]


def main(folder: Path) -> None:
    """Audit the store of a soak, and add what is wrong to its faults."""
    settings = json.loads((folder / "settings.json").read_text())
    store = open_store(Options.parse(settings["url"], settings["options"], default_name=""))
    verdicts = Verdicts(folder, _AUDITOR)
    for verdict, key, facts in audit(folder, store, Promise(**settings["promise"]).loses):
        verdicts.tell("audit", verdict, key, facts)
    store.clear()  # a server that runs anyway would keep it all
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
