"""What commands say, on a terminal and elsewhere."""

from __future__ import annotations

import pytest

from kt_cache.terminal import CommandFailed, Terminal, in_bytes, printable


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


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (20_000, "20 KiB"), (256 << 20, "256 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_have_units(size: int, shown: str) -> None:
    assert in_bytes(size) == shown
