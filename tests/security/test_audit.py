"""The audit of the dependencies says when it knows nothing."""

from __future__ import annotations

import json

import pytest

from tests.security.__main__ import judge

FINE = {"name": "fine", "version": "1", "vulns": []}
OURS = {"name": "kt-cache", "skip_reason": "distribution marked as editable"}
UNKNOWN = {"name": "odd", "skip_reason": "Dependency not found on PyPI and could not be audited: odd (1)"}
FLAWED = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3", "4"]}]}


@pytest.mark.parametrize(
    ("found", "status", "text"),
    [
        ([FINE, OURS], 0, "No known vulnerability in 1 packages."),
        ([FINE, FLAWED], 1, "bad 2: PYSEC-1, mended in 3, 4"),
        ([UNKNOWN, FLAWED], 1, "bad 2: PYSEC-1, mended in 3, 4"),
        ([FINE, UNKNOWN, OURS], 2, "The advisory service does not know 1 of 2 packages (odd)"),
    ],
)
def test_what_was_found_is_told(found: list[dict[str, object]], status: int, text: str) -> None:
    verdict = judge(json.dumps({"dependencies": found, "fixes": []}), "")
    assert (verdict.status, verdict.text[: len(text)]) == (status, text)


@pytest.mark.parametrize("complaints", ["Traceback\nConnectionError: refused\n", ""])
@pytest.mark.parametrize("output", ["", "[]", "{}"])
def test_where_there_is_no_service_that_is_told(output: str, complaints: str) -> None:
    verdict = judge(output, complaints)
    assert verdict.status == 2
    assert verdict.text.startswith("The advisory service cannot be asked, so nothing is known: ")
    assert verdict.text.endswith("refused" if complaints else "it says nothing")
