"""A process that runs the Python blocks of one page in order, as one module would; a program of its own.

It is told each block as a line of JSON, and answers with one: null, or what went wrong.

* Blocks that assign settings of Django configure it, and what they configure is used: every cache stores and reads
  a value, and the session engine a session.
* ``await`` stands at the top as in an asynchronous function.
* Where a value is said behind an expression (``client.get("k")  # "v"``), it is compared.
* A template of Django is rendered.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import json
import os
import sys
import tokenize
import traceback
from contextlib import redirect_stdout
from types import CodeType, ModuleType
from typing import Any


class _Page:
    def __init__(self) -> None:
        module = ModuleType("page")
        sys.modules["page"] = module  # what a block defines can be pickled
        self._names: dict[str, Any] = module.__dict__
        self._loop = asyncio.new_event_loop()
        if "DJANGO_SETTINGS_MODULE" in os.environ:
            import django

            django.setup()

    def python(self, code: str) -> None:
        """Run a block."""
        tree = ast.parse(code)
        expected = _expected(code)
        for node in tree.body:
            end = node.end_lineno or node.lineno
            if isinstance(node, ast.Expr) and end in expected:
                value = self._run(compile(ast.Expression(node.value), "block", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
                if value != expected[end]:
                    raise AssertionError(f"{ast.unparse(node)} is {value!r}, and not {expected[end]!r}")
            else:
                module = ast.Module([node], [])
                self._run(compile(module, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | _future(tree)))
        settings = {name: self._names[name] for name in _assigned(tree)}
        if "DJANGO_SETTINGS_MODULE" in os.environ and any(map(_is_setting, settings)):
            _configure(settings)

    def html(self, code: str) -> None:
        """Render a template."""
        from django.template import Context, engines

        engines["django"].engine.from_string(code).render(Context(self._names))  # type: ignore[attr-defined]

    def _run(self, code: CodeType) -> Any:
        value = eval(code, self._names)
        return self._loop.run_until_complete(value) if inspect.iscoroutine(value) else value


def _future(tree: ast.Module) -> int:
    import __future__

    has = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    return __future__.annotations.compiler_flag if has else 0


def _expected(code: str) -> dict[int, Any]:
    """Return the values that comments say, by their lines."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            try:
                found[token.start[0]] = ast.literal_eval(token.string.lstrip("# "))
            except (SyntaxError, ValueError):
                continue
    return found


def _assigned(tree: ast.Module) -> list[str]:
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return [target.id for target in targets if isinstance(target, ast.Name) and target.id.isupper()]


def _is_setting(name: str) -> bool:
    from django.conf import global_settings

    return hasattr(global_settings, name) or name.startswith("KT_")


def _configure(settings: dict[str, Any]) -> None:
    """Change Django's settings, and use what they are about."""
    from importlib import import_module

    from django.conf import settings as current
    from django.core.cache import caches
    from django.core.management import call_command
    from django.test import override_settings

    for name in ("INSTALLED_APPS", "MIDDLEWARE"):
        if ... in settings.get(name, ()):
            own = [each for each in settings[name] if each is not ...]
            settings[name] = [*own, *(each for each in getattr(current, name) if each not in own)]
    override_settings(**settings).enable()
    for alias in settings.get("CACHES", ()):
        cache = caches[alias]
        cache.set("docs", alias, 60)
        if cache.get("docs") != alias or not cache.delete("docs"):
            raise AssertionError(f"the cache {alias} does not keep what it is given")
    if "SESSION_ENGINE" in settings:
        engine = import_module(current.SESSION_ENGINE)
        session = engine.SessionStore()
        session["docs"] = 1
        session.save()
        if engine.SessionStore(session.session_key).get("docs") != 1:
            raise AssertionError("the session engine does not keep what it is given")
        session.delete()
    call_command("check", fail_level="ERROR", verbosity=0, stdout=io.StringIO(), stderr=io.StringIO())


def main() -> None:
    """Answer until the input ends."""
    answers = sys.stdout
    page = _Page()
    for line in sys.stdin:
        asked = json.loads(line)
        error = None
        try:
            with redirect_stdout(sys.stderr):
                getattr(page, asked["language"])(asked["code"])
        except BaseException:
            error = traceback.format_exc()
        answers.write(json.dumps(error) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
