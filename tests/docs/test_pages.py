"""Every code block of every page does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from kt_core.commands.table import COMMANDS
from kt_core.server.command import KYOTO
from kt_core.server.flags import Program
from kt_core.server.tyrant.command import TYRANT
from tests.docs.blocks import blocks
from tests.docs.pages import PAGES, every_page
from tests.docs.playing import play
from tests.processes import ROOT

WITH_BLOCKS = [page for page in every_page() if any(blocks(page))]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.stem)
def test_every_block_does_what_it_says(page: Path, tmp_path: Path) -> None:
    play(page, tmp_path)


def test_nothing_is_told_of_a_page_that_is_gone() -> None:
    assert {ROOT / name for name in PAGES} <= set(every_page())


def test_every_command_is_on_the_page_of_kt() -> None:
    text = (ROOT / "docs" / "kt.md").read_text()
    assert [name for name in COMMANDS if f"kt {name}" not in text and f"`{name}`" not in text] == []


@pytest.mark.parametrize(("page", "program"), [("compatibility.md", KYOTO), ("tyrant.md", TYRANT)])
def test_every_flag_that_is_refused_is_on_the_page_of_what_differs(page: str, program: Program) -> None:
    text = (ROOT / "docs" / page).read_text()
    assert [flag for flag in program.refused if f"`{flag}`" not in text] == []
