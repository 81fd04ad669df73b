"""What may not be run in a test, and what is no program: how each is checked instead.

Commands that need the network, root or a cluster, by their first word, and files by their language. What is named
in them has to exist: extras of the package, targets of the Makefile, programs and their flags, files of the page.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import yaml
from packaging.requirements import Requirement

from kt_core.server.command import KYOTO, choose_program
from kt_core.server.flags import read
from tests.processes import ROOT

_Words = list[str]


# -- commands ----------------------------------------------------------------------------------------------


def check_command(words: _Words, directory: Path) -> None:
    """Check a command line that is not run."""
    (CHECKED | CHECKED_WHERE_MISSING)[words[0]](words, directory)


def check_program(words: _Words) -> None:
    """Check the command of a container: one of ours with flags that there are, or of a known package."""
    name = Path(words[0]).name
    if name == "kt" or words[:3] == ["python", "-m", "kt_core.server"]:
        arguments = words[2:] if name == "kt" else words[3:]
        if name == "kt" and words[1] != "serve":
            from kt_core.commands.table import COMMANDS

            assert words[1] in COMMANDS, f"kt {words[1]}: no such command"
            return
        program, own = choose_program("kt", arguments)
        read(program, own)
    else:
        assert name in _PROGRAMS, f"{name} is not among the programs that pages may name"


_PROGRAMS: Final = {"gunicorn", "uwsgi", "celery", "python", "flask"}


def _pip(words: _Words, directory: Path) -> None:
    assert words[1] == "install", words
    for word in words[2:]:
        if not word.startswith("-"):
            _check_requirement(word)


def _check_requirement(text: str) -> None:
    requirement = Requirement(text)
    if requirement.name == "kt-cache":
        missing = requirement.extras - _project()["optional-dependencies"].keys()
        assert not missing, f"kt-cache has no extra {missing}"


@cache
def _project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def _make(words: _Words, directory: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for word in words[1:] if "=" not in word}
    assert named <= targets, f"no such target: {named - targets}"


def _files(words: _Words, directory: Path) -> None:
    """Check that the files which follow -f or --ini are on the page."""
    for flag, value in pairwise(words):
        assert flag not in ("-f", "--ini") or (directory / value).exists(), (
            f"{' '.join(words)}: the page has no {value}"
        )


def _unit(words: _Words, directory: Path) -> None:
    for word in words[1:]:
        assert not word.endswith(".service") or (ROOT / "docs" / "deploy" / word).exists(), f"there is no {word}"


def _original(words: _Words, directory: Path) -> None:
    """Check a command of the original server, whose flags ours has, too."""
    read(KYOTO, words[1:])


CHECKED: Final[dict[str, Callable[[_Words, Path], None]]] = {
    "pip": _pip,
    "make": _make,
    "docker": _files,
    "kubectl": _files,
    "systemctl": _unit,
}
"""Commands that are checked, and never run."""
CHECKED_WHERE_MISSING: Final[dict[str, Callable[[_Words, Path], None]]] = {
    "ktserver": _original,
    "ktremotemgr": lambda words, directory: None,
    "uwsgi": _files,
}
"""Programs that are run where they are found."""


# -- files -------------------------------------------------------------------------------------------------


def check_file(language: str, code: str) -> None:
    """Check a file of a page."""
    FILES[language](code)


def _toml(code: str) -> None:
    tomllib.loads(code)


def _ini(code: str) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(code)
    assert parser.has_option("uwsgi", "module"), f"a file of what? {parser.sections()}"


def _yaml(code: str) -> None:
    for document in yaml.safe_load_all(code):
        if "kind" in document:
            missing = {"apiVersion", "metadata"} - document.keys()
            assert not missing, f"{document['kind']} has no {', '.join(sorted(missing))}"
        elif "services" in document:
            for name, service in document["services"].items():
                assert service.keys() & {"image", "build"}, f"{name} has neither an image nor a build"
        else:
            assert "scrape_configs" in document, f"a file of what? {sorted(document)}"
            for job in document["scrape_configs"]:
                assert {"job_name", "static_configs"} <= job.keys(), f"{job} has no job_name, or no static_configs"
        for command in _commands(document):
            check_program(command)


def _commands(value: Any) -> Iterator[_Words]:
    """Yield the commands in a YAML document, at whatever depth."""
    if isinstance(value, dict):
        if isinstance(value.get("command"), list | str):
            command = value["command"]
            yield shlex.split(command) if isinstance(command, str) else [*command, *value.get("args", ())]
        for each in value.values():
            yield from _commands(each)
    elif isinstance(value, list):
        for each in value:
            yield from _commands(each)


def _dockerfile(code: str) -> None:
    steps = [line.split(maxsplit=1) for line in re.sub(r"\\\n", "", code).splitlines() if line[:1] not in ("", "#")]
    assert steps[0][0] == "FROM", f"begins with {steps[0][0]}, and not FROM"
    for instruction, rest in steps:
        if instruction == "RUN":
            words = shlex.split(rest)
            if words[0] in CHECKED:
                check_command(words, ROOT)
        elif instruction in ("CMD", "ENTRYPOINT"):
            check_program(json.loads(rest))
        else:
            assert instruction in _INSTRUCTIONS, f"{instruction} is no instruction"


_INSTRUCTIONS: Final = {"FROM", "COPY", "WORKDIR", "ENV", "EXPOSE", "USER", "VOLUME"}


def _lua(code: str) -> None:
    import lupa

    compiled = lupa.LuaRuntime().globals().loadstring or lupa.LuaRuntime().globals().load
    result = compiled(code)
    assert not isinstance(result, tuple), result[1]


FILES: Final[dict[str, Callable[[str], None]]] = {
    "toml": _toml,
    "ini": _ini,
    "yaml": _yaml,
    "dockerfile": _dockerfile,
    "lua": _lua,
    "json": lambda code: json.loads(code),
}
"""Languages of files that are checked, and never run by themselves."""
