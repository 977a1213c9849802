"""The five layers that judge a source before it is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_server.errors import Invalid, Unavailable
from catalog_server.sources.validation import DetailedValidation, Finding, LayerResult, validate_source

GOOD: Mapping[str, Any] = {"id": "a", "name": "A", "type": "yaml", "properties": {"yamlCatalogPath": "x.yaml"}}


def codes(result: DetailedValidation) -> list[tuple[str, str, str | None]]:
    return [(error.layer, error.field, error.code) for error in result.errors]


def test_good_source_then_valid_in_four_layers() -> None:
    result = validate_source({**GOOD, "enabled": True, "labels": ["x"], "refreshAfterApply": False})
    assert result == DetailedValidation(
        True,
        (),
        (),
        tuple(LayerResult(name, True) for name in ("yaml_parse", "strict_fields", "semantic", "security_warnings")),
    )


@pytest.mark.parametrize(
    "content", ["a: [", "a: 1\na: 2", "[" * 100, "a: \x00", "a: \ud800", "x" * (1024 * 1024 + 1)], ids=range(6)
)
def test_bad_content_then_stops_after_first_layer(content: str) -> None:
    result = validate_source({"properties": {"content": content}}, check_provider=lambda _: [])
    assert [layer.layer for layer in result.layer_results] == ["yaml_parse"]
    (error,) = result.errors
    assert (error.field, error.layer, result.valid) == ("properties.content", "yaml_parse", False)
    assert "YAML parse error:" in error.message
    assert error.code == ("content_too_large" if len(content) > 1024 * 1024 else "yaml_parse_error")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lables": []}, 'unknown or invalid fields: "lables": did you mean "labels"?'),
        ({"id": 1}, 'unknown or invalid fields: "id" must be text'),
        ({"enabled": "yes"}, 'unknown or invalid fields: "enabled" must be true or false'),
        ({"labels": [1]}, 'unknown or invalid fields: "labels" must be a list of text'),
        ({"properties": []}, 'unknown or invalid fields: "properties" must be an object'),
        ({"name": "\ud800"}, "failed to marshal source config: UnicodeEncodeError"),
        ({"properties": {"x": object()}}, "failed to marshal source config: TypeError"),
    ],
)
def test_strict_layer_then_names_the_field(change: dict[str, Any], message: str) -> None:
    result = validate_source({**GOOD, **change})
    assert [(e.layer, e.field, e.message, e.code) for e in result.errors] == [
        ("strict_fields", "source", message, "unknown_field")
    ]


def test_very_deep_properties_then_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": [deep]}
    (error,) = validate_source({**GOOD, "properties": deep}).errors
    assert "nested deeper than 64 levels" in error.message


def test_null_fields_then_like_absent() -> None:
    assert validate_source({**GOOD, "labels": None, "enabled": None, "properties": None}).valid


@pytest.mark.parametrize(
    ("change", "field", "message", "code"),
    [
        ({"id": ""}, "id", "source ID is required", "id_required"),
        ({"id": None}, "id", "source ID is required", "id_required"),
        ({"id": "Bad Id"}, "id", "must contain only lowercase", "id_invalid"),
        ({"id": "a" * 129}, "id", "128 characters or fewer", "id_invalid"),
        ({"name": ""}, "name", "source name is required", "name_required"),
        ({"name": "n" * 257}, "name", "256 characters or fewer", "name_too_long"),
        ({"type": ""}, "type", "source type is required", "type_required"),
        ({"includedItems": ["a", " "]}, "includedItems[1]", "included[1]: pattern cannot be empty", "glob_empty"),
        ({"excludedItems": [""]}, "excludedItems[0]", "excluded[0]: pattern cannot be empty", "glob_empty"),
    ],
)
def test_semantic_layer_then_message_and_code_of_the_table(
    change: dict[str, Any], field: str, message: str, code: str
) -> None:
    result = validate_source({**GOOD, **change})
    (error,) = result.errors
    assert (error.field, error.code, error.layer) == (field, code, "semantic")
    assert message in error.message


def test_name_limit_then_counts_characters() -> None:
    assert validate_source({**GOOD, "name": "\u00e9" * 256}).valid


def test_inline_credential_then_warning_and_still_valid() -> None:
    properties = {"password": "x", "token": {"name": "n", "key": "k"}, "content": "url: https://u:p@h"}
    result = validate_source({**GOOD, "properties": properties})
    assert result.valid
    assert result.errors == ()
    (warning,) = result.warnings
    assert (warning.field, warning.code, warning.layer) == (
        "properties.password",
        "inline_credential",
        "security_warnings",
    )
    assert 'property "password" appears to contain an inline credential' in warning.message
    assert "SecretRef" in warning.message
    assert result.layer_results[3] == LayerResult("security_warnings", False, (warning,))


def test_provider_that_repeats_a_fault_then_reported_once() -> None:
    def check(given_: Mapping[str, Any]) -> Sequence[Finding]:
        return [
            Finding("id", "source ID is required"),
            Finding("type", 'unsupported source type "x"; only yaml is supported', "type_unsupported"),
        ]

    result = validate_source({"name": "A", "type": "x"}, check_provider=check)
    assert codes(result) == [("semantic", "id", "id_required"), ("provider", "type", "type_unsupported")]
    assert len(result.layer_results[4].errors) == 2


def test_provider_that_raises_then_provider_error() -> None:
    def down(_: Mapping[str, Any]) -> Sequence[Finding]:
        raise Unavailable("hub is down")

    def refuse(_: Mapping[str, Any]) -> Sequence[Finding]:
        raise Invalid("the path lies outside", field="properties.path", code="path_outside_roots")

    (first,) = validate_source(GOOD, check_provider=down).errors
    assert (first.field, first.message, first.code) == (
        "source",
        "provider validation error: hub is down",
        "provider_error",
    )
    (second,) = validate_source(GOOD, check_provider=refuse).errors
    assert (second.field, second.code) == ("properties.path", "path_outside_roots")


def test_content_check_then_runs_in_provider_layer_only_when_content_is_given() -> None:
    fault = Finding("properties.content", "unknown or invalid fields in content: x", "content_unknown_field")
    with_content = {**GOOD, "properties": {"content": "a: 1"}}
    assert codes(validate_source(with_content, check_content=lambda _: [fault])) == [
        ("provider", "properties.content", "content_unknown_field")
    ]
    result = validate_source(GOOD, check_content=lambda _: [fault])
    assert result.valid
    assert result.layer_results[4] == LayerResult("provider", True)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["id", "name", "type", "enabled", "labels", "properties", "includedItems", "excludedItems", "zzz"]


@given(st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=6))
def test_any_input_then_answers_and_valid_means_no_errors(given_: dict[str, Any]) -> None:
    result = validate_source(given_)
    assert result.valid is not bool(result.errors)
    pairs = [(error.field, error.message) for error in result.errors]
    assert len(pairs) == len(set(pairs))
