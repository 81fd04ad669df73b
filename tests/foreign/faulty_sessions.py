"""An engine that stores a session again which has been deleted: a suite that accepts it does not test engines."""

from __future__ import annotations

from kt_cache.django import sessions


class SessionStore(sessions.SessionStore):
    """A session that does not stay deleted."""

    def save(self, must_create: bool = False) -> None:
        try:
            super().save(must_create)
        except sessions.UpdateError:
            super().save(must_create=True)
