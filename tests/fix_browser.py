"""Whether there is a browser for the tests that need one, as a plugin of pytest."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Return the path of a Chromium, None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def pytest_report_header() -> str:
    """Tell which browser was found."""
    return f"Chromium: {find_chromium() or 'none, so the tests of tests/browser are absent'}"
