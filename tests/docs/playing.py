"""Playing a page: all its blocks in their order, in one directory, with one Python process and one shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kt_core.transport import Address
from tests.docs.blocks import Block, blocks
from tests.docs.checks import FILES, check_file
from tests.docs.pages import DJANGO, MANAGE, PAGES, URLS, Page
from tests.docs.shell import Shell
from tests.fix_aerospike import serving
from tests.fix_servers import free_port, running
from tests.processes import ROOT

_PORT = re.compile(r"\b(?:1978|1979|1980|2978|8000|11211)\b")
_PATIENCE = 60  # seconds


class Interpreter:
    """The process that runs a page's Python."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.interpreter"],
            cwd=directory,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, language: str, code: str) -> str | None:
        """Run a block; return what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"language": language, "code": code}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return json.loads(answer) if answer else f"the process has ended with {self._process.wait(_PATIENCE)}"

    def close(self) -> None:
        """End it as a program ends."""
        self._process.communicate(timeout=_PATIENCE)


def play(path: Path, directory: Path) -> Counter[str]:
    """Run the blocks of a page in an empty directory; return how many were executed, and how many checked."""
    page = PAGES.get(os.path.relpath(path, ROOT), Page())
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        environ = _environ(page, directory)
        ports = _Ports()
        for port, databases in page.servers.items():
            address = Address(port=int(ports[str(port)]))
            stack.enter_context(running("bundled", address=address, databases=databases.split()))
        if page.aerospike:
            (_, port), *_ = stack.enter_context(serving("test server")).hosts
            ports["3000"] = str(port)
        environ["KT_URL"] = f"kt://127.0.0.1:{ports['1978']}"
        shell = Shell(directory, environ)
        stack.callback(shell.close)
        interpreter: Interpreter | None = None
        for block in blocks(path):
            code = _here(block.code, page, ports, directory)
            is_addition = False
            if block.title is not None:
                target = directory / block.title
                is_addition = target.exists()
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("a") as file:
                    file.write(code)
            if is_addition:  # to what a program of the page reads
                counts["executed"] += 1
            elif block.language in ("python", "html"):
                if interpreter is None:
                    interpreter = _interpreter(stack, page, directory, environ)
                counts["executed"] += _python(interpreter, block, code, directory, environ)
            elif block.language == "console":
                with _at(block):
                    counts["executed" if shell.run(code) else "checked"] += 1
            elif block.language in FILES:
                with _at(block):
                    check_file(block.language, code)
                counts["checked"] += 1
            else:
                raise AssertionError(f"{block.where}: nobody can run {block.language or 'a block without a language'}")
    return counts


class _Ports(dict[str, str]):
    """The ports that a page writes, and those that they are here."""

    def __missing__(self, port: str) -> str:
        self[port] = str(free_port())
        return self[port]


def _here(code: str, page: Page, ports: _Ports, directory: Path) -> str:
    for there, here in page.renamed.items():
        code = re.sub(
            rf"(?<![\w.]){re.escape(there)}(?![\w-])(?::(?=\d))?", lambda found, here=here: _host(found, here), code
        )
    code = _PORT.sub(lambda found: ports[found[0]], code)
    if page.aerospike:
        code = code.replace("3000", ports["3000"])
    return re.sub(r"(?<![\w/])/(var/lib|run|srv)/", rf"{directory}/\1/", code)


def _host(found: re.Match[str], here: str) -> str:
    return here.partition(":")[0] + ":" if found[0].endswith(":") else here


def _environ(page: Page, directory: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("LANG", "LC_ALL", "AEROSPIKE_HOST")}
    environ = {
        **kept,
        "HOME": str(directory),
        "NO_COLOR": "1",
        "PATH": os.pathsep.join([str(directory), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)]),
        "TMPDIR": str(directory),
        "XDG_RUNTIME_DIR": str(directory),
        "XDG_STATE_HOME": str(directory / "state"),
    }
    for folder in ("var/lib", "run", "srv", "state"):
        (directory / folder).mkdir(parents=True, mode=0o700, exist_ok=True)
    if page.django:
        environ["DJANGO_SETTINGS_MODULE"] = "settings"
        (directory / "settings.py").write_text(DJANGO)
        (directory / "urls.py").write_text(URLS)
        (directory / "manage.py").write_text(MANAGE)
        (directory / "manage.py").chmod(0o755)
    return environ


def _interpreter(stack: ExitStack, page: Page, directory: Path, environ: Mapping[str, str]) -> Interpreter:
    interpreter = Interpreter(directory, environ)
    stack.callback(interpreter.close)
    error = interpreter.run("python", page.names)
    assert error is None, f"what the page takes for granted:\n{error}"
    return interpreter


def _python(interpreter: Interpreter, block: Block, code: str, directory: Path, environ: Mapping[str, str]) -> int:
    name = Path(block.title or "").name
    if name == "conftest.py":  # runs with the tests
        return 1
    if name.startswith("test_"):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", str(block.title)],
            cwd=directory, env=environ, capture_output=True, text=True, timeout=_PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block.where}:\n{done.stdout}\n{done.stderr}"
        return 1
    error = interpreter.run(block.language, code)
    assert error is None, f"{block.where}:\n{error}"
    return 1


@contextmanager
def _at(block: Block) -> Iterator[None]:
    """Say in an error which block it is about."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{block.where}: {error}") from error
