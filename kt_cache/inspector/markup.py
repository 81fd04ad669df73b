"""HTML made of elements: what is not markup already is escaped, so that nothing a cache holds can become any."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = {"br", "hr", "input", "link", "meta"}


class Markup(str):
    """Text that is HTML already."""


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """Return an element: ``element("a", "text", href="...", class_="...")``.

    Children are markup, texts, numbers, or iterables of them; None is nothing. An attribute that is None or False is
    left out, and True is written without a value.
    """
    written = "".join(map(_attribute, attributes, attributes.values()))
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: object) -> Markup:
    """Return children one after the other."""
    return Markup("".join(map(_child, children)))


def _child(child: object) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, str) or not isinstance(child, Iterable):
        return escape(str(child))
    return join(*child)


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
