"""A clock that stands still until a test moves it."""

from __future__ import annotations


class Clock:
    """Called, it gives seconds since the epoch; moved by binary fractions it stays exact."""

    def __init__(self, seconds: float = 1_700_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds

    def after(self, seconds: float) -> int:
        """Return the expiry, in milliseconds, of what is to be seen for so many seconds from now."""
        return int((self.seconds + seconds) * 1000)
