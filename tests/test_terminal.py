"""What commands say, on a terminal and elsewhere."""

from __future__ import annotations

import pytest

from kt_core.terminal import CommandFailed, Terminal, printable, quoted


def test_a_line_may_be_styled() -> None:
    said: list[str] = []
    terminal = Terminal(said.append, styles={"good": lambda text: f"<{text}>"})
    terminal.line("done", "good")
    terminal.line("plain", "bad")
    assert said == ["<done>\n", "plain\n"]


def test_a_bar_is_for_those_who_watch() -> None:
    said: list[str] = []
    Terminal(said.append).progress(1, 2)
    assert said == []
    terminal = Terminal(said.append, interactive=True)
    terminal.progress(1_000, 2_000)
    terminal.line("half")
    terminal.line("way")
    assert said == ["\r\x1b[K[###############...............] 1,000 of 2,000", "\r\x1b[Khalf\n", "way\n"]


def test_a_bar_fits_into_the_line() -> None:
    said: list[str] = []
    terminal = Terminal(said.append, interactive=True, width=24)
    terminal.progress(1_000, 2_000)
    assert said == ["\r\x1b[K[###...] 1,000 of 2,000"]
    Terminal(said.append, interactive=True, width=10).progress(1_000, 2_000)
    assert said[1:] == ["\r\x1b[K1,000 of 2,000"]


def test_a_total_that_nobody_knows_has_no_bar() -> None:
    said: list[str] = []
    Terminal(said.append, interactive=True).progress(1_000, None)
    assert said == ["\r\x1b[K1,000"]


def test_a_bar_is_taken_away_once() -> None:
    said: list[str] = []
    terminal = Terminal(said.append, interactive=True)
    terminal.progress(0, 0)
    terminal.end()
    assert said == []
    terminal.progress(3, 2)
    terminal.end()
    terminal.end()
    assert said[1:] == ["\r\x1b[K"]


@pytest.mark.parametrize(("answer", "meant"), [("y", True), ("YES ", True), ("", False), ("no", False)])
def test_a_question_is_answered_with_yes_or_no(answer: str, meant: bool) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return answer

    assert Terminal(asked.append, ask=ask).confirm("Sure?") is meant
    assert asked == ["Sure? [y/N] "]


def test_nobody_answers_where_nobody_is() -> None:
    with pytest.raises(CommandFailed, match=r"Sure\? Nobody is there to be asked: write --noinput"):
        Terminal(print).confirm("Sure?")
    with pytest.raises(CommandFailed, match="write --yes to do it anyway"):
        Terminal(print).confirm("Sure?", "--yes")


def test_a_table_is_aligned() -> None:
    said: list[str] = []
    Terminal(said.append).table([("a", "1"), ("long", "2")])
    assert said == ["a     1\n", "long  2\n"]
    Terminal(said.append).table([])
    assert len(said) == 2


@pytest.mark.parametrize(
    ("text", "shown"), [("plain ä", "plain ä"), ("a\x1b[2Jb\n", r"a\x1b[2Jb\n"), ("\udcff\x00", r"\udcff\x00")]
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_columns_stand_under_their_heads() -> None:
    said: list[str] = []
    terminal = Terminal(said.append, styles={"dim": lambda text: f"<{text}>"}, width=20)
    terminal.columns(["db", "records", "path"], [["0", "5", "a"], ["10", "1,000", "bcde"]], right=[0, 1])
    assert said == ["<db  records  path>\n", " 0        5  a\n", "10    1,000  bcde\n"]
    terminal.columns(["only"], [])
    assert said[3:] == ["<only>\n"]


def test_columns_that_are_too_wide_are_lines() -> None:
    said: list[str] = []
    Terminal(said.append, width=15).columns(["db", "records", "path"], [["0", "5", "a"], ["1", "6", "b"]])
    assert "".join(said) == "db       0\nrecords  5\npath     a\n\ndb       1\nrecords  6\npath     b\n"


@pytest.mark.parametrize(
    ("data", "shown"), [(b"plain", "plain"), ("ä".encode(), "ä"), (b"\xff\x00\n\\", r"\xff\x00\n\\"), (b"", "")]
)
def test_bytes_are_quoted(data: bytes, shown: str) -> None:
    assert quoted(data) == shown
