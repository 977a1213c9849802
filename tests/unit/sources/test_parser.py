"""The text of a sources file to typed values, with every fault at its file, line and field path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid, Location, TooLarge
from catalog_server.sources.config import InvalidConfig, NamedCondition, ParsedConfig, ParsedSource
from catalog_server.sources.parser import format_path, parse_sources

HEAD = "apiVersion: catalog/v1alpha1\nkind: CatalogSources\ncatalogs:\n"


def parse(text: str) -> ParsedConfig:
    return parse_sources(text.encode(), file="/etc/sources.yaml", known_sections=("models", "mcp"))


def faults(text: str) -> list[Invalid]:
    with pytest.raises(InvalidConfig) as caught:
        parse(text)
    return list(caught.value.errors)


def source_faults(body: str, section: str = "mcp") -> list[tuple[str, str | None, int]]:
    """(reason, code, line) of the faults of one source; `body` is on line 1."""
    lines = "".join(f"      {line}\n" for line in body.splitlines())
    found = faults(f"{HEAD}  {section}:\n    sources:\n    -\n{lines}")
    prefix = f"catalogs.{section}.sources[0]"
    return [
        (error.reason.removeprefix(prefix).lstrip("."), error.code, error.location.line - 6)
        for error in found
        if error.location
    ]


def test_full_file_then_every_field_is_read() -> None:
    config = parse(
        HEAD
        + """\
  models:
    sources:
      - id: team-models
        name: Team models
        type: yaml
        enabled: false
        labels: [Team]
        properties: {yamlCatalogPath: ../data/models.yaml, big: 70000000000}
        includedItems: ["llama-*"]
        excludedItems: ["*-old"]
        namespace: team-a
    labels:
      - {name: Team, displayName: Team models}
      - {name: null, displayName: Others}
    namedQueries:
      big: {parameterCount: {operator: ">=", value: 70000000000}}
      some: {task: {operator: not  in, value: [a, 1, true]}}
  mcp:
