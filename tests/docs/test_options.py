"""The tables of settings: every one there is, with its true default, and no other."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any, Final

import pytest

from kt_cache.flask.cache import _SETTINGS as CACHE_SETTINGS
from kt_cache.flask.sessions import _DEFAULTS as SESSION_SETTINGS
from kt_cache.options import AerospikeOptions, EmbeddedOptions, KyotoOptions, Options, TyrantOptions
from kt_core.sizes import in_bytes
from tests.processes import ROOT

_PLACES: Final = {"place", "servers", "store"}
"""Fields that are told by the location."""


def table(page: str, heading: str) -> dict[str, str]:
    """Return the names and the defaults of the table under a heading."""
    text = (ROOT / "docs" / page).read_text()
    _, _, section = text.partition(f"\n## {heading}\n")
    section = section.partition("\n## ")[0]
    found = {}
    for names, default in re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", section, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), default)
    return found


def shown(default: Any) -> str:
    """Return what a page says for a default."""
    if default is None or default in ((), "", {}):
        return "none"
    if isinstance(default, int) and default >= 1 << 20:
        return f"`{in_bytes(default).replace(' ', '')}`"
    return f"`{default}`"


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Every location", Options),
        ("`embedded://`", EmbeddedOptions),
        ("`kt://`", KyotoOptions),
        ("`tt://`", TyrantOptions),
        ("`aerospike://`", AerospikeOptions),
    ],
)
def test_every_option_is_there_with_its_default(heading: str, kind: type[Any]) -> None:
    told = {name: text.partition(":")[0] for name, text in table("options.md", heading).items()}
    true = {each.name: each.default for each in fields(kind) if each.name not in _PLACES}
    expected = {name: shown(default) for name, default in true.items() if default is not MISSING}
    if kind is AerospikeOptions:
        expected |= dict.fromkeys(("namespace", "set"), "in the location")
    assert told == expected


def test_every_setting_of_flask_is_there() -> None:
    assert table("options.md", "Flask-Caching").keys() == CACHE_SETTINGS.keys()


def test_every_setting_of_sessions_is_there_with_its_default() -> None:
    told = table("sessions.md", "Flask")
    assert told == {name: shown(default) for name, default in SESSION_SETTINGS.items()}


@pytest.mark.parametrize("adapter", ["django", "flask"])
def test_every_setting_of_the_inspector_is_there(adapter: str) -> None:
    source = (ROOT / "kt_cache" / adapter / "inspector.py").read_text()
    text = (ROOT / "docs" / "options.md").read_text()
    assert [name for name in set(re.findall(r'"(KT_\w+)"', source)) if f"`{name}`" not in text] == []


def test_every_setting_of_djangos_sessions_is_there() -> None:
    source = (ROOT / "kt_cache" / "django" / "sessions.py").read_text()
    assert set(re.findall(r'"(KT_\w+)"', source)) == {
        name for name in table("sessions.md", "Django") if name.startswith("KT_")
    }
