"""Edits made by a Tokyo Tyrant server that has been started with our script, each in one exchange.

The script is `PATH`, for ``ttserver -ext``. Its edits take the leases, too, and what finds one taken is left to
`kt_cache.stores.leases`; so nothing depends on all clients knowing of the script, and they may find out at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from struct import Struct
from typing import Final

from kt_cache.stores.edits import HEADER, Action, Edit, Seen, State
from kt_cache.stores.leases import Steps, parts
from kt_core.tyrant import operations as ops
from kt_core.wire.exchange import Op
from kt_core.wire.tt_messages import LOCK_RECORD

PATH: Final = Path(__file__).with_name("tyrant.lua")
"""The script."""

_VERSION: Final = b"1"
_ASK_AGAIN: Final = 60_000  # milliseconds
_SIZE: Final = Struct(">I")
_STATES: Final = {state.value: state for state in State}
_TAKEN, _REFUSED = b"~", b"x"
_PUT: Final = b"P"  # `Action.STORE`, where there is a record and where there is none


class Script:
    """Edits by the script of one server, as long as that has it; `now` gives milliseconds since the epoch."""

    def __init__(self, now: Callable[[], int], token: Callable[[], bytes]) -> None:
        self._now = now
        self._token = token
        self._is_there = False
        self._ask_at = 0

    def ask(self) -> Op[None]:
        """Return what finds out whether the server has the script."""
        return ops.ext(b"kt_cache_version", b"", b"").then(self._note)

    def _note(self, version: bytes | None) -> None:
        self._is_there = version == _VERSION
        self._ask_at = self._now() + _ASK_AGAIN

    def edit(self, edits: Mapping[bytes, Edit]) -> Steps[dict[bytes, Seen]]:
        """Edit records and return what was there, without those that are left to others to edit."""
        found: dict[bytes, Seen] = {}
        if not self._is_there and self._now() >= self._ask_at:
            yield self.ask()
        for part in parts(edits):
            if not self._is_there:
                break
            calls = ops.together([self._call(key, edit) for key, edit in part.items()])
            repeatable = all(edit.is_repeatable for edit in part.values())
            replies = yield calls._replace(idempotent=repeatable)
            for key, reply in zip(part, replies, strict=True):
                if reply is None:
                    self._note(None)
                elif reply == _REFUSED:
                    raise ops.refused("to change a record")
                elif reply != _TAKEN:
                    found[key] = Seen(_STATES[reply[:1]], reply[1:])
        return found

    def _call(self, key: bytes, edit: Edit) -> Op[bytes | None]:
        return ops.ext(b"kt_cache", key, b"".join(self._message(edit)), LOCK_RECORD)

    def _message(self, edit: Edit) -> Iterator[bytes]:
        """Yield what the script is told of an edit."""
        header = HEADER.pack(edit.expiry or 0)
        puts = edit.action is Action.STORE and edit.absent == header + edit.payload
        absent = None if puts else edit.absent
        yield self._token() + HEADER.pack(self._now()) + header
        yield _PUT if puts else edit.action.value
        yield b"%d%d%d" % (edit.tells, edit.expected is not None, absent is not None)
        for given in (edit.expected, absent):
            if given is not None:
                yield _SIZE.pack(len(given)) + given
        yield edit.payload
