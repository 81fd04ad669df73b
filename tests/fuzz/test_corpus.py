"""The inputs that fuzzing begins with, and those it once failed on, as tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
INPUTS = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_inputs(path: Path) -> None:
    data = path.read_bytes()
    for first in {data[:1], b"\0", b"\1", b"\6", b"\xff"}:
        TARGETS[path.parent.name](first + data[1:])


def test_every_target_has_a_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)