"""
    )
    models = config.sections["models"]
    assert models.sources == (
        ParsedSource(
            id="team-models",
            origin="/etc/sources.yaml",
            location=Location("/etc/sources.yaml", 6, 9),
            name="Team models",
            type="yaml",
            enabled=False,
            labels=("Team",),
            properties={"yamlCatalogPath": "../data/models.yaml", "big": 70000000000},
            included=("llama-*",),
            excluded=("*-old",),
            namespace="team-a",
        ),
    )
    assert models.labels == ({"name": "Team", "displayName": "Team models"}, {"name": None, "displayName": "Others"})
    assert models.named_queries == {
        "big": {"parameterCount": NamedCondition(">=", 70000000000)},
        "some": {"task": NamedCondition("NOT IN", ["a", 1, True])},
    }
    assert config.sections["mcp"].sources == ()
    assert (config.api_version, config.kind, config.warnings) == ("catalog/v1alpha1", "CatalogSources", ())


def test_absent_and_null_then_none_and_empty_then_empty() -> None:
    config = parse(HEAD + "  mcp: {sources: [{id: a, name: null, labels: []}, {id: b, properties: {}}], labels: []}")
    first, second = config.sections["mcp"].sources
    assert (first.name, first.enabled, first.labels, first.properties) == (None, None, (), None)
    assert (second.labels, second.properties, second.included, second.namespace) == (None, {}, None, None)
    assert config.sections["mcp"].labels == ()
    assert config.sections["mcp"].named_queries is None


def test_odd_head_and_unknown_section_then_warnings() -> None:
    config = parse("apiVersion: v9\nkind: Other\ncatalogs:\n  modles: {sources: [{id: a}]}\n")
    assert [(warning.field, warning.location.line) for warning in config.warnings] == [
        ("apiVersion", 1),
        ("kind", 2),
        ("catalogs.modles", 4),
    ]
    assert 'did you mean "models"?' in config.warnings[2].message
    assert config.sections["modles"].sources[0].id == "a"
    assert parse_sources(b"catalogs: {new: {}}", file="f").warnings == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the file: is empty"),
        ("# x", "the file: is empty"),
        ("kind: CatalogSources", "catalogs: the key is missing"),
        ("[]", "the file: must be a mapping, not a list"),
        ("just text", "the file: must be a mapping, not text"),
        ("catalogs: []", "catalogs: must be a mapping, not a list"),
        ("catalog: {}", 'catalog: unknown key "catalog": did you mean "catalogs"?'),
        ("kind: 7\ncatalogs: {}", "kind: must be text, not a number: quote it"),
        ("catalogs: {mcp: []}", "catalogs.mcp: must be a mapping"),
        ("catalogs: {mcp: {source: []}}", 'catalogs.mcp.source: unknown key "source": did you mean "sources"?'),
        ("catalogs: {mcp: {sources: {}}}", "catalogs.mcp.sources: must be a list, not a mapping"),
        ("catalogs: {mcp: {sources: [x]}}", "catalogs.mcp.sources[0]: must be a mapping, not text"),
        ("catalogs: {mcp: {sources: [null]}}", "catalogs.mcp.sources[0]: must be a mapping, not null"),
    ],
)
def test_wrong_shape_then_refused_with_field_path(text: str, part: str) -> None:
    (error,) = faults(text)
    assert part in error.message
    assert error.message.startswith("/etc/sources.yaml:1")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("name: x", ("id: source ID is required", "id_required", 1)),
        ("id: ''", ("id: source ID is required", "id_required", 1)),
        ("id: 12", ("id: must be text, not a number: quote it", "property_type", 1)),
        ("id: a\nlables: []", ('lables: unknown key "lables": did you mean "labels"?', "unknown_field", 2)),
        ("id: a\nlabels: x", ("labels: must be a list, not text", "property_type", 2)),
        ("id: a\nlabels: [x, 1]", ("labels[1]: must be text, not a number: quote it", "property_type", 2)),
        ("id: a\nlabels: [null]", ("labels[0]: must be text, not null", "property_type", 2)),
        ("id: a\nenabled: no", ("enabled: must be true or false, not text", "property_type", 2)),
        ("id: a\nproperties: []", ("properties: must be a mapping, not a list", "property_type", 2)),
        (
            "id: a\nincludedItems:\n- x\n- ' '",
            ("includedItems[1]: included[1]: pattern cannot be empty", "glob_empty", 4),
        ),
        ("id: a\nincludedModels: [x]", ("", "unknown_field", 2)),
        (f"id: a\nname: {'x' * 257}", ("name: source name must be 256 characters or fewer", "name_too_long", 2)),
        ("id: a\nnamespace: Team_A", ("namespace: invalid namespace", None, 2)),
        (f"id: {'a' * 129}", ("id: source ID must be 128 characters or fewer", "id_invalid", 1)),
        *[(f"id: '{bad}'", ("id: source ID", "id_invalid", 1)) for bad in ("A", "-a", "a b", "a.b", "\u00e9", "a\\n")],
    ],
)
def test_wrong_source_field_then_refused(body: str, expected: tuple[str, str | None, int]) -> None:
    ((reason, code, line),) = source_faults(body)
    assert reason.startswith(expected[0])
    assert (code, line) == expected[1:]


@pytest.mark.parametrize(("section", "noun"), [("models", "Models"), ("mcp", "Servers")])
def test_older_glob_names_then_read_and_both_refused(section: str, noun: str) -> None:
    text = f"{HEAD}  {section}: {{sources: [{{id: a, included{noun}: [x], excluded{noun}: [y]}}]}}"
    source = parse(text).sections[section].sources[0]
    assert (source.included, source.excluded) == (("x",), ("y",))
    ((reason, _, line),) = source_faults(f"id: a\nexcludedItems: [x]\nexcluded{noun}: [y]", section)
    assert reason == f'excluded{noun}: "excluded{noun}" means the same as "excludedItems": keep one'
    assert line == 3


def test_duplicate_id_then_names_section_index_and_both_lines() -> None:
    (error,) = faults(HEAD + "  mcp:\n    sources:\n    - id: a\n    - id: b\n    - id: a\n")
    assert error.code == "duplicate_id"
    assert error.field == "catalogs.mcp.sources[2].id"
    assert 'duplicate id "a" in section "mcp": also catalogs.mcp.sources[0], lines 6 and 8' in error.message
    assert parse(HEAD + "  mcp: {sources: [{id: a}]}\n  models: {sources: [{id: a}]}")


def test_same_id_in_another_namespace_then_another_source() -> None:
    text = HEAD + "  mcp:\n    sources:\n    - {id: a, namespace: red}\n    - {id: a, namespace: blue}\n    - {id: a}\n"
    sources = parse(text).sections["mcp"].sources
    assert [source.identity for source in sources] == [("red", "a"), ("blue", "a"), ("default", "a")]
    (error,) = faults(text + "    - {id: a, namespace: blue}\n")
    assert error.code == "duplicate_id"
    found = 'duplicate id "a" of namespace "blue" in section "mcp": also catalogs.mcp.sources[1], lines 7 and 9'
    assert found in error.message
    (error,) = faults(text + "    - {id: a, namespace: default}\n")
    assert 'duplicate id "a" in section "mcp": also catalogs.mcp.sources[2], lines 8 and 9' in error.message


def test_several_faults_then_all_reported_together() -> None:
    found = faults(HEAD + "  mcp:\n    sources:\n    - {id: A, enabled: 1}\n    - {nmae: x}\n    labels: 7\n")
    assert [(error.field, error.location and error.location.line) for error in found] == [
        ("catalogs.mcp.sources[0].id", 6),
        ("catalogs.mcp.sources[0].enabled", 6),
        ("catalogs.mcp.sources[1].nmae", 7),
        ("catalogs.mcp.sources[1].id", 7),
        ("catalogs.mcp.labels", 8),
    ]


OWNED = """
  mcp:
    labels: [{name: L}, {name: L, namespace: team-a}, {name: L, namespace: team-b}, {name: null, namespace: team-a}]
    namedQueries:
      cheap: {namespace: team-a, cost: {operator: "<", value: 1}}
      here: {namespace: {operator: "=", value: x}}
