"""What a script can do with cursors: the functions behind their methods.

Source: the Kyoto Tycoon protocol reference, section 10.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kt_core.database import Cursor, Entry
from kt_core.server.cursors import ServedCursor
from kt_core.server.scripting.gates import Gate
from kt_core.server.scripting.problems import NO_RECORD, TOO_LARGE, UNORDERED
from kt_core.server.scripting.visitors import Visitors


class ScriptCursor(ServedCursor):
    """A cursor of a script's, which goes through the gate."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.served, gate.database)
        self.gate = gate

    @property
    def at(self) -> Cursor:
        """The position."""
        return self.cursor


class Cursors:
    """The methods of one interpreter's cursors, which give it up to `largest` bytes at a time.

    What fails is a `Problem`.
    """

    def __init__(self, visitors: Visitors, largest: int) -> None:
        self._visitors = visitors
        self._largest = largest

    def jump(self, own: ScriptCursor, key: bytes | None) -> Any:
        """Stand on a record."""
        exact = key is not None and not own.gate.served.ordered
        return (own.at.jump_to(key) if exact and key is not None else own.at.jump(key)) or NO_RECORD

    def jump_back(self, own: ScriptCursor, key: bytes | None) -> Any:
        """Stand on a record, and go back from there."""
        if not own.gate.served.ordered:
            return UNORDERED
        return own.at.jump_back(key) or NO_RECORD

    def step(self, own: ScriptCursor) -> Any:
        """Go on."""
        return own.at.step() or NO_RECORD

    def step_back(self, own: ScriptCursor) -> Any:
        """Go back."""
        if not own.gate.served.ordered:
            return UNORDERED
        return own.at.step_back() or NO_RECORD

    def get(self, own: ScriptCursor, step: bool) -> Any:
        """Return key, value and expiry."""
        return self._told(own, own.at.get(step=step))

    def get_key(self, own: ScriptCursor, step: bool) -> Any:
        """Return the key."""
        found = own.at.get_key(step=step)
        return found if found is not None else NO_RECORD

    def get_value(self, own: ScriptCursor, step: bool) -> Any:
        """Return the value."""
        found = own.at.get_value(step=step)
        if found is None:
            return NO_RECORD
        return found if len(found) <= self._largest else TOO_LARGE

    def set_value(self, own: ScriptCursor, value: bytes, xt: float | None, step: bool) -> Any:
        """Store another value."""
        return own.at.set_value(value, own.gate.expiry(xt), step=step) or NO_RECORD

    def remove(self, own: ScriptCursor) -> Any:
        """Remove the record, and go on."""
        return own.at.remove() or NO_RECORD

    def seize(self, own: ScriptCursor) -> Any:
        """Remove the record, and return it."""
        return self._told(own, own.at.seize())

    def accept(self, own: ScriptCursor, visitor: Any, writable: bool, step: bool) -> Any:
        """Show the record to a visitor."""
        key, gate = own.at.get_key(), own.gate
        if key is None:
            return NO_RECORD
        removed = False
        if writable:
            removed = self._visitors.hold(gate, self._visitors.show, key, visitor, True)
        else:
            self._visitors.show_only(gate, key, visitor)
        if step and not removed:
            own.at.step()
        return True

    def _told(self, own: ScriptCursor, entry: Entry | None) -> Any:
        if entry is None:
            return NO_RECORD
        key, (value, expiry) = entry
        return (key, value, own.gate.xt(expiry)) if len(value) <= self._largest else TOO_LARGE


METHODS: Final[dict[str, tuple[Callable[..., Any], Any]]] = {
    "cursor_jump": (Cursors.jump, False),
    "cursor_jump_back": (Cursors.jump_back, False),
    "cursor_step": (Cursors.step, False),
    "cursor_step_back": (Cursors.step_back, False),
    "cursor_get": (Cursors.get, None),
    "cursor_get_key": (Cursors.get_key, None),
    "cursor_get_value": (Cursors.get_value, None),
    "cursor_set_value": (Cursors.set_value, False),
    "cursor_remove": (Cursors.remove, False),
    "cursor_seize": (Cursors.seize, None),
    "cursor_accept": (Cursors.accept, False),
}
"""By the names that the environment's Lua has for them; and what each gives when it fails."""
