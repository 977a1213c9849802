"""Joining several sources files: the table of spec http-api.md 2.2."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Location
from catalog_server.sources.config import (
    InvalidConfig,
    NamedCondition,
    ParsedConfig,
    ParsedSection,
    ParsedSource,
    Source,
    SourcesConfig,
)
from catalog_server.sources.merge import merge_configs, overlay

HERE = Location("base.yaml", 5)
FULL = ParsedSource(
    id="a",
    origin="/base.yaml",
    location=HERE,
    name="A",
    type="yaml",
    enabled=True,
    labels=("x",),
    properties={"p": {"deep": 1}, "q": 2},
    included=("i",),
    excluded=("e",),
    namespace="team",
)


def config(*sources: ParsedSource, file: str = "/base.yaml", key: str = "mcp") -> ParsedConfig:
    return ParsedConfig(file, sections={key: ParsedSection(key, sources)})


def bare(source_id: str, **fields: object) -> ParsedSource:
    source = ParsedSource(id=source_id, origin="/over.yaml", location=Location("over.yaml", 9))
    return replace(source, **fields)  # type: ignore[arg-type]


def merged(*overrides: ParsedSource) -> tuple[Source, ...]:
    return merge_configs([config(FULL), config(*overrides, file="/over.yaml")]).sections["mcp"].sources


def test_no_configs_then_empty_configuration() -> None:
    assert merge_configs([]) == SourcesConfig()


def test_override_of_id_only_then_changes_nothing() -> None:
    assert merged(bare("a", namespace="team")) == merge_configs([config(FULL)]).sections["mcp"].sources


def test_empty_text_then_does_not_override_and_empty_list_does() -> None:
    empty = bare("a", name="", type="", labels=(), included=(), excluded=(), enabled=False, namespace="team")
    (source,) = merged(empty)
    assert (source.name, source.type, source.enabled) == ("A", "yaml", False)
    assert (source.labels, source.included, source.excluded) == ((), (), ())
    assert (source.origin, source.namespace) == ("/base.yaml", "team")


def test_properties_then_replaced_whole_and_origin_follows() -> None:
    (source,) = merged(bare("a", properties={"p": {"other": 2}}, namespace="team"))
    assert source.properties == {"p": {"other": 2}}
    assert source.origin == "/over.yaml"
    assert merged(bare("a", properties={}, namespace="team"))[0].origin == "/over.yaml"


def test_new_source_then_follows_those_of_the_base() -> None:
    new = merged(bare("z", name="Z", type="git"), bare("a", namespace="team"))
    assert [source.id for source in new] == ["a", "z"]


def test_override_of_another_namespace_then_a_source_of_its_own() -> None:
    other = bare("a", name="Mine", type="git", namespace="other")
    default = bare("a", name="Ours", type="git")
    found = merged(other, default)
    assert [(one.identity, one.name) for one in found] == [
        (("team", "a"), "A"),
        (("other", "a"), "Mine"),
        (("default", "a"), "Ours"),
    ]


@pytest.mark.parametrize("below", [None, "default"])
@pytest.mark.parametrize("over", [None, "default"])
def test_override_without_namespace_then_of_the_default_one(below: str | None, over: str | None) -> None:
    configs = [config(replace(FULL, namespace=below)), config(bare("a", enabled=False, namespace=over), file="/o")]
    (source,) = merge_configs(configs).sections["mcp"].sources
    assert (source.identity, source.name, source.enabled) == (("default", "a"), "A", False)


def faults(*configs: ParsedConfig) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        merge_configs(configs)
    return [error.reason for error in caught.value.errors]


def test_override_that_forgets_its_namespace_then_told_where_the_id_exists() -> None:
    base = config(FULL, replace(FULL, namespace="other"))
    assert faults(base, config(bare("a", enabled=False))) == [
        'catalogs.mcp: source "a": source name is required;'
        ' the id exists in namespace team, other: say "namespace: team" to override it',
        'catalogs.mcp: source "a": source type is required',
    ]
    assert faults(base, config(bare("a", name="New", namespace="third"))) == [
        'catalogs.mcp: source "a" of namespace "third": source type is required;'
        ' the id exists in namespace team, other: say "namespace: team" to override it'
    ]


def test_incomplete_source_then_no_hint_at_the_same_file_nor_at_another_section() -> None:
    same_file = replace(bare("a"), location=Location("base.yaml", 9))
    assert not any("exists" in fault for fault in faults(config(FULL, same_file)))
    assert not any("exists" in fault for fault in faults(config(FULL), config(bare("a"), key="models")))


def test_defaults_then_filled_in_after_merging() -> None:
    source = merge_configs([config(bare("a", name="A", type="git"))]).sections["mcp"].sources[0]
    assert source == Source(id="a", name="A", type="git", origin="/over.yaml", location=Location("over.yaml", 9))
    assert source.enabled
    assert source.namespace == "default"


def test_missing_required_fields_then_all_reported_with_location() -> None:
    with pytest.raises(InvalidConfig) as caught:
        merge_configs([config(FULL, bare("b", name="")), config(bare("", name="x", type="y"), file="/over.yaml")])
    found = [(error.field, error.code, error.location) for error in caught.value.errors]
    over = Location("over.yaml", 9)
    assert found == [("name", "name_required", over), ("type", "type_required", over), ("id", "id_required", over)]
    assert 'over.yaml:9: catalogs.mcp: source "b": source name is required' in caught.value.message


def test_sections_labels_and_queries_then_follow_the_table() -> None:
    old, new, extra = NamedCondition("=", 1), NamedCondition(">", 2), NamedCondition("<", 3)
    base = ParsedSection("mcp", labels=({"name": "A"},), named_queries={"q": {"x": old, "y": old}, "r": {"x": old}})
    over = ParsedSection("mcp", labels=(), named_queries={"q": {"y": new}, "s": {"x": extra}})
    result = merge_configs(
        [
            ParsedConfig("/b", "v1", "K", {"mcp": base}),
            ParsedConfig("/o", "", "", {"models": ParsedSection("models"), "mcp": over}),
        ]
    )
    assert list(result.sections) == ["mcp", "models"]
    assert result.sections["mcp"].labels == ()
    assert result.sections["mcp"].named_queries == {"q": {"x": old, "y": new}, "r": {"x": old}, "s": {"x": extra}}
    assert (result.api_version, result.kind, result.files) == ("v1", "K", ("/b", "/o"))
    kept = merge_configs([ParsedConfig("/b", sections={"mcp": base}), config(file="/o")])
    assert kept.sections["mcp"].labels == ({"name": "A"},)


def test_label_of_same_name_in_a_later_file_then_replaces_the_list() -> None:
    first = ParsedConfig("/b", sections={"mcp": ParsedSection("mcp", labels=({"name": "A"}, {"name": "B"}))})
    second = ParsedConfig("/o", sections={"mcp": ParsedSection("mcp", labels=({"name": "A", "note": "x"},))})
    assert merge_configs([first, second]).sections["mcp"].labels == ({"name": "A", "note": "x"},)


TEXT = st.none() | st.sampled_from(["", "u", "v"])
LIST = st.none() | st.lists(st.sampled_from("ab"), max_size=2).map(tuple)
SOURCES = st.builds(
    ParsedSource,
    id=st.sampled_from("abc"),
    origin=st.sampled_from(["/1", "/2", "/3"]),
    location=st.builds(Location, st.just("f"), st.integers(1, 9)),
    name=TEXT,
    type=TEXT,
    enabled=st.none() | st.booleans(),
    labels=LIST,
    properties=st.none() | st.dictionaries(st.sampled_from("pq"), st.integers(), max_size=2),
    included=LIST,
    excluded=LIST,
    namespace=st.sampled_from([None, "default", "team"]),
)
QUERIES = st.none() | st.dictionaries(
    st.sampled_from("qr"),
    st.dictionaries(st.sampled_from("xy"), st.builds(NamedCondition, st.just("="), st.integers(0, 3)), max_size=2),
    max_size=2,
)
SECTIONS = st.builds(
    ParsedSection,
    key=st.just("s"),
    sources=st.lists(SOURCES, max_size=3, unique_by=lambda source: source.identity).map(tuple),
    labels=st.none() | st.just(()) | st.just(({"name": "n"},)),
    named_queries=QUERIES,
)
CONFIGS = st.builds(
    ParsedConfig,
    file=st.sampled_from(["/1", "/2"]),
    api_version=st.sampled_from(["", "v1", "v2"]),
    kind=st.sampled_from(["", "k"]),
    sections=st.dictionaries(st.sampled_from(["mcp", "models"]), SECTIONS, max_size=2),
)


@given(CONFIGS, CONFIGS, CONFIGS)
def test_overlay_then_associative(a: ParsedConfig, b: ParsedConfig, c: ParsedConfig) -> None:
    left, right = overlay(overlay(a, b), c), overlay(a, overlay(b, c))
    assert _without_empty_text(left) == _without_empty_text(right)


@given(CONFIGS)
def test_overlay_of_itself_then_same(config_: ParsedConfig) -> None:
    assert overlay(config_, config_) == config_


@given(CONFIGS, CONFIGS)
def test_overlay_then_base_order_first_and_nothing_lost(a: ParsedConfig, b: ParsedConfig) -> None:
    result = overlay(a, b)
    assert list(result.sections)[: len(a.sections)] == list(a.sections)
    for key, section in a.sections.items():
        found = [source.identity for source in result.sections[key].sources]
        before = [source.identity for source in section.sources]
        assert found[: len(before)] == before
        assert set(found) == set(before) | {s.identity for s in b.sections.get(key, ParsedSection(key)).sources}
        assert len(found) == len(set(found))


def _without_empty_text(config_: ParsedConfig) -> object:
    """None and "" are the same for name and type; which of the two is left over does not matter."""
    return {
        key: replace(section, sources=tuple(replace(s, name=s.name or "", type=s.type or "") for s in section.sources))
        for key, section in config_.sections.items()
    }
