"""Scripts by which shells complete the command line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kt_core.commands.table import COMMANDS, SHELLS
from tests.commands.desk import Desk

BASH = """\
source "$1"
COMP_LINE="$2" COMP_POINT=${#2}
# As the shell splits a line: at blanks, and at the colons and equal signs in its words.
read -ra COMP_WORDS <<< "$(sed 's/\\([:=]\\)/ \\1 /g' <<< "$2")"
[[ "$2" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMPREPLY=()
_kt kt "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str) -> str:
    return Desk("kt://none")("completion", shell).text


@pytest.fixture
def bash(tmp_path: Path) -> Path:
    path = tmp_path / "kt.bash"
    path.write_text(script("bash"))
    return path


def completed(bash: Path, line: str) -> list[str]:
    """Return what bash offers for a line up to its end."""
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", str(bash), line], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kt re", ["report", "restore", "replicate"]),
        ("kt sta", ["status"]),
        ("kt --at kt://a st", ["status"]),
        ("kt --js", ["--json"]),
        ("kt keys --pre", ["--prefix"]),
        ("kt keys --prefix user: --l", ["--limit", "--long"]),
        ("kt --json clear --y", ["--yes"]),
        ("kt completion ", ["bash", "zsh", "fish"]),
        ("kt get --at emb", ["embedded://"]),
        ("kt --at kt", ["kt://127.0.0.1:1978", "kt+unix:///"]),
        ("kt --at kt:", ["//127.0.0.1:1978"]),
        ("kt --at kt://127", ["//127.0.0.1:1978"]),
    ],
)
def test_bash_completes(bash: Path, line: str, words: list[str]) -> None:
    found = completed(bash, line)
    assert found[: len(words)] == words
    assert line.endswith(" ") or len(found) == len(words)


def test_bash_completes_every_command(bash: Path) -> None:
    assert set(completed(bash, "kt ")) >= {*COMMANDS, "serve", "--at", "--help"}
    for name in COMMANDS:
        assert {"--json", "--help"} <= set(completed(bash, f"kt {name} --"))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_every_option(shell: str) -> None:
    text = script(shell)
    for name, command in COMMANDS.items():
        assert name in text
        for each in command.arguments:
            assert all(option.lstrip("-") in text for option in each.names if option.startswith("-"))


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_a_shell_understands_its_script(shell: str, tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(script(shell))
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
