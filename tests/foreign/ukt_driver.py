"""Run the tests of the client `ukt` against the server that KT_BINARY names, and print what became of each as JSON.

It runs in an environment of its own, which has nothing of this project.
"""

from __future__ import annotations

import json
import sys
import unittest
from typing import Any

from ukt import tests  # type: ignore[import-not-found]


class Outcomes(unittest.TestResult):
    """Remembers every test that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        self.ran.append(test.id())


def run() -> dict[str, Any]:
    """Run them, and return the names of those that ran and the texts of those that failed."""
    outcomes = Outcomes()
    unittest.defaultTestLoader.loadTestsFromModule(tests).run(outcomes)
    failed = {test.id(): text for test, text in [*outcomes.failures, *outcomes.errors]}
    return {"ran": outcomes.ran, "failed": failed, "skipped": [test.id() for test, _ in outcomes.skipped]}


if __name__ == "__main__":
    json.dump(run(), sys.stdout)
