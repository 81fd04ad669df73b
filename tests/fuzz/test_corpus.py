"""The inputs that fuzzing begins with, and those it once failed on, as tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.lines import ROOT, in_functions, noting
from tests.fuzz.servers import SERVERS
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


def test_every_module_of_the_wire_is_reached() -> None:
    with noting() as lines:
        for path in INPUTS:
            if path.parent.name not in SERVERS:
                TARGETS[path.parent.name](path.read_bytes())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kt_core/wire").glob("*.py") if in_functions(path)}
    modules.remove("kt_core/wire/tt_messages.py")  # it only names what others decode
    assert modules - {path for path, reached in lines.items() if reached} == set()