"""


def test_namespace_of_labels_and_named_queries_then_kept_apart() -> None:
    """Labels are unique within a namespace; text under `namespace` is no condition of a query."""
    section = parse(HEAD + OWNED).sections["mcp"]
    assert [one.get("namespace") for one in section.labels or ()] == [None, "team-a", "team-b", "team-a"]
    assert section.named_queries == {
        "cheap": {"cost": NamedCondition("<", 1)},
        "here": {"namespace": NamedCondition("=", "x")},
    }
    assert section.query_namespaces == {"cheap": "team-a"}


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        ("[{name: A}, {name: A}]", "[1].name: duplicate label name 'A', on lines 1 and 1"),
        ("[{name: null}, {name: null}]", "[1].name: duplicate label name null"),
        ("[{name: A, namespace: t}, {name: A, namespace: t}]", "[1].name: duplicate label name 'A'"),
        ("[{name: A, namespace: Team}]", "[0].namespace: invalid namespace 'Team'"),
        ("[{name: A, namespace: [t]}]", "[0].namespace: must be text"),
        ("[{displayName: A}]", '[0]: the key "name" is missing'),
        ("[{name: [A]}]", "[0].name: must be text, not a list"),
        ("[{name: 1}]", "[0].name: must be text, not a number"),
        ("[{name: A, x: null}]", "[0].x: must be text, not null"),
        ("[{name: A, x: [1]}]", "[0].x: must be text, not a list"),
        ("[A]", "[0]: must be a mapping, not text"),
        ("[null]", "[0]: must be a mapping, not null"),
        ("{}", ": must be a list"),
    ],
)
def test_wrong_labels_then_refused(labels: str, part: str) -> None:
    (error,) = faults(f"catalogs: {{mcp: {{labels: {labels}}}}}")
    assert error.reason.removeprefix("catalogs.mcp.labels").startswith(part)


@pytest.mark.parametrize(
    ("queries", "part"),
    [
        ("{'': {f: {operator: '=', value: 1}}}", "the name of a named query must not be empty"),
        ("{q: {}}", "q: a named query needs at least one condition"),
        ("{q: {namespace: t}}", "q: a named query needs at least one condition"),
        ("{q: {namespace: T, f: {operator: '=', value: 1}}}", "q.namespace: invalid namespace 'T'"),
        ("{q: }", "q: a named query needs at least one condition"),
        ("{q: [f]}", "q: must be a mapping, not a list"),
        ("{q: {' ': {operator: '=', value: 1}}}", "the field of a condition must not be empty"),
        ("{q: {f: {operator: '~', value: 1}}}", "q.f.operator: the operator must be one of =, !="),
        ("{q: {f: {value: 1}}}", "q.f.operator: the operator must be one of"),
        ("{q: {f: }}", "q.f.operator: the operator must be one of"),
        ("{q: {f: x}}", "q.f: must be a mapping, not text"),
        ("{q: {f: {operator: '=', value: null}}}", "q.f.value: the condition needs a value"),
        ("{q: {f: {operator: '='}}}", "q.f.value: the condition needs a value"),
        ("{q: {f: {operator: in, value: x}}}", "q.f.value: IN needs a list"),
        ("{q: {f: {operator: in, value: []}}}", "q.f.value: IN needs a list"),
        ("{q: {f: {operator: IN, value: [[1]]}}}", "q.f.value: the list for IN must hold"),
        ("{q: {f: {operator: '>', value: [1]}}}", "q.f.value: > needs one value, not a list"),
        ("{q: {f: {operator: '=', value: 1, extra: 1}}}", 'q.f.extra: unknown key "extra"'),
    ],
)
def test_wrong_named_query_then_refused(queries: str, part: str) -> None:
    (error,) = faults(f"catalogs: {{mcp: {{namedQueries: {queries}}}}}")
    assert part in error.reason


def test_text_that_is_no_yaml_or_key_twice_then_invalid() -> None:
    with pytest.raises(Invalid, match="YAML parse error:"):
        parse("catalogs: [")
    with pytest.raises(Invalid, match="lines 1 and 2"):
        parse("catalogs: {}\ncatalogs: {}\n")
    with pytest.raises(TooLarge):
        parse("#" * (10 * 1024 * 1024 + 1))


def test_config_map_origin_then_kept() -> None:
    origin = "configmap:ns/name[sources.yaml]"
    config = parse_sources(b"catalogs: {mcp: {sources: [{id: a}]}}", file=origin)
    assert config.sections["mcp"].sources[0].origin == origin


def test_thousand_sources_then_quick() -> None:
    body = "".join(f"    - {{id: s{n}, name: N, type: yaml, properties: {{a: 1}}}}\n" for n in range(1000))
    assert len(parse(f"{HEAD}  mcp:\n    sources:\n{body}").sections["mcp"].sources) == 1000


KEYS = [
    *("catalogs", "mcp", "sources", "labels", "namedQueries", "id", "name"),
    *("properties", "includedItems", "operator", "value", "x"),
]
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "a", "="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)


@given(SHAPES, SHAPES, SHAPES)
def test_any_shape_then_config_or_invalid(sources: object, labels: object, queries: object) -> None:
    text = repr({"catalogs": {"mcp": {"sources": sources, "labels": labels, "namedQueries": queries}}})
    text = text.replace("None", "null").replace("True", "true").replace("False", "false")
    errors: tuple[Invalid, ...] = ()
    try:
        parse(text)
    except InvalidConfig as error:
        errors = error.errors
    assert all(error.location is not None for error in errors)


def test_format_path_then_reads_like_the_file() -> None:
    assert format_path(("catalogs", "mcp", "sources", 2, "labels")) == "catalogs.mcp.sources[2].labels"
    assert format_path(()) == ""
