"""The error that carries every fault of a configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from catalog_server.errors import Invalid, Location
from catalog_server.sources.config import (
    ConfigWarning,
    InvalidConfig,
    NamedCondition,
    Section,
    Source,
    SourcesConfig,
    changed_sections,
    definition_digest,
    shown_identity,
)

SOURCE = Source(
    id="a",
    name="A",
    type="yaml",
    origin="/etc/catalog/sources.yaml",
    location=Location("sources.yaml", 4),
    labels=("x",),
    properties={"limit": 1, "nested": {"p": [True, None, 1.5], "q": "é"}},
    included=("i",),
    excluded=("e",),
)
SECTION = Section("mcp", (SOURCE,), ({"name": "x"},), {"q": {"f": NamedCondition("=", 1)}})


def test_many_faults_then_message_lists_twenty_and_counts_the_rest() -> None:
    errors = [Invalid(f"fault {n}", field=f"f{n}", location=Location("s.yaml", n), code="c") for n in range(1, 26)]
    error = InvalidConfig(errors)
    lines = error.message.splitlines()
    assert lines[0] == "s.yaml:1: fault 1"
    assert lines[20:] == ["and 5 more errors"]
    assert (error.field, error.code, error.location) == ("f1", "c", Location("s.yaml", 1))
    assert error.errors == tuple(errors)


def test_few_faults_then_one_line_each() -> None:
    assert InvalidConfig([Invalid("a"), Invalid("b")]).message == "a\nb"


def test_warning_then_reads_like_an_error() -> None:
    assert str(ConfigWarning("odd", "kind", Location("s.yaml", 2, 1))) == "s.yaml:2:1: kind: odd"


def test_defaults_then_not_shared() -> None:
    first = Source(id="a", name="A", type="yaml", origin="/f", location=Location("f", 1))
    second = Source(id="b", name="B", type="yaml", origin="/f", location=Location("f", 1))
    assert first.properties is not second.properties
    assert Section("a").named_queries == {}


def of(*sections: Section) -> SourcesConfig:
    return SourcesConfig(sections={section.key: section for section in sections})


def with_source(**changes: Any) -> Section:
    return replace(SECTION, sources=(replace(SOURCE, **changes),))


@pytest.mark.parametrize(
    "other",
    [
        with_source(origin="/etc/catalog/other.yaml"),
        with_source(name="B"),
        with_source(enabled=False),
        with_source(labels=()),
        with_source(namespace="team"),
        with_source(properties={**SOURCE.properties, "limit": True}),
        with_source(properties={**SOURCE.properties, "limit": 1.0}),
        replace(SECTION, sources=()),
        replace(SECTION, sources=(SOURCE, replace(SOURCE, namespace="team"))),
        replace(SECTION, labels=()),
        replace(SECTION, named_queries={"q": {"f": NamedCondition("=", True)}}),
        Section("mcp"),
    ],
)
def test_content_of_a_section_when_other_then_changed(other: Section) -> None:
    """The values 1, 1.0 and true differ, though Python takes them for equal."""
    models = Section("models", (SOURCE,))
    assert changed_sections(of(models, SECTION), of(models, other)) == ("mcp",)
    assert changed_sections(of(models, other), of(models, SECTION)) == ("mcp",)


def test_sections_when_only_lines_or_the_order_of_keys_differ_then_unchanged() -> None:
    moved = with_source(location=Location("sources.yaml", 9), properties=dict(reversed(SOURCE.properties.items())))
    assert changed_sections(of(SECTION), of(moved)) == ()
    assert changed_sections(replace(of(SECTION), files=("/a",)), replace(of(SECTION), files=("/b",))) == ()


def test_section_when_missing_then_as_an_empty_one() -> None:
    assert changed_sections(of(SECTION), of(SECTION, Section("models"))) == ()
    assert changed_sections(of(Section("models")), of(SECTION)) == ("mcp",)
    assert changed_sections(of(SECTION, replace(SECTION, key="agents")), of()) == ("agents", "mcp")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "git"},
        {"namespace": "team"},
        {"origin": "/etc/other/sources.yaml"},
        {"origin": "configmap:ns/name[sources.yaml]"},
        {"properties": {**SOURCE.properties, "limit": True}},
        {"properties": {**SOURCE.properties, "limit": 1.0}},
        {"properties": {}},
        {"included": ()},
        {"included": ("e",), "excluded": ("i",)},
    ],
)
def test_digest_when_what_is_fetched_or_kept_differs_then_another(changes: dict[str, Any]) -> None:
    assert definition_digest(replace(SOURCE, **changes)) != definition_digest(SOURCE)


def test_digest_when_the_rest_differs_then_the_same() -> None:
    other = replace(
        SOURCE,
        id="b",
        name="B",
        labels=(),
        enabled=False,
        location=Location("x", 1),
        origin="/etc/catalog/over.yaml",
        properties=dict(reversed(SOURCE.properties.items())),
    )
    assert definition_digest(other) == definition_digest(SOURCE)


def test_digest_then_as_in_every_other_process() -> None:
    """Were it computed otherwise one day, every source would be fetched once more."""
    assert definition_digest(SOURCE) == "da88d0597b0c010a8e298ffaba673ea48d0559ecaac45ce4a6081902d20f5920"


def test_shown_identity_then_names_only_a_namespace_that_says_something() -> None:
    assert shown_identity("default", "a") == '"a"'
    assert shown_identity("team", "a" * 100) == f'"{"a" * 80}" of namespace "team"'
