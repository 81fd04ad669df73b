"""What is wrong on a page is found: each fault of a block is reported with where it is and what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.__main__ import main
from tests.docs.blocks import blocks
from tests.docs.playing import play
from tests.docs.shell import agree


def page(tmp_path: Path, *parts: str) -> Path:
    """Write a page whose blocks are these: the line of the fence, and what it holds."""
    path = tmp_path / "page.md"
    path.write_text("# A page\n\n" + "\n".join(f"```{part}\n```\n" for part in parts))
    return path


def played(tmp_path: Path, *parts: str) -> dict[str, int]:
    directory = tmp_path / "played"
    directory.mkdir()
    return dict(play(page(tmp_path, *parts), directory))


def test_what_is_right_is_counted(tmp_path: Path) -> None:
    right = (
        'python\nfrom decimal import Decimal\n\nstr(Decimal("1.50"))  # "1.50"',
        "python\nlen(str(Decimal(7)))  # 1",
        "console\n$ echo one\none\n$ echo two | tr a-z A-Z\nTWO",
        "console\n$ pip install 'kt-cache[django]'",
        'json\n{"a": 1}',
    )
    assert played(tmp_path, *right) == {"executed": 3, "checked": 2}


WRONG = {
    "another value": ("python\n1 + 1  # 3", "1 + 1 is 2, and not 3"),
    "another value inside": ("python\ndef f():\n    1 + 1  # 3\n\n\nf()", "1 + 1 is 2, and not 3"),
    "another awaited value": ("python\nasync def f():\n    return 1\n\n\nawait f()  # 2", "await f() is 1, and not 2"),
    "an exception": ('python\nraise ValueError("no")', "ValueError: no"),
    "an awaited exception": ("python\nimport asyncio\nawait asyncio.wait_for(asyncio.sleep(9), 0)", "TimeoutError"),
    "no Python": ("python\nif", "SyntaxError"),
    "a process that ends": ("python\nimport os\nos._exit(3)", "the process has ended with 3"),
    "a test that fails": ('python title="test_it.py"\ndef test_it():\n    assert 1 == 2', "1 failed"),
    "another output": ("console\n$ echo one\ntwo", "shows\none\n\nand not\ntwo"),
    "more output": ("console\n$ printf 'one\\ntwo\\n'\none", "and not\none"),
    "a command that fails": ("console\n$ exit 1", "ends with 1"),
    "a program that is not there": ("console\n$ nobody-has-this", "ends with 127"),
    "a server that does not start": ("console\n$ kt serve -port 1978 -nonsense &", "has ended:"),
    "an unknown extra": ("console\n$ pip install 'kt-cache[nothing]'", "kt-cache has no extra {'nothing'}"),
    "an unknown target": ("console\n$ make nothing", "no such target: {'nothing'}"),
    "a file that the page has not": ("console\n$ kubectl apply -f site.yaml", "the page has no site.yaml"),
    "a configuration that the page has not": (
        "console\n$ docker compose -f compose.yaml up",
        "the page has no compose.yaml",
    ),
    "a unit that there is not": ("console\n$ systemctl enable nobody.service", "there is no nobody.service"),
    "no YAML": ("yaml\na: [", "while parsing a flow"),
    "YAML of nothing known": ("yaml\na: 1", "a file of what? ['a']"),
    "half a manifest": ("yaml\nkind: Service", "Service has no apiVersion, metadata"),
    "a service without an image": (
        "yaml\nservices: {web: {command: flask run}}",
        "web has neither an image nor a build",
    ),
    "an unknown program": ("yaml\nservices: {a: {image: a, command: nobody-has-this}}", "nobody-has-this is not among"),
    "an unknown flag": ("yaml\nservices: {a: {image: a, command: kt serve -nonsense}}", "nonsense"),
    "an unknown command": ("yaml\nservices: {a: {image: a, command: kt nothing}}", "kt nothing: no such command"),
    "no TOML": ("toml\na =", "Invalid value"),
    "no JSON": ("json\n{", "Expecting property name"),
    "an ini file of nothing known": ("ini\n[site]\na = 1", "a file of what? ['site']"),
    "no ini file": ("ini\na = 1", "no section headers"),
    "no Dockerfile": ("dockerfile\nRUN true", "begins with RUN"),
    "no Lua": ("lua\nif", "unexpected symbol"),
    "an unknown language": ("rust\nfn main() {}", "nobody can run rust"),
    "no language": ("\nwhat is this?", "nobody can run a block without a language"),
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_reported_with_its_place(wrong: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as raised:
        played(tmp_path, "console\n$ echo right\nright", wrong)
    assert "page.md:8" in str(raised.value)
    assert said in str(raised.value)


def test_a_block_that_does_not_end_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```python\nassert False\n")
    with pytest.raises(AssertionError, match=r"page\.md: a fence has no other end"):
        list(blocks(path))


def test_a_block_in_a_list_is_a_block(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("* First:\n\n  ```python\n  if True:\n      pass\n  ```\n")
    (found,) = blocks(path)
    assert found.code == "if True:\n    pass\n"


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("1 record", "1   record\n"),
        ("... in ... ms", "1 record in 0.3 ms\n"),
        ("get/s   8,521  ▁▂▃", "get/s       12  ▁\n"),
        ("hit ratio  91.9%  ███\nsize  1.9 MiB  ███", "hit ratio     -  ▁▁▁\nsize      12 B  ▁▁\n"),
    ],
)
def test_what_may_differ(shown: str, found: str) -> None:
    assert agree(shown, found)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("1 record", "2 records\n"),
        ("... in ... ms", "1 record\n"),
        ("get/s   8,521  ▁▂▃", "set/s   8,521  ▁▂▃\n"),
        ("one", "one\ntwo\n"),
        ("a.c", "abc\n"),
    ],
)
def test_what_may_not_differ(shown: str, found: str) -> None:
    assert not agree(shown, found)


def test_the_command_tells_the_figures_of_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options.md"]) == 0
    assert re.search(r"^docs/options\.md +1 +0$", capsys.readouterr().out, re.MULTILINE)
