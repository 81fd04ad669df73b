"""Each limit that is told of has the test that is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "docs/security.md").read_text())


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_the_test_of_a_limit_exists(path: str, name: str) -> None:
    assert re.search(rf"^ *(?:async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_limit_has_one() -> None:
    text = (ROOT / "docs/security.md").read_text().partition("## Limits")[2].partition("##")[0]
    assert len(re.findall(r"^\| ", text, re.MULTILINE)) == len(NAMED) + 1 > 20
