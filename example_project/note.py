"""The note that everybody may read and change, through either site: where it is in the cache, and what it is."""

from __future__ import annotations

from typing import Any

NOTE, CHANGES = "note", "note:changes"
"""The keys of the note and of how often it has been changed."""

LONGEST = 120


def written(text: str, site: str) -> dict[str, Any]:
    """Return a note as both sites keep it."""
    return {"text": " ".join(text.split())[:LONGEST], "site": site}


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of the records found."""
    return {"note": found.get(NOTE), "changes": found.get(CHANGES) or 0, "longest": LONGEST}
