"""``kt replicate``: a copy of a server's database that follows its update log.

The master's clock is noted before the records are copied, and its changes are applied from a little earlier on: what
changed meanwhile is told again, and since a change is always the whole record, the copy ends up as the master is.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Final

from kt_core.commands.console import NEGATIVE, OK, Console
from kt_core.commands.moving import store
from kt_core.commands.places import Place, Row, open_place
from kt_core.commands.places.kyoto import KyotoPlace
from kt_core.database import NEVER
from kt_core.errors import Misconfigured
from kt_core.replication import Changes, Clear, Heartbeat, LogRecord, Remove, Set
from kt_core.server.expiry import to_expiry
from kt_core.terminal import CommandFailed

_OVERLAP: Final = 2.0  # seconds that are told again
_RETRY: Final = 1.0  # seconds


def replicate(given: argparse.Namespace, console: Console) -> int:
    """Copy a database unless that was done before, and apply its changes from then on."""
    with closing(open_place(given.source)) as source, closing(open_place(given.target, create=True)) as target:
        if not isinstance(source, KyotoPlace):
            raise Misconfigured(f"{given.source} has no changes to follow: write the kt:// URL of a server with -ulog")
        position = _noted(given)
        if position is None:
            count = target.count()
            question = f"Replace the {count:,} records at {given.target} by those of {given.source}?"
            if count and not (given.yes or console.aside.confirm(question, "--yes")):
                console.tell({"applied": 0}, "nothing was changed")
                return NEGATIVE
            position = int((source.now() - _OVERLAP) * 1e9)
            _fill(source, target, given, console)
            _note(given, position)
        with source.changes(since=position, retry=None if given.once else _RETRY) as changes:
            return _follow(changes, source, target, given, console)


def _fill(source: Place, target: Place, given: argparse.Namespace, console: Console) -> None:
    target.clear()
    total, copied = source.count(), 0
    for rows in source.rows():
        store(target, rows, given.forever)
        copied += len(rows)
        console.progress(copied, total)
    console.end()
    console.tell({"copied": copied}, f"{copied:,} records copied")


def _follow(changes: Changes, source: KyotoPlace, target: Place, given: argparse.Namespace, console: Console) -> int:
    applied = 0
    # A heartbeat tells that nothing is left of what is in the log, where a change may come a tenth of a second late.
    # But it is never closer to the master's clock than a second, unless it is the time of the last change.
    caught_up = int(source.now() * 1e9)
    while True:
        messages = changes.batch()
        records = [each.change for each in messages if isinstance(each, LogRecord)]
        own = [change for change in records if change.db == source.database]
        _apply(target, own, given.forever)
        if records:
            _note(given, changes.position)
        applied += len(own)
        console.progress(applied, None)
        if given.once and any(isinstance(each, Heartbeat) and each.ts >= caught_up for each in messages):
            console.end()
            console.tell({"applied": applied, "position": changes.position}, f"{applied:,} changes applied", "good")
            return OK


def _apply(target: Place, changes: Iterable[Set | Remove | Clear], forever: bool) -> None:
    for kind, some in groupby(changes, type):
        if kind is Set:
            store(target, [_row(change) for change in some if isinstance(change, Set)], forever)
        elif kind is Remove:
            target.remove([change.key for change in some if isinstance(change, Remove)])
        else:
            target.clear()


def _row(change: Set) -> Row:
    return Row(change.key, change.value, NEVER if change.xt is None else to_expiry(-change.xt, 0))


def _noted(given: argparse.Namespace) -> int | None:
    """Return how far it was the last time, None if there was none."""
    if given.state is None or not os.path.exists(given.state):
        return None
    try:
        state = json.loads(Path(given.state).read_text())
        source, target, position = state["source"], state["target"], int(state["position"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CommandFailed(f"{given.state} does not tell how far it was: remove it to begin anew") from None
    if (source, target) != (given.source, given.target):
        raise CommandFailed(f"{given.state} is about {source} and {target}: write another --state for these")
    return position


def _note(given: argparse.Namespace, position: int) -> None:
    if given.state is not None:
        state = {"source": given.source, "target": given.target, "position": position}
        new = Path(f"{given.state}.new")
        new.write_text(json.dumps(state) + "\n")
        new.replace(given.state)
