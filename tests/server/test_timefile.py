"""The file that remembers how far a master was followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kt_core.server.timefile import TimeFile


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = TimeFile(tmp_path / "rts", 20)
    assert file.read() == 0
    for ts in (1795295664294000002, 7):
        file.write(ts)
        assert file.read() == ts
        assert (tmp_path / "rts").read_text() == f"{ts:020d}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["rts"]


def test_digits_may_be_as_few_as_there_are(tmp_path: Path) -> None:
    TimeFile(tmp_path / "rts").write(12)
    assert (tmp_path / "rts").read_text() == "12\n"


@pytest.mark.parametrize("content", ["", "soon", "1 2"])
def test_what_says_nothing_is_the_beginning(tmp_path: Path, content: str) -> None:
    (tmp_path / "rts").write_text(content)
    assert TimeFile(tmp_path / "rts").read() == 0
