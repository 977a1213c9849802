"""Nothing is missing from the reference, and nothing in it is stale."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from catalog_server.catalog.registry import discover
from catalog_server.settings import TABLE
from tests.docs.pages import ROOT, text_of

GENERATORS = sorted(path.name for path in (ROOT / "tools").glob("gen_*.py"))


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / "tools" / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", GENERATORS)
def test_generated_page_when_checked_then_is_up_to_date(name: str) -> None:
    """A generated page is what its tool would write now."""
    assert _load(name).main(["--check"]) == 0, f"stale; run: .venv/bin/python tools/{name}"


def test_settings_when_looked_up_then_each_is_documented() -> None:
    """Each variable and each flag stands in the reference."""
    page = text_of("docs/reference/settings.md")
    names = [name for row in TABLE for name in (row.variable, row.flag) if name]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_routes_when_looked_up_then_each_is_documented() -> None:
    """Each route of the API document stands in the reference."""
    page = text_of("docs/reference/http-api.md")
    paths = _load("gen_api_reference.py").read_document()["paths"]
    routes = [f"`{method.upper()} {path}`" for path, methods in paths.items() for method in methods]
    assert [route for route in routes if route not in page] == []


def test_kinds_when_looked_up_then_each_field_is_documented() -> None:
    """Each kind has a section, and each of its fields a row in it."""
    sections = text_of("docs/reference/kinds.md").split("\n## ")
    by_title = {section.partition("\n")[0]: section for section in sections[1:]}
    for plugin in discover():
        section = by_title[plugin.kind.display_name]
        missing = [field.path for field in plugin.kind.fields if f"| `{field.path}` |" not in section]
        assert missing == [], f"{plugin.kind.name}: {missing}"


def test_readme_when_looked_up_then_lists_every_catalog() -> None:
    """The first page has the list route of each plugin."""
    page = text_of("README.md")
    assert [plugin.list_path for plugin in discover() if plugin.list_path not in page] == []


def test_glossary_when_looked_up_then_defines_the_words_of_the_house() -> None:
    """One word for one concept, and each of them defined."""
    page = text_of("docs/glossary.md")
    words = (
        "plugin",
        "kind",
        "entity",
        "artifact",
        "source",
        "provider",
        "record",
        "label",
        "facet",
        "scope",
        "tenant",
    )
    assert [word for word in words if f"**{word}**" not in page] == []
