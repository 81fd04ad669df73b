"""A process that runs the Python blocks of one page in order, as one module would; a program of its own.

It is told each block as a line of JSON, and answers with one: null, or what went wrong.

* Blocks that assign settings of Django configure it, and what they configure is used: every cache stores and reads
  a value, and the session engine a session.
* ``await`` stands at the top as in an asynchronous function.
* Where a value is said behind an expression (``client.get("k")  # "v"``), at whatever depth, it is compared.
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
from collections.abc import Mapping
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any, Final


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
        tree = ast.fix_missing_locations(_Comparing(_expected(code)).visit(ast.parse(code)))
        self._names[_COMPARE] = _compare
        value = eval(compile(tree, "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), self._names)
        if inspect.iscoroutine(value):
            self._loop.run_until_complete(value)
        settings = {name: self._names[name] for name in _assigned(tree)}
        if "DJANGO_SETTINGS_MODULE" in os.environ and any(map(_is_setting, settings)):
            _configure(settings)

    def html(self, code: str) -> None:
        """Render a template."""
        from django.template import Context, engines

        engines["django"].engine.from_string(code).render(Context(self._names))  # type: ignore[attr-defined]


class _Comparing(ast.NodeTransformer):
    """Puts a comparison around every expression whose value is expected."""

    def __init__(self, expected: Mapping[int, Any]) -> None:
        self._expected = expected

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if node.end_lineno not in self._expected:
            return node
        arguments = [node.value, ast.Constant(ast.unparse(node.value)), _literal(self._expected[node.end_lineno])]
        return ast.copy_location(ast.Expr(ast.Call(ast.Name(_COMPARE, ast.Load()), arguments, [])), node)


_COMPARE: Final = "__compare__"


def _compare(value: object, source: str, expected: object) -> None:
    if value != expected:
        raise AssertionError(f"{source} is {value!r}, and not {expected!r}")


def _literal(value: object) -> ast.expr:
    return ast.parse(repr(value), mode="eval").body


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
