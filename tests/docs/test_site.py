"""The site: every page can be found in it, and what it takes from elsewhere exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import yaml

from tests.docs.pages import every_page
from tests.processes import ROOT

DOCS = ROOT / "docs"
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def pages(entry: Any) -> Iterator[str]:
    """Yield the pages below an entry of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(each)


def test_every_page_is_in_the_navigation() -> None:
    assert sorted(pages(CONFIG["nav"])) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def test_every_link_leads_somewhere() -> None:
    broken = [
        (page.name, link)
        for page in every_page()
        for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_what_is_included_exists() -> None:
    included = [
        path for page in DOCS.rglob("*.md") for path in re.findall(r'^--8<-- "([^":]+)', page.read_text(), re.M)
    ]
    assert included
    assert [path for path in included if not (ROOT / path).is_file()] == []


def test_every_module_of_the_reference_exists() -> None:
    named = [name for page in (DOCS / "api").glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)]
    modules = [name.rpartition(".")[0] if name.rpartition(".")[2].istitle() else name for name in named]
    assert [name for name in modules if find_spec(name) is None] == []


def test_every_measurement_is_on_the_page_of_performance() -> None:
    text = (DOCS / "performance.md").read_text()
    results = (ROOT / "bench" / "results").glob("*.md")
    assert [path.name for path in results if f"bench/results/{path.name}:" not in text] == []


def test_every_module_that_a_contributor_is_sent_to_exists() -> None:
    lost = []
    for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines():
        named = re.findall(r"`([\w./]+)`", line)
        folders = [(ROOT / name).parent if "." in name else ROOT / name for name in named if "/" in name]
        for name in named:
            if name.endswith((".py", "/", ".lua", ".sh", ".md", ".yml")):
                lost += [name] * (not any((folder / name).exists() for folder in [ROOT, *folders]))
    assert lost == []
